// Tests of who may be picked: member states, monitors, priority groups.
#include <set>

#include "tests/support/lb_pool.h"

namespace sluice::lb {
namespace {

std::set<std::uint32_t> picked_of(PoolBench& bench, unsigned count = 20) {
  std::set<std::uint32_t> members;
  for (unsigned i = 0; i < count; ++i) members.insert(bench.pick());
  return members;
}
using Set = std::set<std::uint32_t>;

TEST(EligibilityTest, OnlyEnabledMembersThatAreNotDownTakeNewConnections) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::round_robin, 6);
  spec.members[1].state = MemberState::disabled;
  spec.members[2].state = MemberState::forced_offline;
  spec.members[3].verdict.status = MonitorStatus::down;
  spec.members[4].verdict.status = MonitorStatus::unchecked;
  spec.members[5].verdict.session_disabled = true;
  const Pool& pool = bench.build(spec);
  EXPECT_EQ(picked_of(bench), (Set{0, 4}));
  const std::vector<bool> persistent{true, true, false, false, true, true};
  for (std::uint32_t i = 0; i < 6; ++i) EXPECT_EQ(pool.members[i].takes_persistent, persistent[i]) << i;
}

TEST(EligibilityTest, MembersWithoutAVerdictOnlyWhenNobodyIsKnownToServe) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::round_robin, 2);
  spec.members[0].verdict.status = MonitorStatus::checking;
  bench.build(spec);
  EXPECT_EQ(picked_of(bench), (Set{1}));
  spec.members[1].verdict.status = MonitorStatus::down;
  bench.build(spec);
  EXPECT_EQ(picked_of(bench), (Set{0}));
}

TEST(EligibilityTest, TrafficStaysInTheHighestGroupWhileItHasEnoughMembers) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::round_robin, 4);
  spec.min_active_members = 2;
  spec.members[0].priority_group = spec.members[1].priority_group = 10;
  spec.members[2].priority_group = 5;
  bench.build(spec);
  EXPECT_EQ(picked_of(bench), (Set{0, 1}));
  spec.members[0].verdict.status = MonitorStatus::down;  // one is left: the next group joins it
  spec.slow_ramp = 0s;
  bench.build(spec);
  EXPECT_EQ(picked_of(bench), (Set{1, 2}));
  spec.members[1].verdict.status = MonitorStatus::down;
  bench.build(spec);
  EXPECT_EQ(picked_of(bench), (Set{2, 3}));
}

TEST(EligibilityTest, LowerGroupsTakeWhatFullMembersCannot) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::round_robin, 3);
  spec.min_active_members = 1;
  spec.members[0].priority_group = 2;
  spec.members[0].connection_limit = 3;
  spec.members[1].priority_group = 1;
  spec.members[1].connection_limit = 2;
  bench.build(spec);
  EXPECT_EQ(bench.picks(10), (std::vector<std::uint32_t>{3, 2, 5}));
}

TEST(EligibilityTest, WithoutAMinimumPrioritiesMeanNothing) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::round_robin, 2);
  spec.members[0].priority_group = 7;
  bench.build(spec);
  EXPECT_EQ(picked_of(bench), (Set{0, 1}));
}

}  // namespace
}  // namespace sluice::lb
