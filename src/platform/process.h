// The process around us: environment, host name, local time zone, terminal, signals, child processes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/strong.h"

namespace vestige::platform {

std::optional<std::string> environment(const std::string& name);
std::string host_name();  // "localhost" where the machine has none
bool is_terminal(int descriptor);
unsigned terminal_columns();  // of standard output; 80 where it is no terminal

// A local wall-clock time ("2026-11-25 14:36:01") of this machine's time zone as an instant. A time that
// occurs twice is read as its first occurrence; one that the zone skips as the moment of the change.
std::optional<UnixMs> local_time(std::string_view text);

// Bytes that come one after the other and cannot be asked for twice. Not thread-safe.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Waits for at least one byte and gives how many were put into `out`; 0 at the end. `out` is not empty.
  virtual Result<std::size_t> read(std::span<std::uint8_t> out) = 0;
};
std::unique_ptr<ByteStream> standard_input();

struct ProgramOptions {
  std::vector<std::string> without_environment{};  // names of variables that the child does not inherit
  bool errors_to_output = false;                   // standard error goes into the output, not to ours
};

// A running child: its standard output is the stream, its standard input is empty. Destroying it before the
// end kills and reaps the child.
class Program : public ByteStream {
 public:
  // To be called at the end of the output: waits, and gives the exit status, or 128 + n where signal n
  // ended the child.
  virtual Result<int> wait() = 0;
};
// argv[0] is found on PATH; there is no shell. not_found where there is no such program.
Result<std::unique_ptr<Program>> start_program(const std::vector<std::string>& argv,
                                               const ProgramOptions& options);

// Runs a program and hands over its standard output in pieces as they come; standard error goes to ours.
// Gives the exit status as Program::wait does. `on_output` returning an error ends the child.
Result<int> run_program(const std::vector<std::string>& argv,
                        const std::function<Status(std::string_view)>& on_output,
                        const ProgramOptions& options = {});

// Blocks until SIGINT or SIGTERM comes. Call block_stop_signals() before the first thread starts.
void block_stop_signals();
int wait_for_stop_signal();
// Whether one came since the last time that one was told of. Does not wait.
bool stop_signal_came();

// The same as a terminal prompt would show: the resident memory of this process in bytes.
std::uint64_t resident_bytes();

}  // namespace vestige::platform
