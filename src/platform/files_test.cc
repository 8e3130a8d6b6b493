// Property: a FileSystem does what a map from names to bytes does, with the error kinds that files.h
// promises; and the twin (SimDisk) does the same as the real disk, so that a test on the twin says something
// about the real one. Every test here runs over both.

#include "platform/files.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <random>

#include "platform/sim/sim_files.h"

namespace vestige::platform {
namespace {

int test_scale() {
  const char* scale = ::getenv("VESTIGE_TEST_SCALE");
  return scale == nullptr ? 1 : std::max(1, ::atoi(scale));
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "vestige-files-XXXXXX").string();
    path_ = ::mkdtemp(path.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

enum class Kind { posix, sim };

class FilesTest : public testing::TestWithParam<Kind> {
 protected:
  void SetUp() override {
    if (GetParam() == Kind::posix) {
      files_ = *open_directory(temporary_.path(), false);
    } else {
      files_ = disk_.open("data");
    }
  }
  FileSystem& files() { return *files_; }
  // A second look at the same directory.
  std::unique_ptr<FileSystem> again() {
    if (GetParam() == Kind::posix) return *open_directory(temporary_.path(), false);
    return disk_.open("data");
  }
  void put(const std::string& path, std::string_view content) {
    auto file = files().create(path, FileMode::shared_read);
    ASSERT_TRUE(file) << file.error().message;
    ASSERT_TRUE((*file)->write(0, view(content)));
  }
  std::string get(const std::string& path) {
    const auto content = read_file(files(), path, 1 << 20);
    return content ? std::string(text(*content)) : "error: " + content.error().message;
  }

 private:
  TemporaryDirectory temporary_;
  sim::SimDisk disk_;
  std::unique_ptr<FileSystem> files_;
};

template <typename T>
std::optional<ErrorKind> kind_of(const Result<T>& result) {
  if (result) return std::nullopt;
  return result.error().kind;
}

std::string random_bytes(std::mt19937_64& random, std::size_t size_max) {
  std::string bytes(random() % (size_max + 1), '\0');
  for (auto& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// Names only in a few places, so that operations meet; "d/..." and "e/..." so that directories take part.
std::string random_path(std::mt19937_64& random) {
  static const char* const paths[] = {"a", "b", "c", "d/a", "d/b", "e/a"};
  return paths[random() % std::size(paths)];
}

// What a directory of byte strings would say.
class Model {
 public:
  std::map<std::string, std::string> content;

  static void write(std::string& file, std::uint64_t offset, const std::string& bytes) {
    if (bytes.empty()) return;
    if (file.size() < offset + bytes.size()) file.resize(offset + bytes.size());
    file.replace(offset, bytes.size(), bytes);
  }
  static std::optional<ErrorKind> read(const std::string& file, std::uint64_t offset, std::size_t size) {
    if (size == 0 || offset + size <= file.size()) return std::nullopt;
    return ErrorKind::corrupt;
  }
};

void change_content(std::mt19937_64& random, File& file, std::string& expected) {
  const std::uint64_t offset = random() % 300;
  switch (random() % 5) {
    case 0: {
      const auto bytes = random_bytes(random, 200);
      ASSERT_TRUE(file.write(offset, view(bytes)));
      Model::write(expected, offset, bytes);
      break;
    }
    case 1:
      ASSERT_TRUE(file.truncate(offset));
      expected.resize(offset);
      break;
    case 2:
      ASSERT_TRUE(file.preallocate(offset));
      expected.resize(std::max<std::size_t>(expected.size(), offset));
      break;
    case 3:
      ASSERT_TRUE(file.sync());
      break;
    default: {
      Bytes out(random() % 300);
      const auto status = file.read(offset, out);
      ASSERT_EQ(kind_of(status), Model::read(expected, offset, out.size()));
      if (status && !out.empty()) ASSERT_EQ(text(out), expected.substr(offset, out.size()));
    }
  }
}

void change_names(std::mt19937_64& random, FileSystem& files, Model& model) {
  const auto path = random_path(random);
  const bool there = model.content.contains(path);
  switch (random() % 4) {
    case 0: {
      const auto file = files.create(path, FileMode::secret);
      ASSERT_EQ(kind_of(file), there ? std::optional(ErrorKind::conflict) : std::nullopt);
      if (!there) model.content[path] = "";
      break;
    }
    case 1: {
      const auto to = random_path(random);
      const auto status = files.rename(path, to);
      ASSERT_EQ(kind_of(status), there ? std::nullopt : std::optional(ErrorKind::not_found));
      if (!there || to == path) break;
      model.content[to] = model.content[path];
      model.content.erase(path);
      break;
    }
    case 2:
      ASSERT_EQ(kind_of(files.remove(path)), there ? std::nullopt : std::optional(ErrorKind::not_found));
      model.content.erase(path);
      break;
    default:
      ASSERT_EQ(files.exists(path), there);
      ASSERT_TRUE(files.sync_directory(parent_of(path)));
  }
}

std::map<std::string, std::string> everything(FileSystem& files, const std::string& directory = "") {
  std::map<std::string, std::string> found;
  for (const auto& entry : files.list(directory).value()) {
    const auto path = join(directory, entry.name);
    if (entry.is_directory)
      found.merge(everything(files, path));
    else
      found[path] = text(read_file(files, path, 1 << 20).value());
  }
  return found;
}

TEST_P(FilesTest, DoesWhatTheModelDoes) {
  for (int round = 0; round < 5 * test_scale(); ++round) {
    const std::uint64_t seed = 1'000 + static_cast<std::uint64_t>(round);
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937_64 random(seed);
    Model model;
    for (const auto& [path, content] : everything(files())) ASSERT_TRUE(files().remove(path));
    ASSERT_TRUE(files().make_directories("d"));
    ASSERT_TRUE(files().make_directories("e"));
    for (int step = 0; step < 300; ++step) {
      const auto path = random_path(random);
      if (model.content.contains(path) && random() % 3 != 0) {
        auto file = files().open(path);
        ASSERT_TRUE(file);
        change_content(random, **file, model.content[path]);
      } else {
        change_names(random, files(), model);
      }
      if (testing::Test::HasFatalFailure()) return;
    }
    ASSERT_EQ(everything(files()), model.content);
    ASSERT_EQ(everything(*again()), model.content);
  }
}

TEST_P(FilesTest, ReadsExactlyOrSaysWhereTheFileEnds) {
  put("a", "0123456789");
  const auto file = files().open_read_only("a");
  ASSERT_TRUE(file);
  Bytes out(4);
  ASSERT_TRUE((*file)->read(6, out));
  EXPECT_EQ(text(out), "6789");
  const auto short_read = (*file)->read(7, out);
  ASSERT_EQ(kind_of(short_read), ErrorKind::corrupt);
  ASSERT_TRUE(short_read.error().where);
  EXPECT_EQ(short_read.error().where->offset, 10u);
  EXPECT_EQ(kind_of((*file)->read(11, out)), ErrorKind::corrupt);
  EXPECT_TRUE((*file)->read(11, std::span(out).first(0)));
}

TEST_P(FilesTest, AReadOnlyFileCannotBeChanged) {
  put("a", "x");
  const auto file = files().open_read_only("a");
  ASSERT_TRUE(file);
  EXPECT_EQ(kind_of((*file)->write(0, view("y"))), ErrorKind::io);
  EXPECT_EQ(kind_of((*file)->truncate(0)), ErrorKind::io);
  EXPECT_EQ(get("a"), "x");
}

TEST_P(FilesTest, NamesThatAreMissingOrTaken) {
  EXPECT_EQ(kind_of(files().open("a")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(files().open_read_only("a")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(files().create("no/a", FileMode::secret)), ErrorKind::not_found);
  EXPECT_EQ(kind_of(files().list("no")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(files().sync_directory("no")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(files().rename("a", "b")), ErrorKind::not_found);
  EXPECT_EQ(kind_of(files().remove("a")), ErrorKind::not_found);
  put("a", "1");
  EXPECT_EQ(kind_of(files().create("a", FileMode::secret)), ErrorKind::conflict);
  EXPECT_EQ(kind_of(files().create("a/b", FileMode::secret)), ErrorKind::io);
  EXPECT_EQ(kind_of(files().make_directories("a/b")), ErrorKind::io);
  EXPECT_EQ(kind_of(files().list("a")), ErrorKind::io);
  EXPECT_EQ(get("a"), "1");
}

TEST_P(FilesTest, DirectoriesAreMadeListedAndRenamed) {
  ASSERT_TRUE(files().make_directories("x/y/z"));
  ASSERT_TRUE(files().make_directories("x/y/z"));
  put("x/y/b", "1");
  put("x/y/a", "2");
  const auto entries = files().list("x/y");
  ASSERT_TRUE(entries);
  ASSERT_EQ(entries->size(), 3u);
  EXPECT_EQ((*entries)[0].name, "a");
  EXPECT_EQ((*entries)[1].name, "b");
  EXPECT_EQ((*entries)[2].name, "z");
  EXPECT_FALSE((*entries)[0].is_directory);
  EXPECT_TRUE((*entries)[2].is_directory);
  EXPECT_EQ(kind_of(files().remove("x/y/z")), ErrorKind::io);
  EXPECT_EQ(kind_of(files().rename("x", "x/y/z/w")), ErrorKind::io);
  EXPECT_EQ(kind_of(files().rename("x/y/a", "x/y/z")), ErrorKind::io);
  ASSERT_TRUE(files().rename("x/y", "moved"));
  EXPECT_EQ(get("moved/b"), "1");
  EXPECT_FALSE(files().exists("x/y"));
}

TEST_P(FilesTest, ARemovedFileStaysReadableWhileOpen) {
  put("a", "still here");
  auto file = files().open("a");
  ASSERT_TRUE(file);
  ASSERT_TRUE(files().remove("a"));
  EXPECT_FALSE(files().exists("a"));
  Bytes out(10);
  ASSERT_TRUE((*file)->read(0, out));
  EXPECT_EQ(text(out), "still here");
  ASSERT_TRUE((*file)->write(0, view("S")));
  ASSERT_TRUE((*file)->sync());
}

TEST_P(FilesTest, RenameReplacesAndOpenFilesFollowTheirContent) {
  put("a", "new");
  put("b", "old");
  auto old = files().open("b");
  ASSERT_TRUE(old);
  ASSERT_TRUE(files().rename("a", "b"));
  EXPECT_EQ(get("b"), "new");
  Bytes out(3);
  ASSERT_TRUE((*old)->read(0, out));
  EXPECT_EQ(text(out), "old");
}

TEST_P(FilesTest, ReplaceFileAlsoOverALeftoverTemporary) {
  put("conf.tmp", "left by a crash, and longer than what comes");
  ASSERT_TRUE(replace_file(files(), "conf", view("one"), FileMode::secret));
  EXPECT_EQ(get("conf"), "one");
  ASSERT_TRUE(replace_file(files(), "conf", view("two"), FileMode::secret));
  EXPECT_EQ(get("conf"), "two");
  EXPECT_FALSE(files().exists("conf.tmp"));
  EXPECT_EQ(kind_of(read_file(files(), "conf", 2)), ErrorKind::corrupt);
}

TEST_P(FilesTest, OneLockAtATime) {
  auto lock = files().lock("LOCK");
  ASSERT_TRUE(lock);
  const auto other = again();
  EXPECT_EQ(kind_of(other->lock("LOCK")), ErrorKind::conflict);
  lock->reset();
  EXPECT_TRUE(other->lock("LOCK"));
}

TEST_P(FilesTest, AskingForALockTakesNoneAndMakesNoFile) {
  const auto other = again();
  EXPECT_FALSE(other->is_locked("LOCK").value());
  EXPECT_FALSE(files().exists("LOCK"));
  auto lock = files().lock("LOCK");
  ASSERT_TRUE(lock);
  EXPECT_TRUE(other->is_locked("LOCK").value());
  lock->reset();
  EXPECT_FALSE(other->is_locked("LOCK").value());
  EXPECT_TRUE(files().lock("LOCK"));
}

TEST_P(FilesTest, PreallocationKeepsContentAndAddsZeros) {
  put("a", "abc");
  auto file = files().open("a");
  ASSERT_TRUE((*file)->preallocate(2));
  EXPECT_EQ(get("a"), "abc");
  ASSERT_TRUE((*file)->preallocate(3'000'000));
  EXPECT_EQ((*file)->size(), 3'000'000u);
  Bytes out(3'000'000);
  ASSERT_TRUE((*file)->read(0, out));
  EXPECT_EQ(text(ByteView(out).first(3)), "abc");
  EXPECT_TRUE(std::ranges::all_of(out.begin() + 3, out.end(), [](auto byte) { return byte == 0; }));
  EXPECT_GT(files().free_bytes().value(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Disks, FilesTest, testing::Values(Kind::posix, Kind::sim),
                         [](const auto& about) { return about.param == Kind::posix ? "posix" : "sim"; });

}  // namespace
}  // namespace vestige::platform
