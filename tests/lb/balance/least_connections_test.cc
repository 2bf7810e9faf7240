// Tests of the least-connections family: exactness, ties, weights, nodes.
#include <algorithm>
#include <random>

#include "tests/support/lb_pool.h"

namespace sluice::lb {
namespace {

using Shares = std::vector<std::uint32_t>;

TEST(LeastConnectionsTest, SpreadIsAtMostOneAfterAnyNumberOfConnections) {
  for (const std::uint32_t members : {1u, 2u, 3u, 63u, 64u, 65u, 200u}) {
    PoolBench bench;
    const Pool& pool = bench.build(pool_spec(Balance::least_connections_member, members));
    for (unsigned opened = 1; opened <= members * 3; ++opened) {
      bench.pick();
      std::uint32_t least = 0xffffffff, most = 0;
      for (const Member& m : pool.members) {
        least = std::min(least, m.runtime->connections.current());
        most = std::max(most, m.runtime->connections.current());
      }
      ASSERT_LE(most - least, 1u) << members << " members, " << opened << " connections";
    }
  }
}

TEST(LeastConnectionsTest, ThePickIsAlwaysAMinimumUnderChurn) {
  for (const std::uint32_t members : {5u, 150u}) {
    PoolBench bench;
    const Pool& pool = bench.build(pool_spec(Balance::least_connections_member, members));
    std::mt19937 random(7);
    std::vector<std::uint32_t> open;
    for (int step = 0; step < 20000; ++step) {
      if (!open.empty() && random() % 2 == 0) {
        const std::size_t victim = random() % open.size();
        pool.members[open[victim]].runtime->release();
        open[victim] = open.back();
        open.pop_back();
        continue;
      }
      std::uint32_t least = 0xffffffff;
      for (const Member& m : pool.members) least = std::min(least, m.runtime->connections.current());
      const std::uint32_t picked = bench.pick();
      ASSERT_EQ(pool.members[picked].runtime->connections.current(), least + 1);
      open.push_back(picked);
    }
  }
}

// What each worker remembers of the counts must never hide a member whose connections another one ended. Pools of more
// blocks than one line of them, and connections that end where they began or all in one place.
TEST(LeastConnectionsTest, ManyMembersAndWorkersUnderChurn) {
  constexpr std::uint32_t kMembers = 2500;
  constexpr unsigned kWorkers = 3;
  for (const Balance balance : {Balance::least_connections_member, Balance::least_connections_node}) {
    PoolBench bench(kWorkers);
    const Pool& pool = bench.build(pool_spec(balance, kMembers));
    std::mt19937 random(11);
    std::vector<std::uint32_t> open, counts(kMembers);
    std::vector<std::uint32_t> having(64);  // by count: members that have it
    having[0] = kMembers;
    const auto change = [&](std::uint32_t member, std::uint32_t by) {
      --having[counts[member]];
      ++having[counts[member] += by];
    };
    for (int step = 0; step < 30000; ++step) {
      if (open.size() > kMembers * 2 || (!open.empty() && random() % 3 == 0)) {
        const std::size_t at = random() % 4 == 0 ? open.size() - 1 : random() % open.size();
        const std::uint32_t victim = open[at];
        pool.members[victim].runtime->release();
        change(victim, -1u);
        open[at] = open.back();
        open.pop_back();
        continue;
      }
      const auto least =
          static_cast<std::uint32_t>(std::ranges::find_if(having, [](auto n) { return n > 0; }) - having.begin());
      const std::uint32_t picked = bench.pick({.worker = static_cast<unsigned>(random() % kWorkers)});
      ASSERT_EQ(counts[picked], least) << "step " << step;
      change(picked, 1);
      open.push_back(picked);
    }
  }
}

TEST(LeastConnectionsTest, TiesRotateWhenConnectionsEndAtOnce) {
  for (const std::uint32_t members : {4u, 130u}) {
    PoolBench bench;
    const Pool& pool = bench.build(pool_spec(Balance::least_connections_member, members));
    Shares shares(members);
    for (std::uint32_t i = 0; i < members * 5; ++i) {
      const std::uint32_t picked = bench.pick();
      ++shares[picked];
      pool.members[picked].runtime->release();
    }
    EXPECT_EQ(*std::ranges::min_element(shares), 5u);
    EXPECT_EQ(*std::ranges::max_element(shares), 5u);
  }
}

TEST(LeastConnectionsTest, CountsSurviveAChangeOfThePool) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::least_connections_member, 2);
  spec.slow_ramp = 0s;
  bench.build(spec);
  bench.picks(10);
  spec.members.push_back(member_spec(2));
  bench.build(spec);
  EXPECT_EQ(bench.picks(5), (Shares{0, 0, 5}));
}

