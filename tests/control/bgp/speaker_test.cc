// The speaker with a neighbour made of bytes: the facts about Calico, sessions, collisions, restarts, announcements.
#include <gtest/gtest.h>

#include <algorithm>

#include "control/bgp/rib.h"
#include "tests/control/bgp/support.h"

namespace sluice::bgp {
namespace {

using namespace testing;

constexpr auto kMaster = "172.16.40.199";
constexpr auto kNode1 = "172.16.40.198";
const auto kBlock = "10.244.0.0/24";

std::vector<MessageType> types(const std::vector<Bytes>& messages) {
  std::vector<MessageType> out;
  for (const auto& m : messages) out.push_back(static_cast<MessageType>(m[18]));
  return out;
}
// code and subcode of the NOTIFICATION that ends `messages`
std::pair<int, int> notification_of(const std::vector<Bytes>& messages) {
  if (messages.empty() || messages.back()[18] != 3) return {0, 0};
  return {messages.back()[19], messages.back()[20]};
}
NeighborSettings active(const char* address) {
  NeighborSettings n;
  n.address = ip(address);
  n.session.remote_as = 64512;
  return n;
}

class SpeakerTest : public ::testing::Test {
 protected:
  Bench bench{reference_settings()};
};

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

// Fact 3: End-of-RIB always, also with nothing to announce; it follows OPEN and KEEPALIVE.
TEST_F(SpeakerTest, EndOfRibIsSentWithNothingToAnnounce) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0][18], 1);
  EXPECT_EQ(messages[1], encode_keepalive());
  EXPECT_EQ(messages[2], end_of_rib());
  const auto ours = std::get<OpenMessage>(decode_open(ByteSpan(messages[0]).subspan(kHeaderSize)));
  EXPECT_EQ(ours.hold_time_s, 90);
  EXPECT_TRUE(ours.capabilities.route_refresh && ours.capabilities.route_refresh_old &&
              ours.capabilities.enhanced_refresh);
  EXPECT_FALSE(ours.capabilities.add_path[0].receive);  // fact 7: not unless asked for
}

TEST_F(SpeakerTest, AnnouncementHasTheAttributesCalicoNeeds) {
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 4u);
  // origin incomplete, empty AS_PATH, next hop our self IP, LOCAL_PREF 100 (fact 5)
  EXPECT_EQ(messages[2], hex("ffffffffffffffffffffffffffffffff 0031 02 0000 0015 40010102 400200 400304ac1028ca "
                             "40050400000064 20ac102850"));
  EXPECT_EQ(messages[3], end_of_rib());
  EXPECT_EQ(bench.facts(kMaster).announced_prefixes, 1u);
  bench.run([&](Outputs& out) { bench.speaker.withdraw(bench.now, prefix("172.16.40.80/32"), out); });
  EXPECT_EQ(bench.take(conn), std::vector<Bytes>{withdraw_update("172.16.40.80/32")});
  EXPECT_EQ(bench.facts(kMaster).announced_prefixes, 0u);
}

TEST_F(SpeakerTest, AllNeighboursShareOneEncoding) {
  bench.accept_from(kMaster, calico_open(kMaster));
  bench.accept_from(kNode1, calico_open(kNode1));
  std::vector<const Bytes*> buffers;
  bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, bench.out);
  bench.out.clear();
  bench.speaker.step(bench.now, input::Tick{}, bench.out);
  for (const auto& action : bench.out.actions) {
    if (const auto* send = std::get_if<output::Send>(&action)) buffers.push_back(send->bytes.get());
  }
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(buffers[0], buffers[1]);
}

TEST_F(SpeakerTest, SlowReaderGetsOneStateNotEveryChange) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  bench.step(input::Written{conn, 1 << 20});  // the transport holds a lot
  for (int i = 0; i < 100; ++i) {
    bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
    bench.run([&](Outputs& out) { bench.speaker.withdraw(bench.now, prefix("172.16.40.80/32"), out); });
  }
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  EXPECT_TRUE(bench.sent[conn].empty());
  EXPECT_EQ(bench.take(conn).size(), 0u);  // tells that all was written
  EXPECT_EQ(types(bench.take(conn)), std::vector{MessageType::update});
}

TEST_F(SpeakerTest, SendHoldTimerEndsASessionThatIsNotRead) {  // RFC 9687
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  for (int i = 0; i < 20 && !bench.closed.contains(conn); ++i) {
    bench.receive(conn, encode_keepalive());
    bench.advance(29s);
  }
  EXPECT_TRUE(bench.closed.contains(conn));
  EXPECT_NE(bench.facts(kMaster).last_reset.find("Send Hold Timer"), std::string::npos);
}

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

