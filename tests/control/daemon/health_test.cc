// The monitors of a configuration as a plan: groups, targets, and keys that stay.
#include "control/daemon/health.h"

#include <gtest/gtest.h>

namespace sluice::daemon::health_test {
namespace {

config::Config sample() {
  config::Config config;
  for (const char* name : {"http", "tcp"}) {
    monitors::Monitor monitor;
    monitor.name = name;
    config.monitors.push_back(monitor);
  }
  config::Pool pool;
  pool.name = "web";
  pool.monitors = {"tcp", "http", "tcp"};
  pool.monitors_min = 5;
  pool.members.resize(2);
  pool.members[0].endpoint = *Ipv4Endpoint::parse("10.0.0.1:80");
  pool.members[1].endpoint = *Ipv4Endpoint::parse("10.0.0.2:80");
  config::Pool bare = pool;
  bare.name = "bare";
  bare.monitors.clear();
  config.pools = {pool, bare};
  return config;
}

TEST(MakePlan, OneGroupAPoolOneTargetAMember) {
  TargetKeys keys;
  const monitors::Plan plan = make_plan(sample(), keys);
  ASSERT_EQ(plan.groups.size(), 2u);
  EXPECT_EQ(plan.groups[0].monitors, (std::vector<std::uint32_t>{1, 0})) << "no duplicates";
  EXPECT_EQ(plan.groups[0].at_least, 2u) << "not more than there are";
  EXPECT_TRUE(plan.groups[1].monitors.empty());
  EXPECT_EQ(plan.groups[1].at_least, 0u);
  ASSERT_EQ(plan.targets.size(), 4u);
  EXPECT_EQ(plan.targets[1].endpoint.text(), "10.0.0.2:80");
  EXPECT_EQ(plan.targets[3].group, 1u);
  EXPECT_NE(plan.targets[0].key, plan.targets[2].key) << "the same endpoint in two pools is two targets";
}

TEST(MakePlan, KeysStayAndAreNeverGivenOutTwice) {
  TargetKeys keys;
  config::Config config = sample();
  const monitors::Plan first = make_plan(config, keys);
  const auto gone = first.targets[0];
  config.pools[0].members.erase(config.pools[0].members.begin());
  const monitors::Plan second = make_plan(config, keys);
  keys.keep_only(second);
  EXPECT_EQ(second.targets[0].key, first.targets[1].key);
  EXPECT_EQ(keys.name_of(gone.key), nullptr);
  EXPECT_FALSE(keys.find({"web", gone.endpoint}));
  const monitors::Plan third = make_plan(sample(), keys);
  EXPECT_NE(third.targets[0].key, gone.key);
  EXPECT_EQ(keys.name_of(third.targets[0].key)->pool, "web");
}

TEST(Health, UnknownMembersAreUnchecked) {
  io::Loop loop;
  Health health(loop, nullptr, [] {});
  EXPECT_EQ(health.verdict("web", {}).status, lb::MonitorStatus::unchecked);
  config::Config config = sample();
  config.pools.erase(config.pools.begin());
  EXPECT_TRUE(health.configure(config).empty());
  EXPECT_EQ(health.verdict("bare", config.pools[0].members[0].endpoint).status, lb::MonitorStatus::unchecked);
  EXPECT_EQ(health.status(config).size(), 2u);
  health.stop();
}

TEST(Health, ABadMonitorChangesNothing) {
  io::Loop loop;
  Health health(loop, nullptr, [] {});
  config::Config config = sample();
  config.monitors[0].recv = "(";
  EXPECT_FALSE(health.configure(config).empty());
}

}  // namespace
}  // namespace sluice::daemon::health_test
