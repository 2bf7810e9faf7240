// Every way in which files change under editors, Kubernetes volumes and people; none missed, bursts told once.
#include "control/io/file_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

namespace sluice::io {
namespace {

namespace fs = std::filesystem;

class FileWatchTest : public ::testing::Test {
 protected:
  FileWatchTest() {
    static std::atomic<int> counter{0};
    root_ =
        fs::temp_directory_path() / ("sluice-watch-" + std::to_string(::getpid()) + "-" + std::to_string(counter++));
    fs::create_directories(root_);
  }
  ~FileWatchTest() override {
    watch_.reset();
    fs::remove_all(root_);
  }

  void start(std::vector<fs::path> paths, Duration debounce = 5ms, Duration debounce_max = 200ms) {
    FileWatchOptions options;
    for (const auto& path : paths) options.paths.push_back(path.string());
    options.debounce = debounce;
    options.debounce_max = debounce_max;
    options.on_change = [this] { ++changes_; };
    auto watch = FileWatch::start(io_, std::move(options));
    ASSERT_TRUE(watch) << watch.error().text();
    watch_ = std::move(*watch);
  }

  // Runs until a change is told (true), or for `wait` without one.
  bool changed(std::chrono::milliseconds wait = std::chrono::milliseconds(2000)) {
    const int before = changes_;
    const auto end = std::chrono::steady_clock::now() + wait;
    while (changes_ == before && std::chrono::steady_clock::now() < end) {
      io_.restart();
      io_.run_one_until(end);
    }
    return changes_ != before;
  }
  bool quiet() { return !changed(std::chrono::milliseconds(60)); }

  static void write(const fs::path& path, std::string_view text) { std::ofstream(path) << text; }

  fs::path root_;
  boost::asio::io_context io_;
  int changes_ = 0;
  std::unique_ptr<FileWatch> watch_;
};

TEST_F(FileWatchTest, WrittenInPlace) {
  write(root_ / "a.yaml", "1");
  start({root_ / "a.yaml"});
  EXPECT_TRUE(quiet());
  write(root_ / "a.yaml", "2");
  EXPECT_TRUE(changed());
  EXPECT_TRUE(quiet());
}

TEST_F(FileWatchTest, ReplacedByRenameTwice) {
  write(root_ / "a.yaml", "1");
  start({root_ / "a.yaml"});
  for (int i = 0; i < 2; ++i) {
    write(root_ / ".a.yaml.new", "2");
    fs::rename(root_ / ".a.yaml.new", root_ / "a.yaml");
    EXPECT_TRUE(changed()) << i;
  }
}

TEST_F(FileWatchTest, OtherFilesBesideItDoNotMatter) {
  write(root_ / "a.yaml", "1");
  start({root_ / "a.yaml"});
  write(root_ / "b.yaml", "1");
  EXPECT_TRUE(quiet());
}

TEST_F(FileWatchTest, MadeLaterWithItsFolders) {
  start({root_ / "x" / "y" / "a.yaml"});
  fs::create_directory(root_ / "x");
  EXPECT_TRUE(changed());
  fs::create_directory(root_ / "x" / "y");
  EXPECT_TRUE(changed());
  write(root_ / "x" / "y" / "a.yaml", "1");
  EXPECT_TRUE(changed());
}

TEST_F(FileWatchTest, FolderGainsLosesAndChangesFiles) {
  const fs::path folder = root_ / "manifests";
  fs::create_directory(folder);
  start({folder.string() + "/"});
  write(folder / "a.yaml", "1");
  EXPECT_TRUE(changed());
  write(folder / "a.yaml", "2");
  EXPECT_TRUE(changed());
  fs::remove(folder / "a.yaml");
  EXPECT_TRUE(changed());
}

TEST_F(FileWatchTest, FolderRemovedAndMadeAgain) {
  const fs::path folder = root_ / "manifests";
  fs::create_directory(folder);
  start({folder});
  fs::remove_all(folder);
  EXPECT_TRUE(changed());
  fs::create_directory(folder);
  EXPECT_TRUE(changed());
  write(folder / "a.yaml", "1");
  EXPECT_TRUE(changed());
}

TEST_F(FileWatchTest, ConfigMapVolumeSwapsItsDataLink) {
  const fs::path folder = root_ / "volume";
  fs::create_directories(folder / "..1");
  write(folder / "..1" / "a.yaml", "1");
  fs::create_directory_symlink("..1", folder / "..data");
  fs::create_symlink("..data/a.yaml", folder / "a.yaml");
  start({folder / "a.yaml"});
  for (int i = 2; i < 5; ++i) {
    const std::string next = ".." + std::to_string(i);
    fs::create_directories(folder / next);
    write(folder / next / "a.yaml", std::to_string(i));
    fs::create_directory_symlink(next, folder / "..data_tmp");
    fs::rename(folder / "..data_tmp", folder / "..data");
    fs::remove_all(folder / (".." + std::to_string(i - 1)));
    EXPECT_TRUE(changed()) << i;
  }
}

TEST_F(FileWatchTest, LinkInAFolderToAFileElsewhere) {
  const fs::path folder = root_ / "manifests";
  fs::create_directories(folder);
  fs::create_directories(root_ / "elsewhere");
  write(root_ / "elsewhere" / "a.yaml", "1");
  fs::create_symlink(root_ / "elsewhere" / "a.yaml", folder / "a.yaml");
  start({folder});
  write(root_ / "elsewhere" / "a.yaml", "2");
  EXPECT_TRUE(changed());
}

TEST_F(FileWatchTest, LinksInACircleEndSomewhere) {
  fs::create_symlink(root_ / "b", root_ / "a");
  fs::create_symlink(root_ / "a", root_ / "b");
  start({root_ / "a"});
  fs::remove(root_ / "a");
  write(root_ / "a", "1");
  EXPECT_TRUE(changed());
}

TEST_F(FileWatchTest, ABurstIsToldOnce) {
  write(root_ / "a.yaml", "0");
  start({root_ / "a.yaml"}, 50ms, 5s);
  for (int i = 0; i < 200; ++i) write(root_ / "a.yaml", std::to_string(i));
  EXPECT_TRUE(changed());
  EXPECT_FALSE(changed(std::chrono::milliseconds(150)));
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, ABusyFolderIsToldAllTheSame) {
  write(root_ / "a.yaml", "0");
  start({root_ / "a.yaml"}, 100ms, 150ms);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(400);
  while (std::chrono::steady_clock::now() < end) {  // never quiet for 100 ms
    write(root_ / "a.yaml", "1");
    io_.restart();
    io_.run_for(std::chrono::milliseconds(10));
  }
  EXPECT_GE(changes_, 1);
}

TEST_F(FileWatchTest, OtherPathsFromNowOn) {
  write(root_ / "a.yaml", "1");
  start({root_ / "a.yaml"});
  watch_->set_paths({(root_ / "b.yaml").string()});
  write(root_ / "a.yaml", "2");
  EXPECT_TRUE(quiet());
  write(root_ / "b.yaml", "1");
  EXPECT_TRUE(changed());
}

TEST_F(FileWatchTest, NothingAfterItsEnd) {
  write(root_ / "a.yaml", "1");
  start({root_ / "a.yaml"}, 1ms);
  write(root_ / "a.yaml", "2");
  watch_.reset();
  EXPECT_TRUE(quiet());
  EXPECT_EQ(io_.poll(), 0u);
}

}  // namespace
}  // namespace sluice::io
