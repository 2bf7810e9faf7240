// LeastConnections: the member with the fewest open connections by some weight; the algorithms differ in the weight.
//
// Called by: lb/balance/*least_connections_member. Runs on: workers (pick), control thread (constructor).
// Tested by: tests/lb/balance/least_connections_test.cc, threads_test.cc
#pragma once

#include <vector>

#include "lb/balance/load_scan.h"

namespace sluice::lb::balance {

class LeastConnections final : public BalanceState {
 public:
  using Weight = float (*)(const Member& member);
  LeastConnections(const Pool& pool, const Tier& tier, unsigned workers, Weight weight);
  const Member* pick(const Pool& pool, const PickRequest& request);

 private:
  Weight weight_;
  LoadScan scan_;
  std::vector<std::uint32_t> member_of_slot_;  // indexes into Pool::members
  std::vector<std::uint32_t> ramping_;         // likewise: those that ramp up, or did when this was made
  RampClock ramps_;
};

}  // namespace sluice::lb::balance
