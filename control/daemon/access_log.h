// The access log of mode http: a thread that takes finished records from the workers' rings and writes them as lines.
//
// Workers never wait for it: a ring that is full counts its records as lost. The control thread never waits for a disk
// either, which is why this is a thread of its own. It sleeps while no virtual server logs.
//
//   AccessLog log({&proxy0.access_log(), &proxy1.access_log()});
//   log.configure("/var/log/sluice/access.log", true);    // whenever the configuration changes
//   log.reopen();                                         // SIGHUP, after logrotate renamed the file
//
// Called by: control/daemon/daemon. Runs on: control thread; the writing on its own thread.
// Tested by: tests/control/daemon/access_log_test.cc, tests/lab/http_test.py
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "control/admin/status.h"
#include "control/io/log_file.h"
#include "lb/l7/records.h"

namespace sluice::daemon {

class AccessLog {
 public:
  // The rings outlive it; nobody else takes from them.
  explicit AccessLog(std::vector<lb::AccessRing*> rings) : rings_(std::move(rings)) {}
  ~AccessLog() { stop(); }

  // `wanted`: some virtual server logs. Without, what is in the rings is still written, then the file is closed.
  void configure(const std::string& path, bool wanted);
  void reopen();
  admin::AccessLogStatus status() const;
  // Writes what is there and ends the thread. Nothing is written afterwards.
  void stop();

 private:
  static constexpr std::size_t kBatch = 1024;
  static constexpr auto kPoll = std::chrono::milliseconds(20);
  static constexpr auto kIdlePoll = std::chrono::seconds(1);
  static constexpr auto kRetry = std::chrono::seconds(1);  // after the file could not be written

  void run();
  std::size_t take(lb::AccessRing& ring);
  void write(std::size_t lines);
  void follow();
  void note(const Status& status);

  const std::vector<lb::AccessRing*> rings_;
  std::thread thread_;
  std::condition_variable wake_;
  mutable std::mutex mutex_;  // protects the following
  std::string path_;
  std::string error_;
  bool wanted_ = false, reopen_ = false, stop_ = false;
  // By the writing thread alone.
  std::unique_ptr<io::LogFile> file_;
  std::vector<lb::AccessRecord> records_;
  std::string text_;
  std::chrono::steady_clock::time_point retry_at_{};
  // Read by anybody.
  std::atomic<std::uint64_t> written_{0}, bytes_{0}, lost_{0};
  std::atomic<bool> open_{false};
};

}  // namespace sluice::daemon
