// SpinBudget: how long an idle worker looks for work before it sleeps: for as long as that pays, and no longer.
//
// To be woken costs the worker tens of microseconds and the one who wakes it an interrupt to another core. To spin
// costs whoever else could use this core, and where that is the one whose packets we wait for, spinning keeps them from
// coming. So the budget follows what was seen: work that came soon after the worker fell asleep raises it to twice that
// time (100 us at most), spinning in vain halves it. After each time in vain twice as many such short sleeps are needed
// before it is tried again, until it pays.
//
//   if (now - idle_since < budget.duration()) spin; else { budget.in_vain(); sleep; }
//   found work while spinning -> budget.paid(now - idle_since);  woken by work -> budget.slept(now - idle_since);
//
// Called by: worker/worker. Runs on: its worker. Tested by: tests/dataplane/worker/spin_budget_test.cc
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/base/time.h"

namespace sluice::worker {

class SpinBudget {
 public:
  static constexpr Duration kMost = 100us;

  Duration duration() const { return duration_; }
  // Work came after so much spinning.
  void paid(Duration waited) {
    distrust_ = 0;
    raise(waited);
  }
  // None came: the worker goes to sleep.
  void in_vain() {
    if (duration_ == Duration::zero()) return;
    duration_ = duration_ < 2us ? Duration::zero() : duration_ / 2;
    distrust_ = std::min(distrust_ * 2 + 1, kDistrustMost);
    short_sleeps_ = 0;
  }
  // Work woke the worker, so long after its last work.
  void slept(Duration waited) {
    if (waited > kMost) {
      short_sleeps_ = 0;
    } else if (++short_sleeps_ > distrust_) {
      raise(waited);
    }
  }

 private:
  static constexpr std::uint32_t kDistrustMost = 1023;
  void raise(Duration waited) { duration_ = std::max(duration_, std::min(waited * 2, kMost)); }

  Duration duration_ = Duration::zero();
  std::uint32_t short_sleeps_ = 0;  // one after the other, since the last time in vain
  std::uint32_t distrust_ = 0;      // short sleeps to see before the budget is raised again
};

}  // namespace sluice::worker
