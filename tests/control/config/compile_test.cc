// Tests of compile: the model's values arrive in the snapshot, verdicts count, errors name the place.
#include "control/config/compile.h"

#include <gtest/gtest.h>

#include "lb/l7/profile.h"

namespace sluice::config {
namespace {

Config example() {
  Config config;
  config.self_ips.push_back({"self", *Ipv4Interface::parse("172.16.40.202/24"), "int_vlan"});
  Pool pool;
  pool.name = "web";
  pool.balance = Balance::least_connections_member;
  pool.members.push_back({.endpoint = *Ipv4Endpoint::parse("10.244.0.76:80"), .connection_limit = 7});
  pool.members.push_back({.endpoint = *Ipv4Endpoint::parse("10.244.0.77:80"), .state = MemberState::disabled});
  pool.monitors = {"http"};
  config.pools.push_back(pool);
  VirtualServer vs;
  vs.name = "default_web";
  vs.destination = *Ipv4Endpoint::parse("172.16.40.80:80");
  vs.mode = Mode::http;
  vs.pool = "web";
  config.virtual_servers.push_back(vs);
  config.virtual_addresses.push_back({.address = vs.destination.address, .icmp_echo = IcmpEcho::selective});
  return config;
}

struct CompileTest : testing::Test {
  lb::Registry registry{1};
  CompileInput input{
      registry,
      [](const std::string& name) { return name == "int_vlan" ? std::optional<packet::PortId>(3) : std::nullopt; },
      {}};
};

TEST_F(CompileTest, ValuesArrive) {
  input.verdict = [](const Pool&, const Member&) { return lb::MonitorVerdict{lb::MonitorStatus::up, false, ""}; };
  const auto made = compile(Instant{}, example(), input, nullptr);
  ASSERT_TRUE(made.has_value()) << made.error().text();
  const lb::Snapshot& snapshot = **made;
  EXPECT_EQ(snapshot.self_ips()[0].port, 3);
  const auto* vs = snapshot.find_virtual_server(*Ipv4Address::parse("172.16.40.80"), 80, Protocol::tcp);
  ASSERT_NE(vs, nullptr);
  EXPECT_EQ(vs->pool->members[0].connection_limit, 7u);
  EXPECT_FALSE(vs->pool->members[1].takes_new);
  EXPECT_EQ(snapshot.virtual_addresses()[0].icmp_echo, IcmpEcho::selective);
  EXPECT_TRUE(snapshot.virtual_addresses()[0].reachable);
}

TEST_F(CompileTest, WithoutAVerdictMonitoredMembersAreChecking) {
  const auto made = compile(Instant{}, example(), input, nullptr);
  EXPECT_EQ((*made)->pools()[0]->spec.members[0].verdict.status, lb::MonitorStatus::checking);
  EXPECT_FALSE((*made)->virtual_addresses()[0].reachable);
}

TEST_F(CompileTest, HttpOptionsArriveAndAreUsedAgain) {
  Config config = example();
  auto made = compile(Instant{}, config, input, nullptr);
  EXPECT_EQ((*made)->virtual_servers()[0].http, nullptr);  // all defaults
  config.virtual_servers[0].oneconnect = true;
  config.virtual_servers[0].http.routes.push_back({.path = "/a", .pool = "web"});
  const auto first = compile(Instant{}, config, input, made->get());
  ASSERT_TRUE(first.has_value()) << first.error().text();
  const lb::VirtualServer& vs = (*first)->virtual_servers()[0];
  ASSERT_NE(vs.http, nullptr);
  EXPECT_TRUE(static_cast<const lb::HttpProfile*>(vs.http)->options.oneconnect.enabled);
  ASSERT_EQ(vs.http_pools.size(), 1u);
  EXPECT_EQ(vs.http_pools[0], vs.pool);
  const auto second = compile(Instant{}, config, input, first->get());
  EXPECT_EQ((*second)->virtual_servers()[0].http, vs.http);
  config.virtual_servers[0].http.upgrade = true;
  const auto third = compile(Instant{}, config, input, second->get());
  EXPECT_NE((*third)->virtual_servers()[0].http, vs.http);
}

TEST_F(CompileTest, SnatPoolsAndLimitsArrive) {
  Config config = example();
  config.snat_pools.push_back({"out", {*Ipv4Address::parse("172.16.40.90")}});
  VirtualServer& vs = config.virtual_servers[0];
  vs.snat = SnatKind::pool;
  vs.snat_pool = "out";
  vs.connection_limit = 7;
  vs.idle.established = 77s;
  const auto made = compile(Instant{}, config, input, nullptr);
  ASSERT_TRUE(made.has_value()) << made.error().text();
  const lb::VirtualServer& server = (*made)->virtual_servers()[0];
  EXPECT_EQ(server.connection_limit, 7u);
  EXPECT_EQ(server.idle.established, 77s);
  ASSERT_NE(server.snat_pool, nullptr);
  EXPECT_EQ(server.snat_pool->addresses.front().text(), "172.16.40.90");
}

TEST_F(CompileTest, UnchangedPoolsAreKeptAndCountsGoOn) {
  Config config = example();
  auto status = lb::MonitorStatus::up;
  input.verdict = [&](const Pool&, const Member&) { return lb::MonitorVerdict{status, false, ""}; };
  const auto first = compile(Instant{}, config, input, nullptr);
  ASSERT_TRUE(first);
  config.virtual_servers[0].connection_limit = 8;
  const auto second = compile(Instant{}, config, input, first->get());
  ASSERT_TRUE(second);
  EXPECT_EQ((*first)->pools()[0].get(), (*second)->pools()[0].get());
  status = lb::MonitorStatus::down;
  const auto third = compile(Instant{}, config, input, second->get());
  ASSERT_TRUE(third);
  EXPECT_NE((*second)->pools()[0].get(), (*third)->pools()[0].get());
  EXPECT_EQ((*second)->pools()[0]->runtimes[0], (*third)->pools()[0]->runtimes[0]);
}

TEST_F(CompileTest, AnUnknownPoolIsAnError) {
  Config config = example();
  config.virtual_servers[0].pool = "nope";
  const auto made = compile(Instant{}, config, input, nullptr);
  ASSERT_FALSE(made.has_value());
  EXPECT_NE(made.error().text().find("nope"), std::string::npos);
}

TEST_F(CompileTest, AnUnknownPortIsAnError) {
  Config config = example();
  config.self_ips[0].port = "nowhere";
  const auto made = compile(Instant{}, config, input, nullptr);
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().text(), "self IP self: there is no port \"nowhere\"");
}

}  // namespace
}  // namespace sluice::config
