// The access log's thread: every record becomes a line, a renamed file is made anew, what cannot be written is counted.
#include "control/daemon/access_log.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

namespace sluice::daemon::access_log_test {
namespace {

namespace fs = std::filesystem;

// Waits for what another thread does; the deadline is only for a broken build.
bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 20000; ++i) {
    if (condition()) return true;
    ::usleep(1000);
  }
  return false;
}

class AccessLogTest : public testing::Test {
 protected:
  AccessLogTest() : folder_(fs::temp_directory_path() / ("sluice-access-log-" + std::to_string(::getpid()))) {
    fs::remove_all(folder_);
  }
  ~AccessLogTest() override { fs::remove_all(folder_); }

  void add(lb::AccessRing& ring, unsigned count, std::string_view target) {
    for (unsigned i = 0; i < count; ++i) {
      const std::uint32_t index = ring.open();
      if (index == lb::AccessRing::kNone) continue;
      ring.at(index).target = target;
      ring.close(index);
    }
  }
  static std::vector<std::string> lines(const fs::path& path) {
    std::vector<std::string> out;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }

  const fs::path folder_;
  lb::AccessRing first_, second_;
  AccessLog log_{{&first_, &second_}};
};

TEST_F(AccessLogTest, WritesWhatTheWorkersLog) {
  const fs::path path = folder_ / "access.log";
  log_.configure(path, true);
  add(first_, 3, "/one");
  add(second_, 2, "/two");
  ASSERT_TRUE(eventually([&] { return log_.status().written == 5; }));
  const auto text = lines(path);
  ASSERT_EQ(text.size(), 5u);
  unsigned ones = 0;
  for (const std::string& line : text) ones += nlohmann::json::parse(line)["target"] == "/one" ? 1 : 0;
  EXPECT_EQ(ones, 3u);
  EXPECT_EQ(log_.status().bytes, fs::file_size(path));
  EXPECT_TRUE(log_.status().open);
  EXPECT_EQ(fs::status(path).permissions() & fs::perms::others_all, fs::perms::none);
  log_.configure(path, false);
  EXPECT_TRUE(eventually([&] { return !log_.status().open; }));
}

TEST_F(AccessLogTest, ARenamedFileIsMadeAnew) {
  const fs::path path = folder_ / "access.log", old = folder_ / "access.log.1";
  log_.configure(path, true);
  add(first_, 1, "/before");
  ASSERT_TRUE(eventually([&] { return log_.status().written == 1; }));
  fs::rename(path, old);
  add(first_, 1, "/between");  // still into the old one
  ASSERT_TRUE(eventually([&] { return log_.status().written == 2; }));
  log_.reopen();
  ASSERT_TRUE(eventually([&] {
    add(first_, 1, "/after");
    return fs::exists(path);
  }));
  const auto size = fs::file_size(old);
  add(first_, 1, "/last");
  ASSERT_TRUE(
      eventually([&] { return !lines(path).empty() && lines(path).back().find("/last") != std::string::npos; }));
  EXPECT_EQ(fs::file_size(old), size);
}

TEST_F(AccessLogTest, WhatCannotBeWrittenIsCountedAndSaid) {
  log_.configure(folder_ / "no" / "such" / "folder", true);
  add(first_, 4, "/");
  ASSERT_TRUE(eventually([&] { return log_.status().lost == 4; }));
  EXPECT_NE(log_.status().error.find("cannot be opened"), std::string::npos);
  EXPECT_FALSE(log_.status().open);
  log_.configure(folder_ / "access.log", true);
  add(first_, 2, "/");
  ASSERT_TRUE(eventually([&] { return log_.status().written == 2; }));
  EXPECT_EQ(log_.status().error, "");
}

TEST_F(AccessLogTest, ARingThatIsFullLosesAndCounts) {
  add(first_, lb::AccessRing::kOpenMax + 100, "/");  // nobody takes: the thread does not run yet
  EXPECT_GE(log_.status().lost, 100u);
  const std::uint64_t lost = log_.status().lost;
  log_.configure(folder_ / "access.log", true);
  ASSERT_TRUE(eventually([&] { return log_.status().written + lost == lb::AccessRing::kOpenMax + 100; }));
}

TEST_F(AccessLogTest, StopWritesTheRest) {
  const fs::path path = folder_ / "access.log";
  log_.configure(path, true);
  add(second_, 2000, "/");
  log_.stop();
  EXPECT_EQ(lines(path).size(), 2000u);
  log_.configure(path, true);  // too late
  EXPECT_FALSE(log_.status().open);
}

}  // namespace
}  // namespace sluice::daemon::access_log_test
