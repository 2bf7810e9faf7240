// least-connections-node: the member whose address has the fewest open connections over all pools.
//
// Pointers to the nodes' counts stand side by side; ties rotate. Members of one node are taken in turn.
#include <limits>

#include "lb/balance/state.h"

namespace sluice::lb::balance {
namespace {

struct NodeState : BalanceState {
  mutable PerWorker<std::uint32_t> next;
  bool ramps = false;  // some member was ramping when this was made
};

std::unique_ptr<BalanceState> make_state(const Pool& pool, const Tier& tier, unsigned workers) {
  auto state = std::make_unique<NodeState>();
  state->next.resize(workers);
  for (const std::uint32_t i : tier.members) state->ramps |= pool.members[i].ramp_end != Instant::min();
  return state;
}

const Member* pick(const Pool& pool, const Tier& tier, const PickRequest& request) {
  const NodeState& state = static_cast<NodeState&>(*tier.balance_state);
  std::uint32_t& next = state.next[request.worker].value;
  const auto count = static_cast<std::uint32_t>(tier.members.size());
  for (;;) {
    const Member* best = nullptr;
    float best_score = std::numeric_limits<float>::max();
    std::uint32_t best_at = 0;
    for (std::uint32_t step = 0, at = next; step < count; ++step, at = at + 1 < count ? at + 1 : 0) {
      const Member& member = pool.members[tier.members[at]];
      auto score = static_cast<float>(member.runtime->node->connections.current() + 1);
      if (state.ramps) score /= ramp_fraction(member, request.now);
      if (score >= best_score) continue;
      if (member.connection_limit != 0 && member.runtime->connections.current() >= member.connection_limit) continue;
      best = &member;
      best_score = score;
      best_at = at;
    }
    if (best == nullptr) return nullptr;
    if (!best->runtime->acquire(best->connection_limit)) continue;  // another worker was faster
    next = best_at + 1 < count ? best_at + 1 : 0;
    return best;
  }
}

}  // namespace

const BalanceOps kLeastConnectionsNode{"least-connections-node", make_state, pick};

}  // namespace sluice::lb::balance
