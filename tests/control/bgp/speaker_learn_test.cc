// The speaker: which routes it learns, and which not.
#include <gtest/gtest.h>

#include "control/bgp/rib.h"
#include "tests/control/bgp/speaker_support.h"

namespace sluice::bgp::speaker_learn_test {
namespace {

using namespace testing;

// Fact 6: a withdrawal of what was never announced, of the default route or of our own addresses is silent.
TEST_F(SpeakerTest, UnknownWithdrawalsAreSilent) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  for (const auto* p : {"0.0.0.0/0", "172.16.40.80/32", "10.99.0.0/16"}) bench.receive(conn, withdraw_update(p));
  EXPECT_EQ(bench.routes.size(), 1u);
  const auto f = bench.facts(kMaster);
  EXPECT_EQ(f.state, State::established);
  EXPECT_EQ(f.treated_as_withdraw + f.rejected_prefixes, 0u);
}

TEST_F(SpeakerTest, DefaultRouteOwnAddressesAndStrangersAreNotLearned) {
  bench.settings.accept = {prefix("10.244.0.0/16")};
  bench.reconfigure();
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("10.244.9.9/32"), {}, out); });
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  for (const auto* p : {"0.0.0.0/0", "172.16.40.202/32", "10.244.9.9/32", "10.245.0.0/24", "10.0.0.0/8"}) {
    bench.receive(conn, block_update(kMaster, p));
  }
  bench.receive(conn, block_update("172.16.40.202", "10.244.7.0/24"));  // through ourselves
  EXPECT_TRUE(bench.routes.empty());
  bench.receive(conn, block_update(kMaster, "10.244.3.3/32"));  // a borrowed address (fact 12)
  EXPECT_EQ(bench.routes.size(), 1u);
  EXPECT_EQ(bench.facts(kMaster).rejected_prefixes, 6u);
}

// RFC 7911 sets no limit; without one each of a million paths of a prefix would be searched for among all others.
TEST_F(SpeakerTest, PathsOfOnePrefixAreLimited) {
  bench.settings.neighbors[0].session.add_path_receive = true;
  bench.reconfigure();
  const auto conn = bench.accept_from(kNode1, calico_open(kNode1));
  std::vector<Nlri> routes;
  for (std::uint32_t i = 0; i < 10000; ++i) routes.push_back({prefix(kBlock), i});
  PathAttributes a;
  a.next_hop = ip(kNode1);
  a.local_pref = 100;
  Bytes bytes;
  encode_announcements(bytes, a, {true, true}, routes, true, kMessageMax);
  bench.receive(conn, bytes);
  EXPECT_EQ(bench.facts(kNode1).accepted_prefixes, kPathsPerPrefixMax);
  EXPECT_EQ(bench.facts(kNode1).rejected_prefixes, 10000 - kPathsPerPrefixMax);
}

TEST_F(SpeakerTest, MaximumPrefixes) {
  bench.settings.neighbors[1].session.prefixes_max = 3;
  bench.settings.neighbors[1].session.prefixes_restart = 60s;
  bench.reconfigure();
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  for (const auto* p : {"10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24", "10.244.4.0/24"})
    bench.receive(conn, block_update(kMaster, p));
  const auto messages = bench.take(conn);
  EXPECT_EQ(notification_of(messages), std::pair(6, 1));
  EXPECT_EQ(Bytes(messages.back().begin() + 21, messages.back().end()), hex("0001 01 00000003"));
  EXPECT_TRUE(bench.routes.empty());
  bench.advance(30s);
  EXPECT_EQ(bench.facts(kMaster).state, State::idle);
  bench.advance(31s);
  EXPECT_EQ(bench.facts(kMaster).state, State::active);
}

TEST_F(SpeakerTest, GracefulShutdownCommunityMeansLastChoice) {  // RFC 8326
  const auto a = bench.accept_from(kMaster, calico_open(kMaster));
  const auto b = bench.accept_from(kNode1, calico_open(kNode1));
  const auto announce = [&](ConnId conn, const char* hop, std::vector<std::uint32_t> communities) {
    PathAttributes attributes;
    attributes.next_hop = ip(hop);
    attributes.local_pref = 100;
    attributes.communities = std::move(communities);
    Bytes bytes;
    const Nlri route{prefix(kBlock), 0};
    encode_announcements(bytes, attributes, {}, std::span(&route, 1), false, kMessageMax);
    bench.receive(conn, bytes);
  };
  announce(a, kMaster, {});
  announce(b, kNode1, {});
  EXPECT_EQ(bench.routes[prefix(kBlock)].size(), 2u);
  announce(a, kMaster, {community::kGracefulShutdown});
  EXPECT_EQ(bench.routes[prefix(kBlock)], std::set<IpAddress>{ip(kNode1)});
  bench.receive(b, withdraw_update(kBlock));
  EXPECT_EQ(bench.routes[prefix(kBlock)], std::set<IpAddress>{ip(kMaster)});
}

