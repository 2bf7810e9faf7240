// The table of algorithms, and the walk through a pool's tiers; see balance.h.
#include "lb/balance/balance.h"

#include <algorithm>

namespace sluice::lb::balance {

const BalanceOps& ops_of(Balance balance) {
  switch (balance) {
    case Balance::round_robin:
      return kRoundRobin;
    case Balance::ratio_member:
      return kRatioMember;
    case Balance::least_connections_member:
      return kLeastConnectionsMember;
    case Balance::least_connections_node:
      return kLeastConnectionsNode;
    case Balance::ratio_least_connections_member:
      return kRatioLeastConnectionsMember;
    case Balance::weighted_least_connections_member:
      return kWeightedLeastConnectionsMember;
    case Balance::maglev:
      return kMaglev;
  }
  return kRoundRobin;
}

BalanceStateFactory state_factory(unsigned workers) {
  return [workers](const Pool& pool, const Tier& tier) {
    return ops_of(pool.spec.balance).make_state(pool, tier, workers);
  };
}

Picked pick(const Pool& pool, const PickRequest& request) {
  const BalanceOps& ops = ops_of(pool.spec.balance);
  for (const Tier& tier : pool.tiers) {
    if (const Member* member = ops.pick(pool, tier, request)) return {member, false};
  }
  // Every member of a tier may take a connection but for its limit.
  return {nullptr, !pool.tiers.empty()};
}

}  // namespace sluice::lb::balance
