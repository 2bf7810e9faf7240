// Tests of the algorithms that do not look at load: round-robin, ratio-member, consistent-hash.
#include <algorithm>
#include <numeric>

#include "tests/support/lb_pool.h"

namespace sluice::lb {
namespace {

using Shares = std::vector<std::uint32_t>;

TEST(RoundRobinTest, OneAfterTheOther) {
  PoolBench bench;
  bench.build(pool_spec(Balance::round_robin, 3));
  Shares order;
  for (int i = 0; i < 7; ++i) order.push_back(bench.pick());
  EXPECT_EQ(order, (Shares{0, 1, 2, 0, 1, 2, 0}));
}

TEST(RoundRobinTest, FullMembersArePassedOver) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::round_robin, 3);
  spec.members[1].connection_limit = 2;
  bench.build(spec);
  EXPECT_EQ(bench.picks(12), (Shares{5, 2, 5}));
}

TEST(RatioMemberTest, SharesAreExactAndSpreadEvenly) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::ratio_member, 3);
  spec.members[0].ratio = 5;
  bench.build(spec);
  Shares order;
  for (int i = 0; i < 7; ++i) order.push_back(bench.pick());
  EXPECT_EQ(std::ranges::count(order, 0u), 5);
  EXPECT_EQ(std::ranges::count(order, 1u), 1);
  const auto others_at = std::ranges::find(order, 1u) - order.begin();
  EXPECT_GE(others_at, 2);
  EXPECT_LE(others_at, 4);
  EXPECT_EQ(bench.picks(7000), (Shares{5000, 1000, 1000}));
}

TEST(RatioMemberTest, ExtremeRatios) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::ratio_member, 2);
  spec.members[0].ratio = 65535;
  bench.build(spec);
  const Shares shares = bench.picks(65536);
  EXPECT_EQ(shares[1], 1u);
}

TEST(RatioMemberTest, AFullMemberDoesNotCatchUpLater) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::ratio_member, 2);
  spec.members[0].connection_limit = 1;
  bench.build(spec);
  EXPECT_EQ(bench.picks(100), (Shares{1, 99}));
  bench.pool().members[0].runtime->release();
  EXPECT_EQ(bench.picks(10), (Shares{1, 9}));
}

Shares maglev_choices(const Pool& pool, PoolBench& bench, unsigned clients) {
  Shares choices;
  for (std::uint32_t i = 0; i < clients; ++i) {
    const auto member = bench.pick({.client = {0x0a000000 + i * 7919}});
    choices.push_back(pool.members[member].endpoint.address.value);
  }
  return choices;
}

TEST(MaglevTest, AClientKeepsItsMemberAndSharesAreEven) {
  PoolBench bench;
  const Pool& pool = bench.build(pool_spec(Balance::maglev, 10));
  const Shares once = maglev_choices(pool, bench, 10000);
  EXPECT_EQ(maglev_choices(pool, bench, 10000), once);
  for (std::uint32_t i = 0; i < 10; ++i) {
    const auto share = std::ranges::count(once, 0x0af40000 + i);
    EXPECT_NEAR(static_cast<double>(share), 1000, 120);
  }
}

TEST(MaglevTest, FewClientsMoveWhenAMemberGoes) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::maglev, 10);
  const Shares before = maglev_choices(bench.build(spec), bench, 10000);
  spec.members[3].verdict.status = MonitorStatus::down;
  const Shares after = maglev_choices(bench.build(spec), bench, 10000);
  unsigned moved = 0, orphans = 0;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] == 0x0af40003) {
      ++orphans;
      EXPECT_NE(after[i], 0x0af40003u);
    } else if (before[i] != after[i]) {
      ++moved;
    }
  }
  EXPECT_GT(orphans, 800u);
  EXPECT_LT(moved, 300u);  // of about 9,000
}

TEST(MaglevTest, TheOrderInTheFileDoesNotMatter) {
  PoolBench one, other;
  PoolSpec spec = pool_spec(Balance::maglev, 7);
  const Shares before = maglev_choices(one.build(spec), one, 500);
  std::ranges::reverse(spec.members);
  EXPECT_EQ(maglev_choices(other.build(spec), other, 500), before);
}

TEST(MaglevTest, AFullMembersClientsGoElsewhere) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::maglev, 3);
  for (auto& member : spec.members) member.connection_limit = 2;
  bench.build(spec);
  EXPECT_EQ(bench.picks(6, {.client = address("10.0.0.1")}), (Shares{2, 2, 2}));
  EXPECT_EQ(bench.pick({.client = address("10.0.0.1")}), kNoMember);
}

class EveryAlgorithm : public testing::TestWithParam<Balance> {};

PoolSpec limited(Balance balance, std::uint32_t members, std::uint32_t limit) {
  PoolSpec spec = pool_spec(balance, members);
  for (auto& member : spec.members) member.connection_limit = limit;
  return spec;
}

TEST_P(EveryAlgorithm, StopsAtTheLimitOfEveryMemberAndCountsExactly) {
  PoolBench bench;
  const Pool& pool = bench.build(limited(GetParam(), 5, 3));
  for (int i = 0; i < 15; ++i) EXPECT_NE(bench.pick({.client = {static_cast<std::uint32_t>(i)}}), kNoMember);
  const balance::Picked refused = balance::pick(pool, {});
  EXPECT_EQ(refused.member, nullptr);
  EXPECT_TRUE(refused.at_limit);
  for (const Member& member : pool.members) {
    EXPECT_EQ(member.runtime->connections.current(), 3u);
    EXPECT_EQ(member.runtime->connections.max(), 3u);
    EXPECT_EQ(member.runtime->connections.total(), 3u);
    EXPECT_EQ(member.runtime->node->connections.current(), 3u);
  }
  EXPECT_EQ(pool.runtime->connections.current(), 15u);
  pool.members[2].runtime->release();
  EXPECT_EQ(bench.pick(), 2u);
}

TEST_P(EveryAlgorithm, AnEmptyPoolRefuses) {
  PoolBench bench;
  const Pool& pool = bench.build(limited(GetParam(), 0, 1));
  const balance::Picked refused = balance::pick(pool, {});
  EXPECT_EQ(refused.member, nullptr);
  EXPECT_FALSE(refused.at_limit);
}

TEST_P(EveryAlgorithm, ManyMembersAllGetSome) {
  PoolBench bench;
  bench.build(limited(GetParam(), 1000, 10));
  Shares shares(1000);
  for (std::uint32_t i = 0; i < 8000; ++i) ++shares[bench.pick({.client = {i * 2654435761u}})];
  EXPECT_GT(*std::ranges::min_element(shares), 0u);
  EXPECT_EQ(std::accumulate(shares.begin(), shares.end(), 0u), 8000u);
}

INSTANTIATE_TEST_SUITE_P(All, EveryAlgorithm,
                         testing::Values(Balance::round_robin, Balance::ratio_member, Balance::least_connections_member,
                                         Balance::least_connections_node, Balance::ratio_least_connections_member,
                                         Balance::weighted_least_connections_member, Balance::maglev),
                         [](const auto& param) {
                           std::string name(balance::ops_of(param.param).name);
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace sluice::lb
