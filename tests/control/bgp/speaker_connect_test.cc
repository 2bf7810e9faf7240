// The speaker: connecting, retries and collisions (RFC 4271 6.8).
#include <gtest/gtest.h>

#include "tests/control/bgp/speaker_support.h"

namespace sluice::bgp::speaker_connect_test {
namespace {

using namespace testing;

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

// RFC 4724 5 makes a connection to an Established neighbour a restart; the loser of a collision that is found when the
// session is up already is none. BIRD 1.6 deletes our stale routes when a session goes again before our End-of-RIB.
TEST_F(ActiveSpeaker, AConnectionOfACollisionIsNoRestart) {
  const auto conn = connected();
  bench.receive(conn, encode_open(calico_open(kMaster)));
  bench.receive(conn, encode_keepalive());
  ASSERT_EQ(bench.facts(kMaster).state, State::established);
  bench.receive(conn, block_update(kMaster, kBlock));
  bench.step(input::Accepted{1, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
  bench.step(input::Closed{1, "connection closed by the neighbour"});
  bench.step(input::Accepted{3, {ip("172.16.40.202"), 179}, {ip(kMaster), 40001}});
  auto open = calico_open(kMaster);
  open.capabilities.graceful_restart->restarting = false;
  bench.receive(3, encode_open(open));
  EXPECT_EQ(notification_of(bench.take(3)), std::pair(6, 7));
  EXPECT_EQ(bench.facts(kMaster).state, State::established);
  EXPECT_FALSE(bench.closed.contains(conn));
  EXPECT_EQ(bench.downs.size(), 0u);
}

// What is no collision: the neighbour says so, or the session has been up for a while.
TEST_F(ActiveSpeaker, ARestartIsSeenByItsOpenOrByItsTime) {
  for (const bool says_so : {true, false}) {
    SCOPED_TRACE(says_so ? "the R bit" : "later");
    auto s = reference_settings();
    s.neighbors = {active(kMaster)};
    Bench b(s);
    const auto old = b.connects[0].conn;
    b.step(input::Connected{old, {ip("172.16.40.202"), 61440}, {ip(kMaster), 179}});
    auto open = calico_open(kMaster);
    open.capabilities.graceful_restart->restarting = false;
    b.receive(old, encode_open(open));
    b.receive(old, encode_keepalive());
    b.receive(old, block_update(kMaster, kBlock));
    b.advance(says_so ? 1s : 10s);
    open.capabilities.graceful_restart->restarting = says_so;
    b.accept_from(kMaster, open);
    EXPECT_TRUE(b.closed.contains(old));
    EXPECT_EQ(b.facts(kMaster).state, State::established);
    EXPECT_EQ(b.downs.size(), 1u);
    EXPECT_EQ(b.routes.size(), 1u);  // kept until its End-of-RIB
  }
}

// Our own SYN must not reach a neighbour that is Established by then: it would be another restart of ours.
TEST_F(ActiveSpeaker, AnAttemptEndsBeforeTheNeighborsConnectionIsAnswered) {
  const auto ours = bench.connects.at(0).conn;
  bench.step(input::Accepted{1, {ip("172.16.40.202"), 179}, {ip(kMaster), 40000}});
  EXPECT_FALSE(bench.closed.contains(ours));  // it may be the one that gets through
  bench.receive(1, encode_open(calico_open(kMaster)));
  EXPECT_TRUE(bench.closed.contains(ours));
  EXPECT_EQ(bench.facts(kMaster).state, State::open_confirm);
  bench.step(input::Closed{1, "connection closed by the neighbour"});
  bench.advance(10s);
  EXPECT_GE(bench.connects.size(), 2u);  // and if that fails, we connect again
}

}  // namespace
}  // namespace sluice::bgp::speaker_connect_test
