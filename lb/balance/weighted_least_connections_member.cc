// weighted-least-connections-member: fewest open connections as a part of the member's connection limit.
#include "lb/balance/least_connections.h"

namespace sluice::lb::balance {
namespace {

float weight(const Member& member) { return 1.0f / static_cast<float>(member.connection_limit); }

std::unique_ptr<BalanceState> make_state(const Pool& pool, const Tier& tier, unsigned workers) {
  return std::make_unique<LeastConnections>(pool, tier, workers, weight);
}

const Member* pick(const Pool& pool, const Tier& tier, const PickRequest& request) {
  return static_cast<LeastConnections&>(*tier.balance_state).pick(pool, request);
}

}  // namespace

const BalanceOps kWeightedLeastConnectionsMember{"weighted-least-connections-member", make_state, pick};

}  // namespace sluice::lb::balance
