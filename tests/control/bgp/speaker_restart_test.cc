// The speaker: restarts of neighbours (RFC 4724, 8538, 9494) and of our own.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/control/bgp/speaker_support.h"

namespace sluice::bgp::speaker_restart_test {
namespace {

using namespace testing;

// Fact 4: a bare FIN keeps the routes for the restart time; they go when it runs out.
TEST_F(SpeakerTest, BareFinKeepsRoutesUntilTheRestartTimeIsOver) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.step(input::Closed{conn, "connection closed by the neighbour"});
  EXPECT_EQ(bench.routes.size(), 1u);
  EXPECT_EQ(bench.facts(kMaster).stale_prefixes, 1u);
  bench.advance(119s);
  EXPECT_EQ(bench.routes.size(), 1u);
  bench.advance(2s);
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_FALSE(bench.facts(kMaster).restarting);
}

TEST_F(SpeakerTest, StaleRoutesGoAtEndOfRib) {
  auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.receive(conn, block_update(kMaster, "10.244.5.0/24"));
  bench.step(input::Closed{conn, "gone"});
  bench.advance(3s);
  conn = bench.accept_from(kMaster, calico_open(kMaster));
  EXPECT_EQ(bench.routes.size(), 2u);  // R=1 F=1: kept while it sends again
  bench.receive(conn, block_update(kMaster, kBlock));
  EXPECT_EQ(bench.routes.size(), 2u);
  bench.receive(conn, end_of_rib());
  EXPECT_EQ(bench.routes, (RouteView{{prefix(kBlock), {ip(kMaster)}}}));
}

TEST_F(SpeakerTest, ForwardingNotPreservedDropsStaleRoutesAtOnce) {  // RFC 4724 4.2
  auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.step(input::Closed{conn, "gone"});
  bench.advance(3s);
  bench.accept_from(kMaster, calico_open(kMaster, false));
  EXPECT_TRUE(bench.routes.empty());
}

TEST_F(SpeakerTest, SecondRestartInARowEndsTheFirstOnesRoutes) {
  auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.step(input::Closed{conn, "gone"});
  bench.advance(3s);
  conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, "10.244.5.0/24"));
  bench.step(input::Closed{conn, "gone"});
  while (bench.speaker.has_work()) bench.step(input::Tick{});
  EXPECT_EQ(bench.routes, (RouteView{{prefix("10.244.5.0/24"), {ip(kMaster)}}}));
}

TEST_F(SpeakerTest, NotificationTakesTheRoutesAtOnce) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.receive(conn, encode_notification(Notification::cease(cease::kShutdown, "bye")));
  EXPECT_TRUE(bench.routes.empty());
  EXPECT_EQ(bench.facts(kMaster).last_reset, "received Cease/Administrative Shutdown: \"bye\"");
  EXPECT_TRUE(bench.take(conn).size() == 3u);  // a NOTIFICATION is not answered
}

// RFC 4724 4.2 and RFC 8538: without the N bit any NOTIFICATION takes the routes, also the one about the version.
TEST_F(SpeakerTest, VersionNotificationTakesTheRoutes) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.receive(conn, encode_notification({2, 1, {0, 4}}));
  EXPECT_TRUE(bench.routes.empty());
}

// RFC 9494 4.2: no restart time means long-lived at once; NO_LLGR routes go; a second loss does not begin the time
// anew.
TEST_F(SpeakerTest, LongLivedWithoutRestartTime) {
  bench.settings.neighbors[0].session.long_lived_graceful_restart = true;
  bench.settings.neighbors[0].session.remote_as = 64512;
  bench.settings.neighbors[1].session = bench.settings.neighbors[0].session;
  bench.reconfigure();
  auto open = calico_open(kMaster);
  open.capabilities.graceful_restart = GracefulRestart{};
  open.capabilities.long_lived_restart = LongLivedRestart{{{{true, true, 1000}, {}}}};
  auto conn = bench.accept_from(kMaster, open);
  bench.receive(conn, block_update(kMaster, kBlock));
  PathAttributes a;
  a.next_hop = ip(kMaster);
  a.local_pref = 100;
  a.communities = {community::kNoLongLived};
  Bytes other;
  const Nlri route{prefix("10.244.9.0/24"), 0};
  encode_announcements(other, a, {true, true}, std::span(&route, 1), false, kMessageMax);
  bench.receive(conn, other);
  EXPECT_EQ(bench.routes.size(), 2u);
  bench.step(input::Closed{conn, "gone"});
  while (bench.speaker.has_work()) bench.step(input::Tick{});
  EXPECT_EQ(bench.routes.size(), 1u);  // NO_LLGR
  bench.advance(600s);
  EXPECT_TRUE(bench.routes.contains(prefix(kBlock)));
  conn = bench.accept_from(kMaster, open);  // back, says nothing, and is lost again
  EXPECT_TRUE(bench.routes.contains(prefix(kBlock)));
  bench.step(input::Closed{conn, "gone"});
  EXPECT_TRUE(bench.routes.contains(prefix(kBlock)));
  bench.advance(399s);
  EXPECT_TRUE(bench.routes.contains(prefix(kBlock)));
  bench.advance(2s);
  EXPECT_TRUE(bench.routes.empty());
}

