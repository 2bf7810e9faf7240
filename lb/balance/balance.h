// Balancing: picks a member of a pool for a new connection. One file per algorithm, one table of them.
//
//   Builder builder(registry, balance::state_factory(workers));   // control thread: makes what algorithms remember
//   const Picked picked = balance::pick(pool, {now, worker, client});
//   if (picked.member == nullptr) ...                              // refused, picked.at_limit says why
//   ...
//   picked.member->runtime->release();                             // when the connection ends
//
// A pick takes the connection: counts rise before anybody else picks, so they are exact over all workers.
// Slow ramp: a member that came up takes elapsed/ramp_time of its share: round-robin and ratio skip the rest of its
// turns, the least-connections family compares its connections divided by that fraction. Maglev has no ramp.
//
// Called by: lb/l4, lb/l7. Runs on: workers (pick), control thread (make_state). Follows: F5 BIG-IP LTM's names.
// Tested by: tests/lb/balance/*. Cost: bench/micro/balance_bench.cc
#pragma once

#include <memory>
#include <string_view>

#include "lb/snapshot/builder.h"
#include "lb/snapshot/pool.h"

namespace sluice::lb::balance {

struct PickRequest {
  Instant now{};
  unsigned worker = 0;
  Ipv4Address client;
};

struct Picked {
  const Member* member = nullptr;
  bool at_limit = false;  // no member, and some only for their connection limit
};

// One algorithm. `pick` has taken a connection of the member that it returns; null: none of the tier can take one.
struct BalanceOps {
  std::string_view name;
  std::unique_ptr<BalanceState> (*make_state)(const Pool& pool, const Tier& tier, unsigned workers);
  const Member* (*pick)(const Pool& pool, const Tier& tier, const PickRequest& request);
};

const BalanceOps& ops_of(Balance balance);
BalanceStateFactory state_factory(unsigned workers);

Picked pick(const Pool& pool, const PickRequest& request);

// The algorithms.
extern const BalanceOps kRoundRobin, kRatioMember, kLeastConnectionsMember, kLeastConnectionsNode,
    kRatioLeastConnectionsMember, kWeightedLeastConnectionsMember, kMaglev;

}  // namespace sluice::lb::balance
