// A virtual address is announced if and only if its mode says so: every mode against every state of its servers;
// hold times, aggregates and draining on a virtual clock.
#include "control/daemon/route_health.h"

#include <gtest/gtest.h>

#include "control/config/compile.h"
#include "control/config/normalise.h"

namespace sluice::daemon::route_health_test {
namespace {

using config::RouteAdvertisement;

const Ipv4Address kAddress = *Ipv4Address::parse("10.0.0.80");

// Two virtual servers on one address, each with a pool of one member.
class AdvertiseTest : public testing::Test {
 protected:
  struct Server {
    bool enabled = true;
    config::MemberState member = config::MemberState::enabled;
    lb::MonitorStatus status = lb::MonitorStatus::up;
  };

  bool announced(RouteAdvertisement mode, Server first, Server second) {
    config::Config config;
    config.self_ips.push_back({"self", *Ipv4Interface::parse("10.0.0.2/24"), "p"});
    for (const auto& [name, port, server] : {std::tuple{"a", 80, first}, std::tuple{"b", 443, second}}) {
      config::Pool pool;
      pool.name = name;
      pool.members.resize(1);
      pool.members[0].endpoint = {*Ipv4Address::parse("10.0.0.11"), static_cast<std::uint16_t>(port)};
      pool.members[0].state = server.member;
      config.pools.push_back(pool);
      config::VirtualServer out;
      out.name = out.pool = name;
      out.destination = {kAddress, static_cast<std::uint16_t>(port)};
      out.enabled = server.enabled;
      config.virtual_servers.push_back(out);
    }
    config::VirtualAddress address;
    address.address = kAddress;
    address.route_advertisement = mode;
    config.virtual_addresses = {address};
    config::normalise(config);
    lb::Registry registry(1);
    const config::CompileInput input{registry, [](const std::string&) { return std::optional(packet::PortId{0}); },
                                     [&](const config::Pool& of, const config::Member&) {
                                       lb::MonitorVerdict verdict;
                                       verdict.status = of.name == "a" ? first.status : second.status;
                                       return verdict;
                                     }};
    const auto snapshot = config::compile(instant_ns(1), config, input, nullptr);
    EXPECT_TRUE(snapshot) << snapshot.error().text();
    RouteHealth health;
    health.follow(instant_ns(1), config, **snapshot);
    return health.announced().contains(Ipv4Prefix::of(kAddress, 32));
  }
};

TEST_F(AdvertiseTest, EveryModeAgainstEveryState) {
  using lb::MonitorStatus;
  const Server up, down{true, config::MemberState::enabled, MonitorStatus::down}, disabled{false},
      offline{true, config::MemberState::forced_offline}, member_disabled{true, config::MemberState::disabled},
      unchecked{true, config::MemberState::enabled, MonitorStatus::unchecked},
      checking{true, config::MemberState::enabled, MonitorStatus::checking};
  struct Case {
    Server first, second;
    bool any, all;
  };
  const Case cases[] = {{up, up, true, true},
                        {up, down, true, false},
                        {down, down, false, false},
                        {up, disabled, true, true},  // of the enabled ones all can
                        {disabled, disabled, false, false},
                        {offline, down, false, false},
                        {member_disabled, down, false, false},
                        {unchecked, down, true, false},
                        {unchecked, unchecked, true, true},
                        {checking, checking, false, false},  // nobody has said that it works
                        {checking, up, true, false}};
  for (const Case& c : cases) {
    const auto index = &c - cases;
    EXPECT_EQ(announced(RouteAdvertisement::selective, c.first, c.second), c.any) << index;
    EXPECT_EQ(announced(RouteAdvertisement::any, c.first, c.second), c.any) << index;
    EXPECT_EQ(announced(RouteAdvertisement::all, c.first, c.second), c.all) << index;
    EXPECT_TRUE(announced(RouteAdvertisement::always, c.first, c.second)) << index;
    EXPECT_FALSE(announced(RouteAdvertisement::never, c.first, c.second)) << index;
  }
}

// Of a virtual server in mode http, a route's pool can serve as well as its own; one that redirects needs no pool.
TEST(Advertise, RoutesAndRedirectsServeToo) {
  config::Config config;
  config.self_ips.push_back({"self", *Ipv4Interface::parse("10.0.0.2/24"), "p"});
  config.pools.resize(2);
  config.pools[0].name = "own";
  config.pools[1].name = "routed";
  for (config::Pool& pool : config.pools) pool.members.push_back({.endpoint = *Ipv4Endpoint::parse("10.0.0.11:80")});
  config::VirtualServer server;
  server.name = "web";
  server.destination = {kAddress, 80};
  server.mode = config::Mode::http;
  config.virtual_servers = {server};
  config::normalise(config);
  const auto announced = [&](std::string_view pool_that_is_up) {
    lb::Registry registry(1);
    const config::CompileInput input{
        registry, [](const std::string&) { return std::optional(packet::PortId{0}); },
        [&](const config::Pool& pool, const config::Member&) {
          return lb::MonitorVerdict{
              pool.name == pool_that_is_up ? lb::MonitorStatus::up : lb::MonitorStatus::down, false, {}};
        }};
    const auto snapshot = config::compile(instant_ns(1), config, input, nullptr);
    EXPECT_TRUE(snapshot) << snapshot.error().text();
    EXPECT_EQ((*snapshot)->virtual_addresses()[0].reachable, lb::can_serve((*snapshot)->virtual_servers()[0]));
    RouteHealth health;
    health.follow(instant_ns(1), config, **snapshot);
    return health.announced().contains(Ipv4Prefix::of(kAddress, 32));
  };
  config::VirtualServer& web = config.virtual_servers[0];
  EXPECT_FALSE(announced("own"));  // it has no pool
  web.pool = "own";
  EXPECT_TRUE(announced("own"));
  EXPECT_FALSE(announced("routed"));
  web.http.routes.push_back({.path = "/a", .pool = "routed"});
  EXPECT_TRUE(announced("routed"));
  EXPECT_FALSE(announced("nothing"));
  web.http.redirect = {.status = 301, .scheme = "https"};
  EXPECT_TRUE(announced("nothing"));
  web.enabled = false;
  EXPECT_FALSE(announced("nothing"));
}

// Addresses .80 and .81, each with one virtual server whose only member is up or not.
class RouteHealthTest : public testing::Test {
 protected:
  RouteHealthTest() {
    config_.self_ips.push_back({"self", *Ipv4Interface::parse("10.0.0.2/24"), "p"});
    for (const char* name : {"a", "b"}) {
      config::Pool pool;
      pool.name = name;
      pool.members.resize(1);
      pool.members[0].endpoint = {*Ipv4Address::parse("10.0.0.11"), 80};
      config_.pools.push_back(pool);
      config::VirtualServer server;
      server.name = server.pool = name;
      server.destination = {address(name), 80};
      config_.virtual_servers.push_back(server);
    }
    config::normalise(config_);
  }
  static Ipv4Address address(const std::string& name) {
    return *Ipv4Address::parse(name == "a" ? "172.16.99.80" : "172.16.99.81");
  }
  void follow() {
    const config::CompileInput input{registry_, [](const std::string&) { return std::optional(packet::PortId{0}); },
                                     [&](const config::Pool& pool, const config::Member&) {
                                       lb::MonitorVerdict verdict;
                                       verdict.status =
                                           up_[pool.name] ? lb::MonitorStatus::up : lb::MonitorStatus::down;
                                       return verdict;
                                     }};
    snapshot_ = *config::compile(now_, config_, input, snapshot_.get());
    health_.follow(now_, config_, *snapshot_);
  }
  void set(const std::string& name, bool up) {
    up_[name] = up;
    follow();
  }
  // Lets time pass, deadline by deadline.
  void advance(Duration d) {
    const Instant end = now_ + d;
    while (health_.deadline() <= end) {
      now_ = health_.deadline();
      health_.advance(now_);
    }
    now_ = end;
  }
  std::string announced() const {
    std::string out;
    for (const auto& [prefix, with] : health_.announced()) {
      out += (out.empty() ? "" : " ") + prefix.text() + (with.graceful_shutdown ? "!" : "");
    }
    return out;
  }
  std::string why(const std::string& name) const { return health_.state(now_, address(name)).reason; }
  config::VirtualAddress& configured(const std::string& name) { return config_.virtual_addresses[name == "a" ? 0 : 1]; }

