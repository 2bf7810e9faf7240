// Tests of the run-time counts and of when the registry frees them.
#include "lb/snapshot/runtime.h"

#include <gtest/gtest.h>

namespace sluice::lb {
namespace {

const Ipv4Endpoint kMember = *Ipv4Endpoint::parse("10.244.0.76:80");

TEST(RuntimeTest, AMemberIsFoundAgainUnderItsPoolAndEndpoint) {
  Registry registry(2);
  const auto member = registry.member("pool", kMember);
  EXPECT_EQ(registry.member("pool", kMember), member);
  EXPECT_NE(registry.member("other", kMember), member);
  EXPECT_NE(registry.member("other", kMember)->id, member->id);
  EXPECT_EQ(registry.member("other", kMember)->node, member->node);
}

TEST(RuntimeTest, AcquireAndReleaseCountEverywhere) {
  Registry registry(1);
  const auto member = registry.member("pool", kMember);
  EXPECT_TRUE(member->acquire(0, 2));
  EXPECT_TRUE(member->acquire(0, 2));
  EXPECT_FALSE(member->acquire(0, 2));
  EXPECT_EQ(member->connections.current(), 2u);
  EXPECT_EQ(member->pool->connections.current(), 2u);
  EXPECT_EQ(member->node->connections.current(), 2u);
  member->release();
  EXPECT_EQ(member->connections.current(), 1u);
  EXPECT_EQ(member->connections.max(), 2u);
  EXPECT_EQ(member->connections.total(), 2u);
  EXPECT_EQ(member->pool->connections.current(), 1u);
}

// With one worker and with several: what a count says does not depend on how it is kept.
TEST(RuntimeTest, TotalAndMostAreThoseOfAllWorkersTogether) {
  for (const unsigned workers : {1u, 3u}) {
    Registry registry(workers);
    const auto member = registry.member("pool", kMember);
    const auto worker = [&](unsigned w) { return w % workers; };
    for (unsigned w = 0; w < 3; ++w) EXPECT_TRUE(member->acquire(worker(w), 0));
    member->release();
    EXPECT_TRUE(member->acquire(worker(1), 0));
    for (const ConnectionCount* count :
         {&member->connections, &member->node->connections, &member->pool->connections}) {
      EXPECT_EQ(count->current(), 3u);
      EXPECT_EQ(count->max(), 3u);
      EXPECT_EQ(count->total(), 4u);
    }
    std::uint32_t expected = 2;
    EXPECT_FALSE(member->connections.acquire_from(worker(2), expected));
    EXPECT_EQ(expected, 3u);
    EXPECT_TRUE(member->connections.acquire_from(worker(2), expected));
    member->connections.cancel(worker(2));
    EXPECT_EQ(member->connections.current(), 3u);
    EXPECT_EQ(member->connections.total(), 4u);
  }
}

TEST(RuntimeTest, AFlowThatLingersOnAnyWorkerKeepsItsMember) {
  Registry registry(2);
  auto member = registry.member("pool", kMember);
  MemberRuntime* const flow = member.get();
  member.reset();
  flow->shares.of(1).linger(true);
  EXPECT_EQ(registry.collect(), 0u);
  flow->shares.of(1).linger(false);
  EXPECT_EQ(registry.collect(), 3u);
}

TEST(RuntimeTest, CollectKeepsWhatASnapshotOrAFlowUses) {
  Registry registry(1);
  auto member = registry.member("pool", kMember);
  EXPECT_EQ(registry.collect(), 0u);  // held here, as by a snapshot
  MemberRuntime* flow = member.get();
  flow->acquire(0, 0);
  member.reset();
  EXPECT_EQ(registry.collect(), 0u);  // open
  flow->release();
  EXPECT_EQ(registry.collect(), 3u);  // member, pool, node
  EXPECT_EQ(registry.size(), 0u);
}

TEST(RuntimeTest, IdsAreNeverUsedAgainAndSlotsAre) {
  Registry registry(1);
  const std::uint32_t id = registry.member("pool", kMember)->id;
  const auto keep = registry.pool("pool");
  registry.collect();
  const auto again = registry.member("pool", kMember);
  EXPECT_NE(again->id, id);
  EXPECT_EQ(again->slot, 0u);
}

TEST(RuntimeTest, TrafficIsTheSumOverWorkers) {
  Shares shares(3);
  shares.of(0).in().packets.add(2);
  shares.of(2).in().packets.add(5);
  shares.of(1).out().bytes.add(7);
  EXPECT_EQ(shares.traffic(), (Traffic{7, 0, 0, 7}));
}

}  // namespace
}  // namespace sluice::lb
