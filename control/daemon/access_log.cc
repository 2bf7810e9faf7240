// From the workers' rings to a file; see access_log.h.
#include "control/daemon/access_log.h"

#include <pthread.h>
#include <signal.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/daemon/access_line.h"
#include "control/io/loop.h"

namespace sluice::daemon {

void AccessLog::configure(const std::string& path, bool wanted) {
  const std::lock_guard lock(mutex_);
  if (stop_ || (path_ == path && wanted_ == wanted)) return;
  path_ = path;
  wanted_ = wanted;
  if (wanted && !thread_.joinable()) {
    // Signals are for the control thread.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  wake_.notify_one();
}

void AccessLog::reopen() {
  const std::lock_guard lock(mutex_);
  reopen_ = true;
  wake_.notify_one();
}

void AccessLog::stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    wake_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

admin::AccessLogStatus AccessLog::status() const {
  admin::AccessLogStatus out;
  {
    const std::lock_guard lock(mutex_);
    out.file = path_;
    out.error = error_;
  }
  out.open = open_.load(std::memory_order_relaxed);
  out.written = written_.load(std::memory_order_relaxed);
  out.bytes = bytes_.load(std::memory_order_relaxed);
  out.lost = lost_.load(std::memory_order_relaxed);
  for (const lb::AccessRing* ring : rings_) out.lost += ring->lost();
  return out;
}

void AccessLog::run() {
  pthread_setname_np(pthread_self(), "access-log");
  records_.resize(kBatch);
  std::unique_lock lock(mutex_);
  for (;;) {
    const bool last = stop_, was_wanted = wanted_;
    follow();
    lock.unlock();
    std::size_t lines = 0;
    bool more = false;
    for (lb::AccessRing* ring : rings_) {
      const std::size_t n = take(*ring);
      lines += n;
      more = more || n == kBatch;
    }
    if (lines > 0) write(lines);
    lock.lock();
    if (more) continue;
    if (last) break;
    if (stop_ || reopen_ || wanted_ != was_wanted) continue;
    if (wanted_) {
      wake_.wait_for(lock, kPoll);
    } else {
      file_.reset();
      open_ = false;
      // Exchanges that ran when the last virtual server ceased to log still end: the rings are emptied now and then.
      wake_.wait_for(lock, kIdlePoll);
    }
  }
  file_.reset();
  open_ = false;
}

// The file that is wanted now, not yet open. The mutex is held.
void AccessLog::follow() {
  if (file_ != nullptr && file_->path() != path_) file_.reset();
  if (std::exchange(reopen_, false) && file_ != nullptr) file_->close();
  if (file_ != nullptr || !wanted_) return;
  file_ = std::make_unique<io::LogFile>(path_);
  retry_at_ = {};
}

std::size_t AccessLog::take(lb::AccessRing& ring) {
  const std::size_t n = ring.take(records_);
  const Instant now = io::now();
  const auto wall = std::chrono::system_clock::now();
  for (std::size_t i = 0; i < n; ++i) {
    append_access_line(text_, records_[i],
                       wall - std::chrono::duration_cast<std::chrono::microseconds>(now - records_[i].at));
  }
  return n;
}

void AccessLog::write(std::size_t lines) {
  std::size_t written = 0;
  const auto now = std::chrono::steady_clock::now();
  if (file_ != nullptr && now >= retry_at_) {
    const Status status = file_->write(text_, written);
    if (!status) retry_at_ = now + kRetry;
    note(status);
  }
  const auto whole = static_cast<std::size_t>(std::count(text_.begin(), text_.begin() + written, '\n'));
  written_ += whole;
  bytes_ += written;
  lost_ += lines - whole;
  open_ = file_ != nullptr && file_->is_open();
  text_.clear();
}

// Says once that something is wrong, and once that it is well again.
void AccessLog::note(const Status& status) {
  const std::string text = status ? std::string() : status.error().text();
  {
    const std::lock_guard lock(mutex_);
    if (text == error_) return;
    error_ = text;
  }
  if (!status) {
    spdlog::error("access log: {}", text);
  } else {
    spdlog::info("access log: {} is written again", file_->path());
  }
}

}  // namespace sluice::daemon
