// The configuration's BGP as the speaker's settings.
#include "control/daemon/bgp_settings.h"

#include <gtest/gtest.h>

#include "control/config/parse.h"
#include "tests/control/config/sample.h"

namespace sluice::daemon::bgp_settings_test {
namespace {

config::Config parsed(std::string_view text) {
  auto outcome = config::parse("s", text);
  for (const Error& error : outcome.errors) ADD_FAILURE() << error.text();
  return outcome.config.value_or(config::Config{});
}

TEST(MakeSettings, LocalAddressAndDefaults) {
  const auto settings = make_settings(parsed(R"(
ports: {p: {device: net_null0}}
self-ips: [{address: 10.9.0.2/24, port: p}, {address: 172.16.40.202/24, port: p}]
bgp:
  local-as: 64512
  router-id: 172.16.40.202
  listen-port: 1790
  multipath-max: 4
  accept: 10.244.0.0/16
  neighbors:
    - {address: 172.16.40.199, remote-as: 64513, hold-time: 9}
    - {address: 192.0.2.1, remote-as: 64513}
    - {address: 172.16.40.198, remote-as: 64513, local-address: 10.9.0.2, enabled: false}
)"));
  EXPECT_EQ(settings.local_as, 64512u);
  EXPECT_EQ(settings.router_id, Ipv4Address::parse("172.16.40.202")->value);
  EXPECT_EQ(settings.listen_port, 1790);
  EXPECT_EQ(settings.multipath_max, 4u);
  ASSERT_EQ(settings.accept.size(), 1u);
  EXPECT_TRUE(settings.refuse.empty()) << "who says what is accepted gets that";
  EXPECT_EQ(settings.self_ips.size(), 2u);
  ASSERT_EQ(settings.neighbors.size(), 3u);
  const auto& first = settings.neighbors[0].session;
  EXPECT_EQ(first.local_address->text(), "172.16.40.202") << "on the neighbour's subnet";
  EXPECT_EQ(settings.neighbors[1].session.local_address->text(), "10.9.0.2") << "else the first";
  EXPECT_EQ(settings.neighbors[2].session.local_address->text(), "10.9.0.2") << "or as configured";
  EXPECT_FALSE(settings.neighbors[2].enabled);
  EXPECT_EQ(first.hold_time, 9s);
  EXPECT_EQ(first.keepalive, 3s);
  bgp::SessionSettings expected;
  expected.remote_as = 64513;
  expected.local_address = settings.neighbors[1].session.local_address;
  EXPECT_EQ(settings.neighbors[1].session, expected) << "what is not said is the speaker's default";
  EXPECT_EQ(bgp::Speaker::check(settings), Errors{});
}

TEST(MakeSettings, WithoutAcceptOurSubnetsAreRefused) {
  const auto settings =
      make_settings(parsed("ports: {p: {device: net_null0}}\nself-ips: [{address: 10.9.0.2/24, port: "
                           "p}]\nbgp: {local-as: 1}\n"));
  EXPECT_TRUE(settings.accept.empty());
  EXPECT_EQ(settings.refuse, std::vector{*routing::IpPrefix::parse("10.9.0.0/24")});
}

TEST(MakeSettings, EveryKeyArrives) {
  const auto settings = make_settings(parsed(config::testing::kEveryKey));
  EXPECT_EQ(settings.stale_time_max, 300s);
  EXPECT_FALSE(settings.multipath_relax);
  EXPECT_TRUE(settings.always_compare_med);
  EXPECT_EQ(settings.graceful_restart_time, 90s);
  const auto& neighbor = settings.neighbors.at(0);
  EXPECT_EQ(neighbor.session.description, "the master: k8s");
  EXPECT_EQ(neighbor.session.password, "s3cret");
  EXPECT_EQ(neighbor.session.remote_as, 64512u) << "its own key";
  EXPECT_EQ(neighbor.session.multihop, 2u);
  EXPECT_EQ(neighbor.session.role, bgp::Role::none);
  const auto& range = settings.listen_ranges.at(0);
  EXPECT_EQ(range.prefix.text(), "172.16.41.0/24");
  EXPECT_EQ(range.neighbors_max, 100u);
  EXPECT_EQ(range.expiry, 60s);
  const auto& s = range.session;  // the peer group's
  EXPECT_EQ(s.local_as, 64514u);
  EXPECT_EQ(s.port, 1179);
  EXPECT_EQ(s.local_address, IpAddress(*Ipv4Address::parse("172.16.40.202")));
  EXPECT_EQ(s.hold_time, 12s);
  EXPECT_EQ(s.keepalive, 3s);
  EXPECT_EQ(s.connect_retry, 2s);
  EXPECT_EQ(s.idle_hold, 500ms);
  EXPECT_EQ(s.idle_hold_max, 10s);
  EXPECT_TRUE(s.passive);
  EXPECT_EQ(s.password, "gr0up");
  EXPECT_EQ(s.bfd, (bgp::BfdSettings{{50ms, 60ms, 5}, true, true}));
  EXPECT_EQ(s.ttl_security, 0u) << "the range's own";
  EXPECT_EQ(s.multihop, 3u);
  EXPECT_FALSE(s.graceful_restart);
  EXPECT_TRUE(s.long_lived_graceful_restart);
  EXPECT_TRUE(s.add_path_receive && s.add_path_send);
  EXPECT_TRUE(s.ipv6_unicast && s.extended_next_hop);
  EXPECT_FALSE(s.extended_messages);
  EXPECT_EQ(s.allow_as_in, 1u);
  EXPECT_EQ(s.prefixes_max, 1000u);
  EXPECT_EQ(s.prefixes_warn_percent, 90u);
  EXPECT_EQ(s.prefixes_restart, 60s);
  EXPECT_EQ(s.role, bgp::Role::customer);
  EXPECT_TRUE(s.role_strict && s.require_policy);
  EXPECT_EQ(s.import_policy.rules.size(), 2u);
  EXPECT_EQ(s.import_policy.otherwise, bgp::Verdict::reject);
  EXPECT_EQ(s.export_policy.rules.size(), 1u);
}

TEST(MakeAttributes, WhatGoesWithAnAnnouncement) {
  config::Announcement from;
  EXPECT_EQ(make_attributes(from), bgp::AnnounceAttributes{});
  from.communities = {"64512:100", "64512:1:2"};
  from.med = 5;
  from.prepend = 2;
  from.local_preference = 80;
  bgp::AnnounceAttributes expected{80, 5, 2, {0xfc000064u}, {{64512, 1, 2}}};
  EXPECT_EQ(make_attributes(from), expected);
  from.graceful_shutdown = true;
  expected.local_pref = 0;
  expected.communities.push_back(bgp::community::kGracefulShutdown);
  EXPECT_EQ(make_attributes(from), expected);
}

}  // namespace
}  // namespace sluice::daemon::bgp_settings_test