  config::Config config_;
  lb::Registry registry_{1};
  std::shared_ptr<const lb::Snapshot> snapshot_;
  RouteHealth health_;
  Instant now_ = instant_ns(1'000'000'000);
  std::map<std::string, bool> up_;
};

TEST_F(RouteHealthTest, AtOnceByDefault) {
  set("a", true);
  EXPECT_EQ(announced(), "172.16.99.80/32");
  EXPECT_EQ(why("a"), "1 of 1 virtual servers can serve");
  EXPECT_EQ(why("b"), "0 of 1 virtual servers can serve");
  for (int i = 0; i < 5; ++i) {
    set("a", false);
    EXPECT_EQ(announced(), "");
    set("a", true);
    EXPECT_EQ(announced(), "172.16.99.80/32");
  }
  EXPECT_EQ(health_.deadline(), kInstantMax);
}

TEST_F(RouteHealthTest, HoldUpDampensFlapping) {
  configured("a").hold_up = 10s;
  set("a", true);
  EXPECT_EQ(announced(), "172.16.99.80/32") << "the first time there is nothing to dampen";
  set("a", false);
  EXPECT_EQ(announced(), "") << "down at once";
  set("a", true);
  EXPECT_EQ(why("a"), "1 of 1 virtual servers can serve; hold-up: announced in 10.0 s");
  advance(9s);
  set("a", false);
  advance(1s);
  set("a", true);  // begins anew
  advance(9s);
  EXPECT_EQ(announced(), "");
  EXPECT_EQ(why("a"), "1 of 1 virtual servers can serve; hold-up: announced in 1.0 s");
  follow();  // a verdict elsewhere does not begin it anew
  advance(1s);
  EXPECT_EQ(announced(), "172.16.99.80/32");
}

TEST_F(RouteHealthTest, HoldDownBridgesAShortFailure) {
  configured("a").hold_down = 3s;
  set("a", true);
  set("a", false);
  EXPECT_EQ(announced(), "172.16.99.80/32");
  EXPECT_EQ(why("a"), "0 of 1 virtual servers can serve; hold-down: withdrawn in 3.0 s");
  advance(2s);
  set("a", true);
  advance(10s);
  EXPECT_EQ(announced(), "172.16.99.80/32");
  set("a", false);
  advance(3s);
  EXPECT_EQ(announced(), "");
  set("a", true);
  configured("a").route_advertisement = RouteAdvertisement::never;
  follow();
  EXPECT_EQ(announced(), "") << "what the user forbids is not held";
}

TEST_F(RouteHealthTest, AggregateWhileAnyAddressInsideIs) {
  config::BgpAggregate aggregate;
  aggregate.prefix = *Ipv4Prefix::parse("172.16.99.0/24");
  config_.bgp.aggregates = {aggregate};
  follow();
  EXPECT_EQ(announced(), "");
  set("a", true);
  set("b", true);
  EXPECT_EQ(announced(), "172.16.99.0/24 172.16.99.80/32 172.16.99.81/32");
  set("a", false);
  EXPECT_EQ(announced(), "172.16.99.0/24 172.16.99.81/32");
  config_.bgp.aggregates[0].summary_only = true;
  follow();
  EXPECT_EQ(announced(), "172.16.99.0/24");
  EXPECT_EQ(why("b"), "1 of 1 virtual servers can serve; 172.16.99.0/24 is announced in its place");
  EXPECT_FALSE(health_.state(now_, address("b")).announced);
  set("b", false);
  EXPECT_EQ(announced(), "");
}

TEST_F(RouteHealthTest, DrainedAddressesCarryTheCommunity) {
  set("a", true);
  set("b", true);
  EXPECT_TRUE(health_.drain(now_, address("a"), true));
  EXPECT_EQ(announced(), "172.16.99.80/32! 172.16.99.81/32");
  EXPECT_EQ(why("a"), "1 of 1 virtual servers can serve; drained (RFC 8326)");
  follow();
  EXPECT_EQ(announced(), "172.16.99.80/32! 172.16.99.81/32") << "a verdict does not end it";
  EXPECT_TRUE(health_.drain(now_, std::nullopt, true));
  EXPECT_EQ(announced(), "172.16.99.80/32! 172.16.99.81/32!");
  EXPECT_TRUE(health_.drain(now_, std::nullopt, false));
  EXPECT_EQ(announced(), "172.16.99.80/32 172.16.99.81/32");
  EXPECT_FALSE(health_.drain(now_, *Ipv4Address::parse("10.9.9.9"), true));
  config_.bgp.graceful_shutdown = true;
  follow();
  EXPECT_EQ(announced(), "172.16.99.80/32! 172.16.99.81/32!");
}

TEST_F(RouteHealthTest, WhatGoesWithAnAddress) {
  configured("a").announcement.med = 50;
  configured("a").announcement.communities = {"64512:100"};
  set("a", true);
  EXPECT_EQ(health_.announced().begin()->second, configured("a").announcement);
}

}  // namespace
}  // namespace sluice::daemon::route_health_test
