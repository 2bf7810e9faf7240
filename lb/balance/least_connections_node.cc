// least-connections-node: the member whose address has the fewest open connections over all pools.
//
// The nodes' counts stand in the registry's LoadTable. Members of one node are taken in turn; a node is passed over
// only while all its members are at their limit.
#include <algorithm>
#include <limits>
#include <span>

#include "lb/balance/load_scan.h"

namespace sluice::lb::balance {
namespace {

// A node's members in this tier: a run of NodeState::members.
struct NodeMembers {
  std::uint32_t first = 0, count = 0;
};

// What a worker remembers: whose turn it is on each node, and how many turns there were.
struct Turns {
  std::vector<std::uint32_t> next;  // by node
  std::uint32_t count = 0;
};

struct NodeState final : BalanceState {
  NodeState(LoadTable& loads, unsigned workers) : scan(loads, workers), ramps(workers), turns(workers) {}
  LoadScan scan;
  RampClock ramps;
  std::vector<NodeMembers> nodes;
  std::vector<std::uint32_t> members;       // indexes into Pool::members, node by node
  std::vector<std::uint32_t> node_of_slot;  // indexes into nodes
  PerWorker<Turns> turns;
};

std::unique_ptr<BalanceState> make_state(const Pool& pool, const Tier& tier, unsigned workers) {
  auto state = std::make_unique<NodeState>(*pool.members[tier.members.front()].runtime->node->loads, workers);
  state->members = tier.members;
  std::ranges::stable_sort(state->members, {}, [&](std::uint32_t i) { return pool.members[i].runtime->node->slot; });
  for (std::uint32_t at = 0; at < state->members.size(); ++at) {
    const Member& member = pool.members[state->members[at]];
    const std::uint32_t slot = member.runtime->node->slot;
    if (slot >= state->node_of_slot.size()) {
      state->node_of_slot.resize(slot + 1, kNoMember);
      state->node_of_slot[slot] = static_cast<std::uint32_t>(state->nodes.size());
      state->nodes.push_back({at, 0});
      state->scan.add(slot, 1.0f, 0);
    }
    ++state->nodes.back().count;
    if (member.ramp_end != Instant::min()) state->ramps.until(member.ramp_end);
  }
  for (auto& turns : state->turns) turns.value.next.assign(state->nodes.size(), 0);
  return state;
}

// A node has the share of the member that is farthest up.
void set_ramps(NodeState& state, const Pool& pool, const PickRequest& request) {
  for (const NodeMembers& node : state.nodes) {
    float most = 0;
    for (const std::uint32_t i : std::span(state.members).subspan(node.first, node.count)) {
      most = std::max(most, ramp_fraction(pool.members[i], request.now));
    }
    const Member& first = pool.members[state.members[node.first]];
    state.scan.set_weight(request.worker, first.runtime->node->slot, 1.0f / most);
  }
}

bool has_room(const Member& member) {
  return member.connection_limit == 0 || member.runtime->connections.current() < member.connection_limit;
}

// The next of a node's members that has room; null: none has.
const Member* member_in_turn(std::span<const std::uint32_t> members, Turns& turns, std::uint32_t& next,
                             const Pool& pool, Instant now) {
  const auto count = static_cast<std::uint32_t>(members.size());
  for (const bool ramp : {count > 1, false}) {
    for (std::uint32_t tries = 0; tries < count; ++tries) {
      const Member& member = pool.members[members[next]];
      next = next + 1 < count ? next + 1 : 0;
      if (ramp && !takes_turn(member, now, ++turns.count)) continue;
      if (has_room(member)) return &member;
    }
    if (!ramp) break;
  }
  return nullptr;
}

// Some node's members are all at their limit: every member is looked at.
const Member* pick_with_room(const Pool& pool, const Tier& tier, const PickRequest& request) {
  for (;;) {
    const Member* best = nullptr;
    float best_score = std::numeric_limits<float>::max();
    for (const std::uint32_t i : tier.members) {
      const Member& member = pool.members[i];
      const auto open = static_cast<float>(member.runtime->node->connections.current() + 1);
      const float score = open / ramp_fraction(member, request.now);
      if (score >= best_score || !has_room(member)) continue;
      best = &member;
      best_score = score;
    }
    if (best == nullptr || best->runtime->acquire(request.worker, best->connection_limit)) return best;
  }
}

const Member* pick(const Pool& pool, const Tier& tier, const PickRequest& request) {
  NodeState& state = static_cast<NodeState&>(*tier.balance_state);
  if (state.ramps.is_due(request.worker, request.now)) [[unlikely]]
    set_ramps(state, pool, request);
  Turns& turns = state.turns[request.worker].value;
  for (;;) {
    const LoadScan::Found found = state.scan.search(request.worker);
    if (found.slot == LoadScan::kNoSlot) return nullptr;
    const std::uint32_t node = state.node_of_slot[found.slot];
    const auto members = std::span(state.members).subspan(state.nodes[node].first, state.nodes[node].count);
    const Member* member = member_in_turn(members, turns, turns.next[node], pool, request.now);
    if (member == nullptr) return pick_with_room(pool, tier, request);
    MemberRuntime& runtime = *member->runtime;
    std::uint32_t expected = found.count;
    if (!runtime.node->connections.acquire_from(request.worker, expected)) continue;  // another worker was faster
    if (!runtime.connections.acquire(request.worker, member->connection_limit)) {
      runtime.node->connections.cancel(request.worker);
      continue;
    }
    runtime.pool->connections.acquire(request.worker, 0);
    state.scan.took(request.worker, found.slot);
    return member;
  }
}

}  // namespace

const BalanceOps kLeastConnectionsNode{"least-connections-node", make_state, pick};

}  // namespace sluice::lb::balance
