// Tests of slow ramp: a member that comes up takes its share little by little.
#include "tests/support/lb_pool.h"

namespace sluice::lb {
namespace {

constexpr Instant kStart = instant_ns(1'000'000'000'000);

// Three members in service, a fourth that came up at kStart with a ramp of 60 s.
PoolSpec ramp_up(PoolBench& bench, Balance balance) {
  PoolSpec spec = pool_spec(balance, 4);
  spec.slow_ramp = 60s;
  for (auto& member : spec.members) member.connection_limit = 1'000'000;
  spec.members[3].verdict.status = MonitorStatus::down;
  bench.build(spec, kStart - 100s);
  spec.members[3].verdict.status = MonitorStatus::up;
  bench.build(spec, kStart);
  return spec;
}

class SlowRamp : public testing::TestWithParam<Balance> {};

TEST_P(SlowRamp, HalfWayAboutHalfItsShareAndAfterwardsAllOfIt) {
  PoolBench bench;
  ramp_up(bench, GetParam());
  const auto early = bench.picks(1000, {.now = kStart + 600ms});
  EXPECT_LT(early[3], 20u);
  PoolBench half;
  ramp_up(half, GetParam());
  const auto shares = half.picks(7000, {.now = kStart + 30s});
  EXPECT_NEAR(shares[3], 1000, 150);
  PoolBench full;
  ramp_up(full, GetParam());
  const auto later = full.picks(4000, {.now = kStart + 60s});
  EXPECT_NEAR(later[3], 1000, 1);
}

INSTANTIATE_TEST_SUITE_P(All, SlowRamp,
                         testing::Values(Balance::round_robin, Balance::ratio_member, Balance::least_connections_member,
                                         Balance::least_connections_node, Balance::ratio_least_connections_member,
                                         Balance::weighted_least_connections_member));

TEST(SlowRampTest, NobodyRampsWhenThePoolStarts) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::round_robin, 3);
  for (auto& member : spec.members) member.verdict.status = MonitorStatus::checking;
  bench.build(spec, kStart);
  for (int i = 0; i < 3; ++i) {  // the verdicts come one by one
    spec.members[i].verdict.status = MonitorStatus::up;
    bench.build(spec, kStart + i * 100ms);
  }
  EXPECT_EQ(bench.picks(30, {.now = kStart + 1s}), (std::vector<std::uint32_t>{10, 10, 10}));
}

TEST(SlowRampTest, AMemberKeepsItsPlaceInTheRampWhenOthersChange) {
  PoolBench bench;
  PoolSpec spec = ramp_up(bench, Balance::round_robin);
  spec.members[0].ratio = 2;  // makes a new pool
  bench.build(spec, kStart + 30s);
  EXPECT_EQ(bench.pool().members[3].ramp_end, kStart + 60s);
}

TEST(SlowRampTest, AMemberThatWasRemovedComesBackAsANewcomer) {
  PoolBench bench;
  PoolSpec spec = ramp_up(bench, Balance::round_robin);
  const MemberSpec removed = spec.members.back();
  spec.members.pop_back();
  bench.build(spec, kStart + 100s);
  spec.members.push_back(removed);
  bench.build(spec, kStart + 200s);
  EXPECT_EQ(bench.pool().members[3].ramp_end, kStart + 260s);
  spec.slow_ramp = 5s;
  bench.build(spec, kStart + 201s);
  EXPECT_EQ(bench.pool().members[3].ramp_end, kStart + 205s);
}

TEST(SlowRampTest, OnlyRampingMembersLeftStillTakeEveryConnection) {
  PoolBench bench;
  PoolSpec spec = ramp_up(bench, Balance::round_robin);
  for (int i = 0; i < 3; ++i) spec.members[i].verdict.status = MonitorStatus::down;
  bench.build(spec, kStart + 1s);
  EXPECT_EQ(bench.picks(50, {.now = kStart + 1s})[3], 50u);
}

}  // namespace
}  // namespace sluice::lb
