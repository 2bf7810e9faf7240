// The speaker with a neighbour made of bytes: sessions come up, live, end; settings.
#include <gtest/gtest.h>

#include "tests/control/bgp/speaker_support.h"

namespace sluice::bgp::speaker_test {
namespace {

using namespace testing;

TEST_F(SpeakerTest, PassiveSessionComesUpAndLearnsTheBlock) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  EXPECT_EQ(bench.ups, 1u);
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.receive(conn, end_of_rib());
  EXPECT_EQ(bench.routes, (RouteView{{prefix(kBlock), {ip(kMaster)}}}));
  const auto f = bench.facts(kMaster);
  EXPECT_EQ(f.state, State::established);
  EXPECT_EQ(f.hold_time, 90s);  // fact 1: theirs is 240
  EXPECT_EQ(f.keepalive, 30s);
  EXPECT_EQ(f.remote_router_id, ip(kMaster).v4().value);
  EXPECT_EQ(f.remote_restart_time, 120s);
  EXPECT_TRUE(f.end_of_rib_sent && f.end_of_rib_received);
  EXPECT_EQ(f.accepted_prefixes, 1u);
  EXPECT_EQ(f.in.update, 2u);
  EXPECT_EQ(f.connections_established, 1u);
  EXPECT_EQ(f.next_hop, ip("172.16.40.202"));
  EXPECT_NE(text_of(f).find("BGP state = Established, up for 00:00:00"), std::string::npos);
}

TEST_F(SpeakerTest, HoldTimerExpires) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  for (int i = 0; i < 9; ++i) {
    bench.advance(10s);
    bench.take(conn);
  }
  bench.advance(2s);
  EXPECT_EQ(bench.facts(kMaster).state, State::active);  // idle hold is over; passive: waits
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_NE(bench.facts(kMaster).last_reset.find("Hold Timer Expired"), std::string::npos);
}

TEST_F(SpeakerTest, KeepalivesKeepItUpAndComeEveryThirtySeconds) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  std::size_t keepalives = 0;
  for (int i = 0; i < 60; ++i) {
    bench.advance(10s);
    bench.receive(conn, encode_keepalive());
    keepalives += bench.take(conn).size();
  }
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
  EXPECT_GE(keepalives, 20u);
  EXPECT_LE(keepalives, 27u);  // jitter: 75 to 100 % of 30 s
}

TEST_F(SpeakerTest, HoldTimeZeroMeansNoTimers) {
  bench.settings.neighbors[1].session.hold_time = 0s;
  bench.settings.neighbors[1].session.keepalive = 0s;
  bench.reconfigure();
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  bench.advance(3600s);
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
  EXPECT_TRUE(bench.take(conn).empty());
}

TEST_F(SpeakerTest, WrongAsIsRefusedWithBadPeerAs) {
  auto open = calico_open(kMaster);
  open.as = 64999;
  open.capabilities.four_octet_as = 64999;
  const auto conn = bench.accept_from(kMaster, open);
  EXPECT_EQ(notification_of(bench.take(conn)), std::pair(2, 2));
  EXPECT_NE(bench.facts(kMaster).last_reset.find("it says AS 64999, AS 64512 is configured"), std::string::npos);
}

TEST_F(SpeakerTest, UnexpectedMessageBeforeOpen) {
  const ConnId conn = 1;
  bench.step(input::Accepted{conn, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
  bench.receive(conn, block_update(kMaster, kBlock));
  EXPECT_EQ(notification_of(bench.take(conn)), std::pair(5, 1));
}

TEST_F(SpeakerTest, GarbageIsRefusedAtTheFirstByte) {
  const ConnId conn = 1;
  bench.step(input::Accepted{conn, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
  bench.receive(conn, {'G', 'E', 'T'});
  EXPECT_EQ(notification_of(bench.take(conn)), std::pair(1, 1));
}

TEST_F(SpeakerTest, BytesOneByOne) {
  const ConnId conn = 1;
  bench.step(input::Accepted{conn, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
  for (const auto byte : encode_open(calico_open(kMaster)) + encode_keepalive() + block_update(kMaster, kBlock)) {
    bench.receive(conn, {byte});
  }
  EXPECT_EQ(bench.routes.size(), 1u);
}

TEST_F(SpeakerTest, StrangersAreRefused) {
  bench.step(input::Accepted{7, {ip("172.16.40.202"), 179}, {ip("172.16.40.66"), 40000}});
  EXPECT_TRUE(bench.closed.contains(7));
}

TEST_F(SpeakerTest, ListenRangeMakesNeighboursAndForgetsThem) {
  ListenRange range;
  range.prefix = prefix("172.16.41.0/24");
  range.session.remote_as = 64512;
  range.neighbors_max = 1;
  bench.settings.listen_ranges = {range};
  bench.reconfigure();
  const auto conn = bench.accept_from("172.16.41.7", calico_open("172.16.41.7"));
  EXPECT_EQ(bench.facts("172.16.41.7").state, State::established);
  bench.step(input::Accepted{99, {ip("172.16.40.202"), 179}, {ip("172.16.41.8"), 40000}});
  EXPECT_TRUE(bench.closed.contains(99));  // one is the limit
  bench.receive(conn, encode_notification({6, 2, {}}));
  bench.advance(301s);
  EXPECT_FALSE(bench.speaker.peer(bench.now, ip("172.16.41.7")));
}

TEST_F(SpeakerTest, RemovedDisabledChangedNeighboursHearWhy) {  // RFC 4486
  const auto a = bench.accept_from(kMaster, calico_open(kMaster));
  const auto b = bench.accept_from(kNode1, calico_open(kNode1));
  bench.take(a);
  bench.take(b);
  bench.settings.neighbors[0].session.description = "only words";
  bench.reconfigure();
  EXPECT_EQ(bench.facts(kNode1).state, State::established);
  bench.settings.neighbors[0].session.hold_time = 30s;
  bench.settings.neighbors.pop_back();
  bench.reconfigure();
  EXPECT_EQ(notification_of(bench.take(a)), std::pair(6, 3));
  EXPECT_EQ(notification_of(bench.take(b)), std::pair(6, 6));
  EXPECT_FALSE(bench.speaker.peer(bench.now, ip(kMaster)));
  const auto c = bench.accept_from(kNode1, calico_open(kNode1));
  bench.take(c);
  EXPECT_TRUE(bench.speaker.clear(bench.now, ip(kNode1), bench.out));
  bench.collect();
  EXPECT_EQ(notification_of(bench.take(c)), std::pair(6, 4));
  const auto d = bench.accept_from(kNode1, calico_open(kNode1));
  bench.settings.neighbors[0].enabled = false;
  bench.reconfigure();
  EXPECT_EQ(notification_of(bench.take(d)), std::pair(6, 2));
  EXPECT_EQ(bench.facts(kNode1).state, State::idle);
}

TEST(SpeakerCheck, EveryMistakeIsNamed) {
  auto s = reference_settings();
  EXPECT_TRUE(Speaker::check(s).empty());
  s.router_id = 0;
  s.neighbors[0].session.hold_time = 2s;
  s.neighbors[1].session.remote_as = 0;
  s.neighbors.push_back(s.neighbors[1]);
  EXPECT_GE(Speaker::check(s).size(), 4u);
}

}  // namespace
}  // namespace sluice::bgp::speaker_test
