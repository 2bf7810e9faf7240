// What users set and see: policies on a session, received and advertised routes, listen ranges that change, RFC 8212,
// owners of blocks, next hops that go.
#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::settings_test {
namespace {

using namespace testing;

constexpr auto kFirst = "172.16.40.199";
constexpr auto kSecond = "172.16.40.198";
constexpr auto kNewNode = "172.16.40.50";

Policy policy(const std::vector<std::string>& lines) { return parse_policy(lines).value(); }

std::map<std::string, std::string> why_of(const std::vector<PathFacts>& paths) {
  std::map<std::string, std::string> out;
  for (const auto& p : paths) out[p.prefix.text()] = p.why;
  return out;
}

OpenMessage external_open(std::string_view address, std::uint32_t as) {
  auto open = calico_open(address);
  open.as = static_cast<std::uint16_t>(as);
  open.capabilities.four_octet_as = as;
  open.capabilities.add_path = {};
  return open;
}

Bytes external_update(std::string_view next_hop, std::uint32_t as, std::string_view block) {
  PathAttributes a;
  a.origin = Origin::igp;
  a.next_hop = ip(next_hop);
  a.as_path.prepend(as, 1);
  Bytes out;
  const Nlri route{prefix(block), 0};
  encode_announcements(out, a, {false, true}, std::span(&route, 1), false, kMessageMax);
  return out;
}

TEST(ReceivedRoutes, AsTheyCameWithReasons) {
  auto settings = reference_settings();
  settings.neighbors[1].session.import_policy =
      policy({"prefix 10.244.5.0/24 set local-pref 200 accept", "prefix 10.244.0.0/16 ge 24 le 32 accept"});
  Bench bench(settings);
  const auto conn = bench.accept_from(kFirst, calico_open(kFirst));
  for (const auto* p : {"10.244.0.0/24", "10.244.5.0/24", "0.0.0.0/0", "192.0.2.0/24", "172.16.40.202/32"}) {
    bench.receive(conn, block_update(kFirst, p));
  }
  bench.receive(conn, block_update("172.16.40.202", "10.244.7.0/24"));
  const auto received = bench.speaker.received_from(bench.now, ip(kFirst));
  EXPECT_EQ(why_of(received),
            (std::map<std::string, std::string>{{"0.0.0.0/0", "rejected: the default route"},
                                                {"10.244.0.0/24", "best"},
                                                {"10.244.5.0/24", "best"},
                                                {"10.244.7.0/24", "rejected: its next hop is our own address"},
                                                {"172.16.40.202/32", "rejected: our own address"},
                                                {"192.0.2.0/24", "rejected: import policy"}}));
  for (const auto& path : received) EXPECT_EQ(path.local_pref, 100u) << "before policy: " << path.prefix.text();
  const auto accepted = bench.speaker.routes_from(bench.now, ip(kFirst));
  ASSERT_EQ(accepted.size(), 2u);
  EXPECT_EQ(accepted[1].local_pref, 200u) << "after policy";

  bench.receive(conn, withdraw_update("192.0.2.0/24"));
  EXPECT_EQ(bench.speaker.received_from(bench.now, ip(kFirst)).size(), 5u);
  bench.receive(conn, encode_notification(Notification::cease(cease::kShutdown, "")));
  EXPECT_TRUE(bench.speaker.received_from(bench.now, ip(kFirst)).empty());
}

TEST(ReceivedRoutes, AreBounded) {
  auto settings = reference_settings();
  settings.neighbors[1].session.import_policy = policy({"any reject"});
  Bench bench(settings);
  const auto conn = bench.accept_from(kFirst, calico_open(kFirst));
  for (unsigned i = 0; i < 1500; ++i) {
    bench.receive(conn, block_update(kFirst, Ipv4Prefix::of({0x0a000000u + (i << 8)}, 24).text()));
  }
  EXPECT_EQ(bench.facts(kFirst).rejected_prefixes, 1500u);
  EXPECT_EQ(bench.speaker.received_from(bench.now, ip(kFirst)).size(), 1000u);
}

TEST(DefaultPolicy, NothingOnASubnetOfOurs) {
  auto settings = reference_settings();
  settings.refuse = {prefix("172.16.40.0/24")};
  Bench bench(settings);
  const auto conn = bench.accept_from(kFirst, calico_open(kFirst));
  bench.receive(conn, block_update(kFirst, "172.16.40.254/32"));
  bench.receive(conn, block_update(kFirst, "172.16.40.0/25"));
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_EQ(why_of(bench.speaker.received_from(bench.now, ip(kFirst)))["172.16.40.0/25"],
            "rejected: on a subnet of ours");
  bench.settings.refuse.clear();
  bench.take(conn);
  bench.reconfigure();
  EXPECT_EQ(bench.take(conn).size(), 1u) << "asks for the routes again";
  bench.receive(conn, block_update(kFirst, "172.16.40.0/25"));
  EXPECT_EQ(bench.routes.size(), 1u);
}

TEST(AdvertisedRoutes, AfterTheExportPolicy) {
  auto settings = reference_settings();
  settings.neighbors[1].session.export_policy =
      policy({"prefix 172.16.99.0/24 le 32 set med 7 set community add 64512:1 accept"});
  Bench bench(settings);
  const auto conn = bench.accept_from(kFirst, calico_open(kFirst));
  bench.run([&](Outputs& out) {
    bench.speaker.announce(bench.now, prefix("172.16.99.99/32"), {}, out);
    bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out);
  });
  bench.step(input::Tick{});
  bench.take(conn);
  const auto told = bench.speaker.advertised_to(bench.now, ip(kFirst));
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].prefix.text(), "172.16.99.99/32");
  EXPECT_EQ(told[0].med, 7u);
  EXPECT_EQ(told[0].communities, "64512:1");
}

