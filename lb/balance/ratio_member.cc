// ratio-member: turns in proportion to the members' ratios, spread as evenly as they can be.
//
// Each member has a next deadline; the earliest is picked and gets a new one a period/ratio later (earliest deadline
// first, which is smooth: ratio 5,1,1 never gives five in a row to the first). A heap: picking costs the logarithm of
// the members.
#include <algorithm>

#include "lb/balance/state.h"

namespace sluice::lb::balance {
namespace {

struct Turn {
  std::uint64_t deadline;
  std::uint32_t member;
};
// std's heaps have the greatest on top.
constexpr auto kLater = [](const Turn& a, const Turn& b) {
  return a.deadline != b.deadline ? a.deadline > b.deadline : a.member > b.member;
};
constexpr std::uint64_t kPeriod = std::uint64_t{1} << 32;

// The first one's deadline was moved: it sinks to its place. One way down, where std's pop and push take two.
void sink_first(std::vector<Turn>& heap) {
  const Turn turn = heap.front();
  std::size_t at = 0;
  for (std::size_t child = 1; child < heap.size(); child = at * 2 + 1) {
    if (child + 1 < heap.size() && kLater(heap[child], heap[child + 1])) ++child;
    if (!kLater(turn, heap[child])) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = turn;
}

struct Schedule {
  std::vector<Turn> heap;
  std::uint32_t turn = 0;
};

struct RatioState : BalanceState {
  mutable PerWorker<Schedule> schedules;
};

std::unique_ptr<BalanceState> make_state(const Pool& pool, const Tier& tier, unsigned workers) {
  auto state = std::make_unique<RatioState>();
  state->schedules.resize(workers);
  for (auto& schedule : state->schedules) {
    for (const std::uint32_t i : tier.members) schedule.value.heap.push_back({kPeriod / pool.members[i].ratio / 2, i});
    std::ranges::make_heap(schedule.value.heap, kLater);
  }
  return state;
}

const Member* pick(const Pool& pool, const Tier& tier, const PickRequest& request) {
  Schedule& schedule = static_cast<RatioState&>(*tier.balance_state).schedules[request.worker].value;
  for (const bool ramp : {true, false}) {
    bool passed_up = false;
    for (std::size_t tries = 0; tries < schedule.heap.size(); ++tries) {
      Turn& turn = schedule.heap.front();
      const Member& member = pool.members[turn.member];
      turn.deadline += kPeriod / member.ratio;  // overflows after 2^32 periods
      sink_first(schedule.heap);
      if (ramp && !takes_turn(member, request.now, ++schedule.turn)) {
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

const BalanceOps kRatioMember{"ratio-member", make_state, pick};

}  // namespace sluice::lb::balance