TEST_F(SpeakerTest, NextHopChangesAreFollowed) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.resolver.unreachable.insert(ip(kMaster));
  bench.step(input::NextHopsChanged{});
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_EQ(bench.speaker.paths(bench.now, prefix(kBlock))[0].why, "not used: next hop unreachable (9.1.2)");
  bench.resolver.unreachable.clear();
  bench.step(input::NextHopsChanged{});
  EXPECT_EQ(bench.routes.size(), 1u);
}

TEST_F(SpeakerTest, OwnRouteReflectedBackIsIgnored) {  // RFC 4456 8; fact 13
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  PathAttributes attributes;
  attributes.next_hop = ip(kMaster);
  attributes.local_pref = 100;
  const auto body =
      update_body({},
                  attr(0x40, 1, {0}) + attr(0x40, 2, {}) + attr(0x40, 3, hex("ac1028c7")) +
                      attr(0x40, 5, hex("00000064")) + attr(0x80, 9, hex("ac1028ca")) + attr(0x80, 10, hex("01010101")),
                  hex("18 0af409"));
  bench.receive(conn, message_of(MessageType::update, body));
  EXPECT_TRUE(bench.routes.empty());
}

// RFC 4271 6.3: a neighbour of another AS, one hop away, names itself or somebody on the subnet that it shares with us;
// the route is ignored otherwise, and the session stays up. One further away, or of our AS, may name anybody.
TEST(NextHop, OfAnExternalNeighbourOnOurSubnet) {
  auto settings = reference_settings();
  settings.self_ips.push_back({ip("10.9.0.1"), 24});  // a subnet of ours that the neighbour is not on
  settings.neighbors[0].session.remote_as = 64513;
  NeighborSettings far;
  far.address = ip("192.0.2.9");
  far.session.remote_as = 64514;
  far.session.passive = true;
  settings.neighbors.push_back(far);
  Bench bench(settings);
  const auto accept = [&bench](const char* address, std::uint32_t as) {
    auto open = calico_open(address);
    open.capabilities.four_octet_as = open.as = as;
    return bench.accept_from(address, open);
  };
  const auto near_conn = accept(kNode1, 64513), internal = accept(kMaster, 64512),
             far_conn = accept("192.0.2.9", 64514);
  const auto learned = [&](ConnId conn, std::uint32_t as, const char* next_hop) {
    PathAttributes a;
    a.origin = Origin::igp;
    a.next_hop = ip(next_hop);
    if (as != 64512) a.as_path.prepend(as, 1);
    if (as == 64512) a.local_pref = 100;
    const Nlri route{prefix(kBlock), 0};
    Bytes bytes;
    encode_announcements(bytes, a, {as == 64512, true}, std::span(&route, 1), false, kMessageMax);
    bench.receive(conn, bytes);
    const bool there = bench.routes.contains(prefix(kBlock));
    bench.receive(conn, withdraw_update(kBlock));
    return there;
  };
  EXPECT_TRUE(learned(near_conn, 64513, kNode1));
  EXPECT_TRUE(learned(near_conn, 64513, "172.16.40.7"));     // a third party on the same subnet
  EXPECT_FALSE(learned(near_conn, 64513, "10.9.0.7"));       // on another subnet of ours
  EXPECT_FALSE(learned(near_conn, 64513, "192.0.2.1"));      // nowhere near
  EXPECT_FALSE(learned(near_conn, 64513, "172.16.40.202"));  // ourselves
  for (const auto* anybody : {"192.0.2.1", "10.9.0.7", "172.16.40.7"}) {
    EXPECT_TRUE(learned(far_conn, 64514, anybody)) << anybody;
    EXPECT_TRUE(learned(internal, 64512, anybody)) << anybody;
  }
  EXPECT_FALSE(learned(far_conn, 64514, "10.9.0.1"));  // our own address, whoever says so
  EXPECT_EQ(bench.facts(kNode1).state, State::established);
  EXPECT_EQ(bench.facts(kNode1).rejected_prefixes, 3u);
}

// The next hops that fit are another set when a self IP comes: the neighbours are asked for all again.
TEST_F(SpeakerTest, ChangedSelfIpsAskForTheRoutesAgain) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  bench.settings.self_ips.push_back({ip("10.9.0.1"), 24});
  bench.reconfigure();
  EXPECT_EQ(types(bench.take(conn)), std::vector{MessageType::route_refresh});
  bench.reconfigure();
  EXPECT_TRUE(bench.take(conn).empty());
}

}  // namespace
}  // namespace sluice::bgp::speaker_learn_test
