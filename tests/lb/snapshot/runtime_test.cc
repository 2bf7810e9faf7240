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
  EXPECT_TRUE(member->acquire(2));
  EXPECT_TRUE(member->acquire(2));
  EXPECT_FALSE(member->acquire(2));
  EXPECT_EQ(member->connections.current(), 2u);
  EXPECT_EQ(member->pool->connections.current(), 2u);
  EXPECT_EQ(member->node->connections.current(), 2u);
  member->release();
  EXPECT_EQ(member->connections.current(), 1u);
  EXPECT_EQ(member->connections.max(), 2u);
  EXPECT_EQ(member->connections.total(), 2u);
  EXPECT_EQ(member->pool->connections.current(), 1u);
}

TEST(RuntimeTest, CollectKeepsWhatASnapshotOrAFlowUses) {
  Registry registry(1);
  auto member = registry.member("pool", kMember);
  EXPECT_EQ(registry.collect(), 0u);  // held here, as by a snapshot
  MemberRuntime* flow = member.get();
  flow->acquire(0);
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
  TrafficTable table(3);
  table.of(0).in().packets.add(2);
  table.of(2).in().packets.add(5);
  table.of(1).out().bytes.add(7);
  EXPECT_EQ(table.sum(), (Traffic{7, 0, 0, 7}));
}

}  // namespace
}  // namespace sluice::lb