TEST(RatioLeastConnectionsTest, OpenConnectionsFollowTheRatios) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::ratio_least_connections_member, 3);
  spec.members[0].ratio = 3;
  spec.members[1].ratio = 2;
  bench.build(spec);
  EXPECT_EQ(bench.picks(600), (Shares{300, 200, 100}));
}

TEST(WeightedLeastConnectionsTest, OpenConnectionsFollowTheLimits) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::weighted_least_connections_member, 2);
  spec.members[0].connection_limit = 100;
  spec.members[1].connection_limit = 300;
  bench.build(spec);
  EXPECT_EQ(bench.picks(200), (Shares{50, 150}));
  EXPECT_EQ(bench.picks(300), (Shares{50, 150}));  // and then all are full
}

// Two nodes of three and one members, the first one's with limits: a full member's turn falls to the others of its
// node, a full node's to the others.
TEST(LeastConnectionsNodeTest, MembersOfANodeTakeTurnsAndKeepToTheirLimits) {
  PoolBench bench;
  PoolSpec spec = pool_spec(Balance::least_connections_node, 4);
  for (std::uint32_t i = 0; i < 3; ++i) {
    spec.members[i].endpoint = {{0x0af40000}, static_cast<std::uint16_t>(80 + i)};
    spec.members[i].connection_limit = 2 + i;
  }
  const Pool& pool = bench.build(spec);
  EXPECT_EQ(bench.picks(6), (Shares{1, 1, 1, 3}));
  EXPECT_EQ(bench.picks(6), (Shares{1, 1, 1, 3}));
  EXPECT_EQ(bench.picks(6), (Shares{0, 1, 2, 3}));  // the first is full, then the second
  EXPECT_EQ(bench.picks(6), (Shares{0, 0, 0, 6}));
  pool.members[1].runtime->release();
  EXPECT_EQ(bench.picks(2), (Shares{0, 1, 0, 1}));
  EXPECT_EQ(pool.members[0].runtime->node->connections.current(), 9u);
  EXPECT_EQ(pool.members[0].runtime->node->connections.total(), 10u);
  EXPECT_EQ(pool.runtime->connections.current(), 25u);
}

TEST(LeastConnectionsNodeTest, TiesRotateOverTheNodes) {
  PoolBench bench;
  const Pool& pool = bench.build(pool_spec(Balance::least_connections_node, 70));
  for (std::uint32_t i = 0; i < 210; ++i) {
    const std::uint32_t picked = bench.pick();
    EXPECT_EQ(picked, i % 70);
    pool.members[picked].runtime->release();
  }
}

TEST(LeastConnectionsNodeTest, CountsAnAddressOverAllPools) {
  Registry registry(1);
  Builder builder(registry, balance::state_factory(1));
  PoolSpec one = pool_spec(Balance::least_connections_node, 2, "one");
  PoolSpec two = pool_spec(Balance::least_connections_node, 2, "two");
  for (auto& member : two.members) member.endpoint.port = 8080;
  builder.add_pool(one);
  builder.add_pool(two);
  const auto snapshot = builder.build(Instant{}, nullptr);
  ASSERT_TRUE(snapshot.has_value());
  const Pool& first = *(*snapshot)->pools()[0];
  const Pool& second = *(*snapshot)->pools()[1];
  for (int i = 0; i < 3; ++i) first.members[0].runtime->acquire(0, 0);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(balance::pick(second, {}).member, &second.members[1]);
  EXPECT_NE(balance::pick(second, {}).member, balance::pick(second, {}).member);
}

}  // namespace
}  // namespace sluice::lb
