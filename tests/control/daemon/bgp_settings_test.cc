// The configuration's BGP as the speaker's settings.
#include <gtest/gtest.h>

#include "control/daemon/bgp_control.h"

namespace sluice::daemon {
namespace {

TEST(MakeSettings, EveryValueArrives) {
  config::Config config;
  config.self_ips.push_back({"a", *Ipv4Interface::parse("10.9.0.2/24"), "p"});
  config.self_ips.push_back({"b", *Ipv4Interface::parse("172.16.40.202/24"), "p"});
  config.bgp.local_as = 64512;
  config.bgp.router_id = *Ipv4Address::parse("172.16.40.202");
  config.bgp.listen_port = 1790;
  config.bgp.multipath_max = 4;
  config.bgp.accept = {*Ipv4Prefix::parse("10.244.0.0/16")};
  config::BgpNeighbor neighbor;
  neighbor.address = *Ipv4Address::parse("172.16.40.199");
  neighbor.remote_as = 64513;
  neighbor.password = "secret";
  neighbor.hold_time = 9s;
  neighbor.passive = true;
  neighbor.bfd = config::BgpBfd{50ms, 60ms, 5, true, true};
  config::BgpNeighbor far = neighbor;
  far.address = *Ipv4Address::parse("192.0.2.1");
  config::BgpNeighbor fixed = neighbor;
  fixed.local_address = *Ipv4Address::parse("10.9.0.2");
  config.bgp.neighbors = {neighbor, far, fixed};

  const bgp::SpeakerSettings settings = make_settings(config);
  EXPECT_EQ(settings.local_as, 64512u);
  EXPECT_EQ(settings.router_id, config.bgp.router_id.value);
  EXPECT_EQ(settings.listen_port, 1790);
  EXPECT_EQ(settings.multipath_max, 4u);
  ASSERT_EQ(settings.accept.size(), 1u);
  EXPECT_EQ(settings.self_ips.size(), 2u);
  ASSERT_EQ(settings.neighbors.size(), 3u);
  EXPECT_EQ(settings.neighbors[0].session.remote_as, 64513u);
  EXPECT_EQ(settings.neighbors[0].session.password, "secret");
  EXPECT_EQ(settings.neighbors[0].session.hold_time, 9s);
  EXPECT_TRUE(settings.neighbors[0].session.passive);
  EXPECT_EQ(settings.neighbors[0].session.bfd, (bgp::BfdSettings{{50ms, 60ms, 5}, true, true}));
  EXPECT_EQ(settings.neighbors[0].session.local_address->text(), "172.16.40.202") << "on the neighbour's subnet";
  EXPECT_EQ(settings.neighbors[1].session.local_address->text(), "10.9.0.2") << "else the first";
  EXPECT_EQ(settings.neighbors[2].session.local_address->text(), "10.9.0.2") << "or as configured";
}

}  // namespace
}  // namespace sluice::daemon
