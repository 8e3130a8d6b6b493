#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <system_error>

#include "base/bytes.h"
#include "base/check.h"

namespace vestige::platform {
namespace {

constexpr std::size_t output_piece_bytes = 64 << 10;
constexpr std::int64_t day_seconds = 86'400;

std::unexpected<Error> machine_error(int code, const std::string& what) {
  return fail(ErrorKind::io, fmt::format("{}: {}", what, std::generic_category().message(code)));
}

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() { reset(); }
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  void reset() {
    if (value_ >= 0) ::close(value_);
    value_ = -1;
  }

 private:
  int value_;
};

Result<std::size_t> read_some(int descriptor, std::span<std::uint8_t> out, const std::string& what) {
  CHECK(!out.empty());
  for (;;) {
    const auto got = ::read(descriptor, out.data(), out.size());
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return machine_error(errno, fmt::format("reading {}", what));
  }
}

class StandardInput final : public ByteStream {
 public:
  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    return read_some(STDIN_FILENO, out, "standard input");
  }
};

class ChildProgram final : public Program {
 public:
  ChildProgram(pid_t child, Descriptor output, std::string name)
      : child_(child), output_(std::move(output)), name_(std::move(name)) {}
  ~ChildProgram() override {
    if (child_ < 0) return;
    ::kill(child_, SIGKILL);
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
  }
  ChildProgram(const ChildProgram&) = delete;
  ChildProgram& operator=(const ChildProgram&) = delete;

  Result<std::size_t> read(std::span<std::uint8_t> out) override {
    return read_some(output_.get(), out, fmt::format("the output of {}", name_));
  }

  Result<int> wait() override {
    CHECK(child_ >= 0);
    output_.reset();
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0)
      if (errno != EINTR) return machine_error(errno, fmt::format("waiting for {}", name_));
    child_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t child_;  // -1 once it is reaped
  Descriptor output_;
  std::string name_;
};

// The child starts with default signals: ours are blocked for the thread that waits for them.
struct SpawnSetting {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;

  SpawnSetting(int output, bool errors_to_output) {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    if (errors_to_output) ::posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    ::posix_spawnattr_init(&attributes);
    sigset_t none;
    ::sigemptyset(&none);
    sigset_t reset;
    ::sigemptyset(&reset);
    ::sigaddset(&reset, SIGPIPE);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &reset);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetting() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSetting(const SpawnSetting&) = delete;
  SpawnSetting& operator=(const SpawnSetting&) = delete;
};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> inherited_environment(const std::vector<std::string>& without) {
  std::vector<std::string> kept;
  for (char** item = environ; *item != nullptr; ++item) {
    const std::string_view setting = *item;
    const auto name = setting.substr(0, setting.find('='));
    if (std::ranges::find(without, name) == without.end()) kept.emplace_back(setting);
  }
  return kept;
}

// Days since 1970-01-01 of a date of the proleptic Gregorian calendar.
std::optional<std::chrono::sys_days> date_of(int year, int month, int day) {
  const auto date =
      std::chrono::year_month_day(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                  std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return std::nullopt;
  return std::chrono::sys_days(date);
}

// "2026-11-25 14:36:01" as if it were UTC, in seconds.
std::optional<std::int64_t> wall_seconds(std::string_view text) {
  constexpr std::string_view shape = "dddd-dd-dd dd:dd:dd";
  if (text.size() != shape.size()) return std::nullopt;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (shape[i] == 'd' ? !digit : text[i] != shape[i]) return std::nullopt;
  }
  const auto number = [text](std::size_t at, std::size_t count) {
    int value = 0;
    std::from_chars(text.data() + at, text.data() + at + count, value);
    return value;
  };
  const auto date = date_of(number(0, 4), number(5, 2), number(8, 2));
  const int hour = number(11, 2);
  const int minute = number(14, 2);
  const int second = number(17, 2);
  if (!date || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return date->time_since_epoch().count() * day_seconds + hour * 3'600 + minute * 60 + second;
}

std::int64_t offset_at(std::int64_t instant) {
  const time_t at = instant;
  tm local{};
  ::localtime_r(&at, &local);
  return local.tm_gmtoff;
}

// The first instant in (low, high] whose offset is that of `high`; the two ends have different offsets.
std::int64_t moment_of_change(std::int64_t low, std::int64_t high) {
  const auto after = offset_at(high);
  while (high - low > 1) {
    const auto middle = low + (high - low) / 2;
    (offset_at(middle) == after ? high : low) = middle;
  }
  return high;
}

}  // namespace

