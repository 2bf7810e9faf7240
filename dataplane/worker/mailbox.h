// Mailbox: Tasks travel to a worker in one bounded ring and come back in another; overflow waits with the sender.
//
// Called by: worker/engine (control side), worker/worker (worker side). Runs on: see each member.
// Tested by: tests/dataplane/worker/task_test.cc
#pragma once

#include <cstddef>
#include <deque>
#include <memory>

#include "dataplane/base/spsc_ring.h"
#include "dataplane/worker/application.h"

namespace sluice::worker {

inline constexpr std::size_t kMailboxDepth = 1024;  // tasks in flight
inline constexpr unsigned kTasksPerTurnMax = 8;

class Mailbox {
 public:
  Mailbox() : in_(kMailboxDepth), out_(kMailboxDepth) {}

  // ---- control thread ----
  void post(std::unique_ptr<Task> task) {
    waiting_.push_back(std::move(task));
    feed();
  }
  // done() for every task that came back, then its end; a done() may post again. Returns how many came back.
  std::size_t collect() {
    std::size_t count = 0;
    while (auto task = out_.pop()) {
      --in_flight_;
      ++count;
      (*task)->done();
    }
    feed();
    return count;
  }
  // For tasks that will not run any more, once the worker's thread has ended.
  std::size_t abandon() {
    std::size_t count = 0;
    const auto finish = [&](std::unique_ptr<Task> task) {
      task->done();
      ++count;
    };
    while (auto task = out_.pop()) finish(std::move(*task));
    while (auto task = in_.pop()) finish(std::move(*task));
    for (; !waiting_.empty(); waiting_.pop_front()) finish(std::move(waiting_.front()));
    in_flight_ = 0;
    return count;
  }
  std::size_t in_flight() const { return in_flight_ + waiting_.size(); }

  // ---- worker ----
  // Runs at most `max` tasks and sends them back. Returns how many.
  unsigned run(Instant now, unsigned max) {
    unsigned count = 0;
    for (; count < max; ++count) {
      auto task = in_.pop();
      if (!task) break;
      (*task)->run(now);
      out_.push(std::move(*task));  // has room: no more than kMailboxDepth are in flight
    }
    return count;
  }
  bool empty() const { return in_.empty(); }

 private:
  void feed() {
    while (!waiting_.empty() && in_flight_ < kMailboxDepth) {
      in_.push(std::move(waiting_.front()));
      waiting_.pop_front();
      ++in_flight_;
    }
  }

  SpscRing<std::unique_ptr<Task>> in_;
  SpscRing<std::unique_ptr<Task>> out_;
  std::size_t in_flight_ = 0;                  // in one of the rings, or running
  std::deque<std::unique_ptr<Task>> waiting_;  // control thread only
};

}  // namespace sluice::worker
