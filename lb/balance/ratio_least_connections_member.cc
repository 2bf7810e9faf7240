// ratio-least-connections-member: fewest open connections in relation to the member's ratio.
#include "lb/balance/least_connections.h"

namespace sluice::lb::balance {
namespace {

float weight(const Member& member) { return 1.0f / static_cast<float>(member.ratio); }

std::unique_ptr<BalanceState> make_state(const Pool& pool, const Tier& tier, unsigned workers) {
  return std::make_unique<LeastConnections>(pool, tier, workers, weight);
}

const Member* pick(const Pool& pool, const Tier& tier, const PickRequest& request) {
  return static_cast<LeastConnections&>(*tier.balance_state).pick(pool, request);
}

}  // namespace

const BalanceOps kRatioLeastConnectionsMember{"ratio-least-connections-member", make_state, pick};

}  // namespace sluice::lb::balance