TEST(Rfc8212, ExternalWithoutPolicyIsBelievedAndToldNothing) {
  auto settings = reference_settings();
  settings.neighbors[1].session.remote_as = 64513;
  settings.neighbors[1].session.require_policy = true;
  Bench bench(settings);
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.99.99/32"), {}, out); });
  const auto conn = bench.accept_from(kFirst, external_open(kFirst, 64513));
  bench.receive(conn, external_update(kFirst, 64513, "10.244.0.0/24"));
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_EQ(why_of(bench.speaker.received_from(bench.now, ip(kFirst)))["10.244.0.0/24"],
            "rejected: no import policy (RFC 8212)");
  auto facts = bench.facts(kFirst);
  EXPECT_TRUE(facts.import_lacking && facts.export_lacking);
  EXPECT_EQ(facts.announced_prefixes, 0u);
  EXPECT_NE(text_of(facts).find("Import policy: missing: nothing is accepted (RFC 8212); export policy: missing: "
                                "nothing is announced (RFC 8212)"),
            std::string::npos)
      << text_of(facts);
  bench.settings.neighbors[1].session.export_policy = policy({"any accept"});
  bench.settings.neighbors[1].session.import_policy = policy({"any accept"});
  bench.reconfigure();
  bench.step(input::Tick{});
  EXPECT_EQ(bench.facts(kFirst).announced_prefixes, 1u) << "told as soon as there is a policy, without a new session";
  bench.receive(conn, external_update(kFirst, 64513, "10.244.0.0/24"));
  EXPECT_EQ(bench.routes.size(), 1u);
}

class ListenRangeTest : public ::testing::Test {
 protected:
  ListenRangeTest() {
    ListenRange range;
    range.prefix = prefix("172.16.40.0/24");
    range.session.remote_as = 64512;
    range.expiry = 60s;
    bench.settings.listen_ranges = {range};
    bench.settings.neighbors.clear();
    bench.reconfigure();
    conn = bench.accept_from(kNewNode, calico_open(kNewNode));
    bench.receive(conn, block_update(kNewNode, "10.244.9.0/24"));
  }
  Bench bench{reference_settings()};
  ConnId conn = 0;
};

TEST_F(ListenRangeTest, WhoCameByItIsMarked) {
  const auto facts = bench.facts(kNewNode);
  EXPECT_TRUE(facts.dynamic);
  EXPECT_EQ(facts.listen_range, prefix("172.16.40.0/24"));
  EXPECT_NE(text_of(facts).find("dynamic: by listen range 172.16.40.0/24"), std::string::npos);
  const auto summary = text_of(bench.speaker.summary(bench.now));
  EXPECT_NE(summary.find("*172.16.40.50"), std::string::npos) << summary;
}

