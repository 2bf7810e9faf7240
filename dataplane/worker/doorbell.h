// Doorbell: wakes a worker that sleeps in poll(2); costs the visitor one locked instruction while the worker is awake.
//
//   worker: arm(); if (nothing waits) poll(fd(), ...); disarm();
//   other:  publish the work; ring();
// One of the two always sees the other: arm() and ring() are sequentially consistent exchanges on the same flag.
//
// Called by: worker (sleeps), control thread and other workers (ring). Runs on: any thread.
// Tested by: tests/dataplane/worker/doorbell_test.cc
#pragma once

#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace sluice::worker {

class Doorbell {
 public:
  Doorbell() : fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  ~Doorbell() {
    if (fd_ >= 0) close(fd_);
  }
  Doorbell(const Doorbell&) = delete;
  Doorbell& operator=(const Doorbell&) = delete;

  int fd() const { return fd_; }  // -1: no descriptor was free
  void ring() {
    if (armed_.exchange(false)) {
      const std::uint64_t one = 1;
      static_cast<void>(!write(fd_, &one, sizeof one));  // can only fail when it is readable already
    }
  }
  void arm() { armed_.exchange(true); }
  void disarm() {
    if (armed_.exchange(false)) return;  // nobody rang
    std::uint64_t count = 0;
    static_cast<void>(!read(fd_, &count, sizeof count));
  }

 private:
  const int fd_;
  std::atomic<bool> armed_{false};
};

}  // namespace sluice::worker
