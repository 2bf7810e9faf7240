// The speaker: route refresh, both ways (RFC 2918, 7313).
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/control/bgp/speaker_support.h"

namespace sluice::bgp::speaker_refresh_test {
namespace {

using namespace testing;

TEST_F(SpeakerTest, RefreshRequestIsAnsweredBetweenMarkers) {  // RFC 7313
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  bench.receive(conn, encode_route_refresh(Family::ipv4));
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0], encode_route_refresh(Family::ipv4, RefreshKind::begin));
  EXPECT_EQ(messages[1][18], 2);
  EXPECT_EQ(messages[2], encode_route_refresh(Family::ipv4, RefreshKind::end));
}

TEST_F(SpeakerTest, RefreshIsAnsweredForTheFamilyThatWasAskedFor) {  // RFC 7313 4; FRR complains of any other EoRR
  for (auto& n : bench.settings.neighbors) n.session.ipv6_unicast = true;
  bench.reconfigure();
  auto open = calico_open(kMaster);
  open.capabilities.multiprotocol = {true, true};
  const auto conn = bench.accept_from(kMaster, open);
  bench.take(conn);
  for (const auto family : {Family::ipv6, Family::ipv4}) {
    bench.receive(conn, encode_route_refresh(family));
    const auto messages = bench.take(conn);
    ASSERT_EQ(messages.size(), 2u);
    EXPECT_EQ(messages[0], encode_route_refresh(family, RefreshKind::begin));
    EXPECT_EQ(messages[1], encode_route_refresh(family, RefreshKind::end));
  }
}

TEST_F(SpeakerTest, EnhancedRefreshSweepsWhatWasNotSentAgain) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.receive(conn, block_update(kMaster, "10.244.5.0/24"));
  // RFC 7313 4: before the End-of-RIB of a neighbour that restarts gracefully, markers are ignored.
  bench.receive(conn, encode_route_refresh(Family::ipv4, RefreshKind::begin));
  bench.receive(conn, encode_route_refresh(Family::ipv4, RefreshKind::end));
  EXPECT_EQ(bench.routes.size(), 2u);
  bench.receive(conn, end_of_rib());
  EXPECT_TRUE(bench.speaker.refresh(bench.now, ip(kMaster), bench.out));
  bench.receive(conn, encode_route_refresh(Family::ipv4, RefreshKind::begin));
  EXPECT_EQ(bench.routes.size(), 2u);
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.receive(conn, encode_route_refresh(Family::ipv4, RefreshKind::end));
  EXPECT_EQ(bench.routes.size(), 1u);
  // An EoRR that never comes: what was not sent again goes when the time for stale routes is up.
  bench.receive(conn, encode_route_refresh(Family::ipv4, RefreshKind::begin));
  for (int i = 0; i < 11; ++i) {
    bench.advance(59s);
    bench.take(conn);
    bench.receive(conn, encode_keepalive());
  }
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
  EXPECT_TRUE(bench.routes.empty());
}

// A withdrawal that the neighbour has not heard of when it asks for all again is not lost (found by bgp_session_fuzz).
TEST_F(SpeakerTest, WithdrawnJustBeforeARefresh) {
  for (const bool enhanced : {false, true}) {
    Bench b(reference_settings());
    auto open = calico_open(kMaster);
    open.capabilities.enhanced_refresh = enhanced;
    const auto address = prefix("172.16.40.80/32");
    b.run([&](Outputs& out) { b.speaker.announce(b.now, address, {}, out); });
    const auto conn = b.accept_from(kMaster, open);
    b.take(conn);
    b.speaker.withdraw(b.now, address, b.out);
    b.receive(conn, encode_route_refresh(Family::ipv4));
    const auto messages = b.take(conn);
    const auto withdrawal = withdraw_update("172.16.40.80/32");
    EXPECT_EQ(std::count(messages.begin(), messages.end(), withdrawal), 1) << enhanced;
  }
}

// RFC 7313 4: asked for while the first table is being sent: no BoRR before End-of-RIB, the answer behind it.
TEST_F(SpeakerTest, RefreshRequestBeforeEndOfRibIsAnsweredBehindIt) {
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  const ConnId conn = 1;
  bench.step(input::Accepted{conn, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
  bench.receive(conn, encode_open(calico_open(kMaster)));
  bench.take(conn);
  bench.receive(conn, encode_keepalive() + encode_route_refresh(Family::ipv4));
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(messages[1], end_of_rib());
  EXPECT_EQ(messages[2], encode_route_refresh(Family::ipv4, RefreshKind::begin));
  EXPECT_EQ(messages[3], messages[0]);
  EXPECT_EQ(messages[4], encode_route_refresh(Family::ipv4, RefreshKind::end));
}

// A neighbour may begin a refresh as often as it likes: 3,000 times in one read, a route each time.
TEST_F(SpeakerTest, RefreshMarkersWithoutEnd) {
  auto open = calico_open(kMaster);
  open.capabilities.graceful_restart.reset();
  const auto conn = bench.accept_from(kMaster, open);
  Bytes flood;
  for (unsigned i = 0; i < 3000; ++i) {
    flood = std::move(flood) +
            block_update(kMaster, "10." + std::to_string(i / 200) + "." + std::to_string(i % 200) + ".0/24") +
            encode_route_refresh(Family::ipv4, RefreshKind::begin);
  }
  bench.receive(conn, flood);
  EXPECT_EQ(bench.routes.size(), 3000u);
  bench.receive(conn, block_update(kMaster, "10.3.3.0/24") + encode_route_refresh(Family::ipv4, RefreshKind::end));
  EXPECT_EQ(bench.routes.size(), 1u);
}

}  // namespace
}  // namespace sluice::bgp::speaker_refresh_test
