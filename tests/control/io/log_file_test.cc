// LogFile: appends, makes its folder, is made anew after close, and refuses what is no file.
#include "control/io/log_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace sluice::io {
namespace {

namespace fs = std::filesystem;

class LogFileTest : public testing::Test {
 protected:
  LogFileTest() : folder_(fs::temp_directory_path() / ("sluice-log-file-" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
  }
  ~LogFileTest() override { fs::remove_all(folder_); }
  static std::string text(const fs::path& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  const fs::path folder_;
};

TEST_F(LogFileTest, AppendsAndIsMadeAnew) {
  LogFile file(folder_ / "a.log");
  std::size_t written = 0;
  ASSERT_TRUE(file.write("one\n", written));
  EXPECT_EQ(written, 4u);
  ASSERT_TRUE(file.write("two\n", written));
  EXPECT_EQ(text(folder_ / "a.log"), "one\ntwo\n");
  fs::rename(folder_ / "a.log", folder_ / "a.log.1");
  file.close();
  ASSERT_TRUE(file.write("three\n", written));
  EXPECT_EQ(text(folder_ / "a.log"), "three\n");
  EXPECT_EQ(text(folder_ / "a.log.1"), "one\ntwo\n");
}

TEST_F(LogFileTest, RefusesWhatIsNoFile) {
  fs::create_directory(folder_);
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  fs::create_directory(folder_ / "folder");
  std::size_t written = 0;
  for (const char* name : {"pipe", "folder", "no/such/folder"}) {
    LogFile file(folder_ / name);
    EXPECT_FALSE(file.write("x\n", written)) << name;
    EXPECT_FALSE(file.is_open()) << name;
  }
  LogFile full("/dev/full");
  EXPECT_FALSE(full.write("x\n", written));
}

}  // namespace
}  // namespace sluice::io
