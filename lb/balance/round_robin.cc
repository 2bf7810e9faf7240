// round-robin: one after the other.
//
// Each worker goes round on its own, the workers start at different places. A member that ramps up or is full is passed
// over; when only ramping ones passed up their turn, the first that can takes it.
#include "lb/balance/state.h"

namespace sluice::lb::balance {
namespace {

struct Position {
  std::uint32_t next = 0;
  std::uint32_t turn = 0;
};

struct RoundRobinState : BalanceState {
  mutable PerWorker<Position> positions;
};

std::unique_ptr<BalanceState> make_state(const Pool&, const Tier& tier, unsigned workers) {
  auto state = std::make_unique<RoundRobinState>();
  state->positions.resize(workers);
  for (unsigned w = 0; w < workers; ++w) {
    state->positions[w].value.next = static_cast<std::uint32_t>(tier.members.size() * w / workers);
  }
  return state;
}

const Member* pick(const Pool& pool, const Tier& tier, const PickRequest& request) {
  Position& position = static_cast<RoundRobinState&>(*tier.balance_state).positions[request.worker].value;
  const auto count = static_cast<std::uint32_t>(tier.members.size());
  for (const bool ramp : {true, false}) {
    bool passed_up = false;
    for (std::uint32_t tries = 0; tries < count; ++tries) {
      const Member& member = pool.members[tier.members[position.next]];
      position.next = position.next + 1 < count ? position.next + 1 : 0;
      if (ramp && !takes_turn(member, request.now, ++position.turn)) {
        passed_up = true;
      } else if (member.runtime->acquire(request.worker, member.connection_limit)) {
        return &member;
      }
    }
    if (!passed_up) break;
  }
  return nullptr;
}

}  // namespace

const BalanceOps kRoundRobin{"round-robin", make_state, pick};

}  // namespace sluice::lb::balance
