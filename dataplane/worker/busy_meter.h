// BusyMeter: what a worker's time goes into: turns that found work are busy, all else (spinning, sleeping) is idle.
//
//   meter.turn_ended(tsc(), busy);       // after each turn
//   meter.pause_ended(tsc());            // after spinning or sleeping, which is idle whatever the next turn finds
//
// Called by: worker/worker. Runs on: its worker; any thread reads. Tested by: tests/dataplane/worker/busy_meter_test.cc
#pragma once

#include <cstdint>

#include "dataplane/base/counter.h"

namespace sluice::worker {

class BusyMeter {
 public:
  void start(std::uint64_t cycles) { at_ = cycles; }
  void turn_ended(std::uint64_t cycles, bool busy) {
    (busy ? busy_cycles_ : idle_cycles_).add(cycles - at_);
    at_ = cycles;
    turns_.add();
    if (busy) busy_turns_.add();
  }
  void pause_ended(std::uint64_t cycles) {
    idle_cycles_.add(cycles - at_);
    at_ = cycles;
  }

  std::uint64_t turns() const { return turns_.get(); }
  std::uint64_t busy_turns() const { return busy_turns_.get(); }
  std::uint64_t busy_cycles() const { return busy_cycles_.get(); }
  std::uint64_t idle_cycles() const { return idle_cycles_.get(); }

 private:
  std::uint64_t at_ = 0;
  Counter turns_, busy_turns_, busy_cycles_, idle_cycles_;
};

}  // namespace sluice::worker
