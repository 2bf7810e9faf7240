// What `sluicectl modify` set lasts until somebody says something new of the same object.
#include "control/daemon/overrides.h"

#include <gtest/gtest.h>

namespace sluice::daemon::overrides_test {
namespace {

using config::MemberState;

const Ipv4Endpoint kA = *Ipv4Endpoint::parse("10.0.0.1:80"), kB = *Ipv4Endpoint::parse("10.0.0.2:80");

config::Config sample() {
  config::Config config;
  config::Pool pool;
  pool.name = "web";
  pool.partition = "k8s";
  pool.members.resize(2);
  pool.members[0].endpoint = kA;
  pool.members[1].endpoint = kB;
  config.pools = {pool};
  config::VirtualServer server;
  server.name = "vs";
  config.virtual_servers = {server};
  return config;
}

TEST(Overrides, AreLaidOverTheConfiguration) {
  Overrides overrides;
  const config::Config base = sample();
  ASSERT_TRUE(overrides.set_member(base, "web", kB, MemberState::forced_offline));
  ASSERT_TRUE(overrides.set_member(base, "/k8s/web", kA, MemberState::disabled));
  ASSERT_TRUE(overrides.set_virtual(base, "/Common/vs", false));
  const config::Config over = overrides.over(base);
  EXPECT_EQ(over.pools[0].members[0].state, MemberState::disabled);
  EXPECT_EQ(over.pools[0].members[1].state, MemberState::forced_offline);
  EXPECT_FALSE(over.virtual_servers[0].enabled);
  EXPECT_TRUE(base.virtual_servers[0].enabled);
}

TEST(Overrides, UnknownObjectsAreNamed) {
  Overrides overrides;
  EXPECT_EQ(overrides.set_member(sample(), "nope", kA, MemberState::enabled).error().text(), "no pool \"nope\"");
  EXPECT_EQ(
      overrides.set_member(sample(), "web", *Ipv4Endpoint::parse("1.2.3.4:5"), MemberState::enabled).error().text(),
      "pool \"web\" has no member 1.2.3.4:5");
  EXPECT_EQ(overrides.set_virtual(sample(), "nope", true).error().text(), "no virtual server \"nope\"");
  EXPECT_EQ(overrides.size(), 0u);
}

TEST(Overrides, OutliveChangesOfOtherThings) {
  Overrides overrides;
  const config::Config before = sample();
  ASSERT_TRUE(overrides.set_member(before, "web", kA, MemberState::disabled));
  ASSERT_TRUE(overrides.set_virtual(before, "vs", false));
  config::Config after = before;
  after.pools[0].members[0].ratio = 5;
  after.pools[0].members.erase(after.pools[0].members.begin() + 1);
  overrides.follow(before, after);
  EXPECT_EQ(overrides.over(after).pools[0].members[0].state, MemberState::disabled);
  EXPECT_FALSE(overrides.over(after).virtual_servers[0].enabled);
}

TEST(Overrides, GiveWayToAWordOfTheConfiguration) {
  Overrides overrides;
  const config::Config before = sample();
  ASSERT_TRUE(overrides.set_member(before, "web", kA, MemberState::disabled));
  ASSERT_TRUE(overrides.set_virtual(before, "vs", true));
  config::Config after = before;
  after.pools[0].members[0].state = MemberState::forced_offline;
  after.virtual_servers[0].enabled = false;
  overrides.follow(before, after);
  EXPECT_EQ(overrides.over(after).pools[0].members[0].state, MemberState::forced_offline);
  EXPECT_FALSE(overrides.over(after).virtual_servers[0].enabled);
  EXPECT_EQ(overrides.size(), 0u);
}

TEST(Overrides, GoWithTheirObject) {
  Overrides overrides;
  const config::Config before = sample();
  ASSERT_TRUE(overrides.set_member(before, "web", kA, MemberState::disabled));
  ASSERT_TRUE(overrides.set_virtual(before, "vs", false));
  overrides.follow(before, config::Config{});
  EXPECT_EQ(overrides.size(), 0u);
}

}  // namespace
}  // namespace sluice::daemon::overrides_test