TEST_F(SpeakerTest, ShutdownWithdrawsAndSaysWhy) {
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  bench.run([&](Outputs& out) { bench.speaker.shutdown(bench.now, "upgrade", out); });
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0], withdraw_update("172.16.40.80/32"));
  EXPECT_EQ(decode_notification(ByteSpan(messages[1]).subspan(kHeaderSize))->text(),
            "Cease/Administrative Shutdown: \"upgrade\"");
  bench.advance(3600s);
  EXPECT_EQ(bench.speaker.deadline(), kInstantMax);
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

// ---- connecting, collisions (RFC 4271 6.8)

class ActiveSpeaker : public ::testing::Test {
 protected:
  ActiveSpeaker()
      : bench([] {
          auto s = reference_settings();
          s.neighbors = {active("172.16.40.199")};
          return s;
        }()) {}
  ConnId connected(std::size_t i = 0) {
    const auto conn = bench.connects.at(i).conn;
    bench.step(input::Connected{conn, {ip("172.16.40.202"), 61440}, {ip(kMaster), 179}});
    return conn;
  }
  Bench bench;
};

TEST_F(ActiveSpeaker, ConnectsFromTheSelfIpAndTriesAgain) {
  ASSERT_EQ(bench.connects.size(), 1u);
  EXPECT_EQ(bench.connects[0].local, ip("172.16.40.202"));
  EXPECT_EQ(bench.connects[0].remote.port, 179);
  bench.step(input::ConnectFailed{bench.connects[0].conn, "connection refused"});
  EXPECT_EQ(bench.facts(kMaster).state, State::active);
  EXPECT_NE(bench.facts(kMaster).state_reason.find("connection refused, next attempt in"), std::string::npos);
  bench.advance(5s);
  EXPECT_EQ(bench.connects.size(), 2u);
  bench.advance(60s);  // no answer at all: the retry timer starts it over
  EXPECT_GE(bench.connects.size(), 10u);
  EXPECT_EQ(bench.closed.size(), bench.connects.size() - 2);  // each attempt was closed before the next
}

TEST_F(ActiveSpeaker, FailuresAreRetriedLessAndLess) {
  for (int i = 0; i < 12; ++i) {
    const auto conn = connected(bench.connects.size() - 1);
    bench.receive(conn, encode_notification({2, 2, {}}));
    const auto n = bench.connects.size();
    for (int s = 0; s < 40 && bench.connects.size() == n; ++s) bench.advance(1s);
    ASSERT_EQ(bench.connects.size(), n + 1);
  }
  const auto conn = connected(bench.connects.size() - 1);
  bench.receive(conn, encode_notification({2, 2, {}}));
  const auto n = bench.connects.size();
  bench.advance(20s);
  EXPECT_EQ(bench.connects.size(), n);  // by now it waits 22 to 30 s
}

struct CollisionCase {
  const char* their_id;
  bool ours_lives;
};

TEST_F(ActiveSpeaker, TheHigherIdentifiersConnectionLives) {
  for (const auto& c : {CollisionCase{"172.16.40.199", true}, CollisionCase{"172.16.40.250", false}}) {
    for (const bool open_on_ours_first : {true, false}) {
      SCOPED_TRACE(std::string(c.their_id) + (open_on_ours_first ? ", ours first" : ", theirs first"));
      auto s = reference_settings();
      s.neighbors = {active(kMaster)};
      Bench b(s);
      const auto ours = b.connects[0].conn;
      b.step(input::Connected{ours, {ip("172.16.40.202"), 61440}, {ip(kMaster), 179}});
      const ConnId theirs = 1;
      b.step(input::Accepted{theirs, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
      auto open = calico_open(kMaster);
      open.identifier = ip(c.their_id).v4().value;
      const auto first = open_on_ours_first ? ours : theirs, second = open_on_ours_first ? theirs : ours;
      b.receive(first, encode_open(open));
      b.receive(second, encode_open(open));
      const auto winner = c.ours_lives ? ours : theirs, loser = c.ours_lives ? theirs : ours;
      EXPECT_TRUE(b.closed.contains(loser));
      EXPECT_EQ(notification_of(b.take(loser)), std::pair(6, 7));
      EXPECT_FALSE(b.closed.contains(winner));
      b.receive(winner, encode_open(open));  // where it was not yet sent
      if (!b.closed.contains(winner)) b.receive(winner, encode_keepalive());
    }
  }
}

TEST_F(ActiveSpeaker, EstablishedSessionSurvivesASecondConnection) {
  const auto conn = connected();
  auto open = calico_open(kMaster);
  open.capabilities.graceful_restart.reset();
  bench.receive(conn, encode_open(open));
  bench.receive(conn, encode_keepalive());
  bench.step(input::Accepted{1, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
  bench.receive(1, encode_open(open));
  EXPECT_EQ(notification_of(bench.take(1)), std::pair(6, 7));
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
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
}  // namespace sluice::bgp
