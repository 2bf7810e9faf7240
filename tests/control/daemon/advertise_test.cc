// A virtual address is announced if and only if its mode says so: every mode against every state of its servers.
#include "control/daemon/advertise.h"

#include <gtest/gtest.h>

#include "control/config/compile.h"
#include "control/config/normalise.h"

namespace sluice::daemon {
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
    return to_announce(config, **snapshot).contains(kAddress);
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
    return to_announce(config, **snapshot).contains(kAddress);
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

}  // namespace
}  // namespace sluice::daemon