TEST_F(ListenRangeTest, AChangeThatASessionSurvivesIsSurvived) {
  bench.settings.listen_ranges[0].neighbors_max = 10;
  bench.settings.listen_ranges[0].session.description = "nodes";
  ListenRange other = bench.settings.listen_ranges[0];
  other.prefix = prefix("10.9.0.0/16");
  bench.settings.listen_ranges.insert(bench.settings.listen_ranges.begin(), other);
  bench.reconfigure();
  EXPECT_EQ(bench.facts(kNewNode).state, State::established);
  EXPECT_EQ(bench.facts(kNewNode).description, "nodes");
  EXPECT_EQ(bench.routes.size(), 1u);
  bench.settings.listen_ranges[1].session.import_policy = policy({"any reject"});
  bench.take(conn);
  bench.reconfigure();
  const auto asked = bench.take(conn);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0], encode_route_refresh(Family::ipv4)) << "a new import policy asks for the routes again";
}

TEST_F(ListenRangeTest, AnotherHoldTimeEndsTheSessionAndItMayComeAgain) {
  bench.settings.listen_ranges[0].session.hold_time = 30s;
  bench.reconfigure();
  EXPECT_TRUE(bench.closed.contains(conn));
  EXPECT_TRUE(bench.routes.empty());
  bench.accept_from(kNewNode, calico_open(kNewNode));
  EXPECT_EQ(bench.facts(kNewNode).state, State::established);
  EXPECT_EQ(bench.facts(kNewNode).hold_time, 30s);
}

TEST_F(ListenRangeTest, WithoutItsRangeItIsGone) {
  bench.settings.listen_ranges[0].prefix = prefix("10.9.0.0/16");
  bench.reconfigure();
  EXPECT_FALSE(bench.speaker.peer(bench.now, ip(kNewNode)));
  EXPECT_TRUE(bench.routes.empty());
}

TEST_F(ListenRangeTest, ResetByTheOperatorItIsForgottenWhenItStaysAway) {
  bench.run([&](Outputs& out) { bench.speaker.clear(bench.now, ip(kNewNode), out); });
  bench.advance(59s);
  EXPECT_TRUE(bench.speaker.peer(bench.now, ip(kNewNode)));
  bench.advance(2s);
  EXPECT_FALSE(bench.speaker.peer(bench.now, ip(kNewNode)));
}

// Fact 8: over eBGP every node announces every block with equal attributes.
TEST(BlockOwners, TheNodeThatHasTheBlockIsTaken) {
  auto settings = reference_settings();
  for (auto& n : settings.neighbors) n.session.remote_as = 64513;
  Bench bench(settings);
  for (const auto* node : {kSecond, kFirst}) {
    const auto conn = bench.accept_from(node, external_open(node, 64513));
    for (const auto* block : {"10.244.0.0/26", "10.244.1.0/26"}) {
      bench.receive(conn, external_update(node, 64513, block));
    }
  }
  EXPECT_EQ(bench.routes[prefix("10.244.0.0/26")], (std::set{ip(kSecond), ip(kFirst)})) << "unknown: both";
  bench.settings.owners = {{prefix("10.244.0.0/26"), ip(kFirst)}, {prefix("10.244.1.0/26"), ip(kSecond)}};
  bench.reconfigure();
  EXPECT_EQ(bench.routes[prefix("10.244.0.0/26")], std::set{ip(kFirst)});
  EXPECT_EQ(bench.routes[prefix("10.244.1.0/26")], std::set{ip(kSecond)});
  const auto paths = bench.speaker.paths(bench.now, prefix("10.244.0.0/26"));
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_EQ(paths[1].why, "not used: another node owns the block");
  bench.settings.owners.clear();
  bench.reconfigure();
  EXPECT_EQ(bench.routes[prefix("10.244.0.0/26")].size(), 2u);
}

TEST(NextHopTracking, RoutesGoWithTheirNextHop) {
  Bench bench(reference_settings());
  const auto conn = bench.accept_from(kFirst, calico_open(kFirst));
  bench.receive(conn, block_update(kFirst, "10.244.0.0/24"));
  EXPECT_EQ(bench.routes.size(), 1u);
  bench.resolver.unreachable.insert(ip(kFirst));
  bench.run([&](Outputs& out) { bench.speaker.step(bench.now, input::NextHopsChanged{}, out); });
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_EQ(bench.speaker.paths(bench.now, prefix("10.244.0.0/24"))[0].why, "not used: next hop unreachable (9.1.2)");
  bench.resolver.unreachable.clear();
  bench.run([&](Outputs& out) { bench.speaker.step(bench.now, input::NextHopsChanged{}, out); });
  EXPECT_EQ(bench.routes.size(), 1u);
}

}  // namespace
}  // namespace sluice::bgp::settings_test