TEST_F(SpeakerTest, HardResetWhenTheNotificationBitIsAgreed) {  // RFC 8538 3.1
  auto open = calico_open(kMaster);
  open.capabilities.graceful_restart->notification = true;
  auto conn = bench.accept_from(kMaster, open);
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.take(conn);
  bench.receive(conn, encode_notification({6, 4, {}}));  // survived: RFC 8538 4
  EXPECT_EQ(bench.routes.size(), 1u);
  bench.advance(3s);
  conn = bench.accept_from(kMaster, open);
  bench.receive(conn, end_of_rib());
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.receive(conn, encode_notification({6, 9, {6, 2}}));
  EXPECT_TRUE(bench.routes.empty());
  bench.advance(3s);
  conn = bench.accept_from(kMaster, open);
  bench.run([&](Outputs& out) { bench.speaker.shutdown(bench.now, "", out); });
  EXPECT_EQ(notification_of(bench.take(conn)), std::pair(6, 9));
}

TEST_F(ActiveSpeaker, RestartedNeighbourReplacesItsOldSession) {  // RFC 4724 5
  auto conn = connected();
  bench.receive(conn, encode_open(calico_open(kMaster)));
  bench.receive(conn, encode_keepalive());
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.take(conn);
  const auto again = bench.accept_from(kMaster, calico_open(kMaster));
  EXPECT_TRUE(bench.closed.contains(conn));
  EXPECT_TRUE(bench.take(conn).empty());  // no NOTIFICATION
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
  EXPECT_EQ(bench.routes.size(), 1u);
  bench.receive(again, end_of_rib());
  EXPECT_TRUE(bench.routes.empty());
}

TEST_F(ActiveSpeaker, RestartingSpeakerDefersAndSaysSo) {  // RFC 4724 4.1
  auto s = reference_settings();
  s.restarting = true;
  Bench b(s);
  const auto conn = b.accept_from(kMaster, calico_open(kMaster, false));
  const auto open = std::get<OpenMessage>(decode_open(ByteSpan(b.take(conn)[0]).subspan(kHeaderSize)));
  EXPECT_TRUE(open.capabilities.graceful_restart->restarting);
  EXPECT_TRUE(open.capabilities.graceful_restart->families[0].forwarding_preserved);
  b.receive(conn, block_update(kMaster, kBlock));
  b.receive(conn, end_of_rib());
  EXPECT_TRUE(b.routes.empty());  // node1 is not back yet
  const auto other = b.accept_from(kNode1, calico_open(kNode1, false));
  b.receive(other, end_of_rib());
  EXPECT_EQ(b.routes.size(), 1u);
}

TEST_F(ActiveSpeaker, RestartingSpeakerAnnouncesWhenAllIsKnown) {  // RFC 4724 4.1: our End-of-RIB comes last
  auto s = reference_settings();
  s.restarting = s.hold_announcements = true;
  s.forwarding_preserved = false;
  Bench b(s);
  const auto updates = [&b](ConnId conn) {
    auto messages = b.take(conn);
    return std::count_if(messages.begin(), messages.end(), [](const Bytes& m) { return m[18] == 2; });
  };
  const auto conn = b.accept_from(kMaster, calico_open(kMaster, false));
  b.receive(conn, block_update(kMaster, kBlock));
  EXPECT_EQ(b.routes.size(), 1u);  // nothing of before is in use: a route is worth having at once
  b.receive(conn, end_of_rib());
  const auto other = b.accept_from(kNode1, calico_open(kNode1, false));
  b.receive(other, end_of_rib());
  EXPECT_EQ(updates(conn) + updates(other), 0);
  EXPECT_TRUE(b.speaker.restarting());
  EXPECT_FALSE(b.speaker.has_work());
  b.run([&](Outputs& out) { b.speaker.announce(b.now, prefix("172.16.40.80/32"), {}, out); });
  EXPECT_EQ(updates(conn) + updates(other), 0);
  b.run([&](Outputs& out) { b.speaker.ready(b.now, out); });
  EXPECT_FALSE(b.speaker.restarting());
  EXPECT_EQ(updates(conn), 2);  // the address and End-of-RIB
  EXPECT_EQ(updates(other), 2);
}

TEST_F(ActiveSpeaker, RestartingSpeakerWaitsNotForEver) {
  auto s = reference_settings();
  s.restarting = true;
  Bench b(s);
  const auto conn = b.accept_from(kMaster, calico_open(kMaster, false));
  b.receive(conn, block_update(kMaster, kBlock));
  for (int i = 0; i < 7; ++i) {
    b.advance(20s);
    b.receive(conn, encode_keepalive());
    b.take(conn);
  }
  EXPECT_EQ(b.routes.size(), 1u);
}

}  // namespace
}  // namespace sluice::bgp::speaker_restart_test