std::optional<std::string> environment(const std::string& name) {
  const char* value = ::getenv(name.c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

unsigned terminal_columns() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

// The C library knows the zone in every way a machine can set it (TZ, a link or a plain copy at
// /etc/localtime), so it is asked for offsets; which instant is meant is decided here.
std::optional<UnixMs> local_time(std::string_view text) {
  const auto wall = wall_seconds(text);
  if (!wall) return std::nullopt;
  ::tzset();
  const auto before = *wall - day_seconds;
  const auto after = *wall + day_seconds;
  std::optional<std::int64_t> earliest;
  for (const auto offset : {offset_at(before), offset_at(after)}) {
    const auto candidate = *wall - offset;
    if (offset_at(candidate) == offset) earliest = std::min(earliest.value_or(candidate), candidate);
  }
  if (!earliest) earliest = moment_of_change(before, after);
  return UnixMs{*earliest * 1'000};
}

std::unique_ptr<ByteStream> standard_input() { return std::make_unique<StandardInput>(); }

Result<std::unique_ptr<Program>> start_program(const std::vector<std::string>& argv,
                                               const ProgramOptions& options) {
  CHECK(!argv.empty());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return machine_error(errno, "making a pipe");
  Descriptor output(ends[0]);
  const Descriptor input(ends[1]);
  const SpawnSetting setting(input.get(), options.errors_to_output);
  auto arguments = argv;
  auto variables = inherited_environment(options.without_environment);
  pid_t child = -1;
  const int code = ::posix_spawnp(&child, argv[0].c_str(), &setting.files, &setting.attributes,
                                  pointers_to(arguments).data(), pointers_to(variables).data());
  if (code == ENOENT)
    return fail(ErrorKind::not_found,
                fmt::format("there is no program {} on PATH: install it, or correct PATH", argv[0]));
  if (code != 0) return machine_error(code, fmt::format("starting {}", argv[0]));
  return std::make_unique<ChildProgram>(child, std::move(output), argv[0]);
}

Result<int> run_program(const std::vector<std::string>& argv,
                        const std::function<Status(std::string_view)>& on_output,
                        const ProgramOptions& options) {
  VESTIGE_TRY(const auto program, start_program(argv, options));
  Bytes piece(output_piece_bytes);
  for (;;) {
    VESTIGE_TRY(const auto got, program->read(piece));
    if (got == 0) return program->wait();
    VESTIGE_CHECKED(on_output(text(ByteView(piece).first(got))));
  }
}

void block_stop_signals() {
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGINT);
  ::sigaddset(&stop, SIGTERM);
  CHECK(::pthread_sigmask(SIG_BLOCK, &stop, nullptr) == 0);
}

int wait_for_stop_signal() {
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGINT);
  ::sigaddset(&stop, SIGTERM);
  int signal = 0;
  while (::sigwait(&stop, &signal) != 0) {
  }
  return signal;
}

bool stop_signal_came() {
  sigset_t stop;
  ::sigemptyset(&stop);
  ::sigaddset(&stop, SIGINT);
  ::sigaddset(&stop, SIGTERM);
  const timespec at_once{};
  int signal = 0;
  do {
    signal = ::sigtimedwait(&stop, nullptr, &at_once);
  } while (signal < 0 && errno == EINTR);
  return signal > 0;
}

std::uint64_t resident_bytes() {
  const Descriptor file(::open("/proc/self/statm", O_RDONLY | O_CLOEXEC));
  std::array<char, 256> content{};
  const auto got = ::read(file.get(), content.data(), content.size() - 1);
  if (got <= 0) return 0;
  // The second number: resident pages.
  const char* const space = std::strchr(content.data(), ' ');
  if (space == nullptr) return 0;
  std::uint64_t pages = 0;
  std::from_chars(space + 1, content.data() + got, pages);
  return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace vestige::platform
