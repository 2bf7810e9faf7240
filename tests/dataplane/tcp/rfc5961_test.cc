// RFC 5961: a blind attacker's RSTs, SYNs and ACKs, and how many challenge ACKs they are worth.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

TEST(Rfc5961, ResetMustBeExact) {
  Script s;
  s.open_passive();
  s.in("R seq 500");
  EXPECT_EQ(s.out(), "A seq 1 ack 1") << "in the window but not exact: challenge ACK";
  EXPECT_EQ(s.conn().state, State::established);
  s.in("R seq 10000000");
  EXPECT_EQ(s.conn().state, State::established);
  s.in("R seq 1");
  EXPECT_EQ(s.flow().reason, CloseReason::reset_by_peer);
}

TEST(Rfc5961, SynInAnEstablishedConnIsChallenged) {
  Script s;
  s.open_passive();
  s.in("S seq 1 <mss 1460>");
  EXPECT_EQ(s.out(), "A seq 1 ack 1");
  EXPECT_EQ(s.conn().state, State::established);
}

TEST(Rfc5961, AckFarInThePastIsDropped) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack -20000000");
  EXPECT_EQ(s.conn().state, State::established);
  EXPECT_EQ(s.stack().counters().bad_acks.get(), 1u);
}

TEST(Rfc5961, ChallengeAcksOfAllConnsAreLimited) {
  WorldOptions options = Script::quiet();
  options.limits.challenge_acks_per_s = 10;
  options.limits.half_open_max = 200;
  Script s(options);
  for (std::uint16_t port = 40000; port < 40100; ++port) ASSERT_TRUE(s.open_from(port));
  s.forget();
  std::vector<std::size_t> seconds;
  for (int second = 0; second < 12; ++second) {
    for (std::uint16_t port = 40000; port < 40100; ++port) {
      s.peer_port = port;
      s.in("R seq 500");
    }
    seconds.push_back(s.all().size());
    s.wait(1s);
  }
  std::size_t sum = 0;
  for (const std::size_t n : seconds) {
    EXPECT_GE(n, 5u);
    EXPECT_LE(n, 15u);
    sum += n;
  }
  EXPECT_GT(sum, 60u);
  EXPECT_NE(std::count(seconds.begin(), seconds.end(), seconds[0]), 12) << "countable: CVE-2016-5696";
}

TEST(Rfc5961, OneConnCannotUseUpTheChallengesOfOthers) {
  WorldOptions options = Script::quiet();
  options.limits.challenge_acks_per_s = 10;
  Script s(options);
  s.open_from(40000);
  s.open_from(40001);
  s.peer_port = 40000;
  for (int i = 0; i < 1000; ++i) s.in("R seq 500");
  EXPECT_EQ(s.all().size(), 1u);
  s.peer_port = 40001;
  s.in("R seq 500");
  EXPECT_EQ(s.out(), "A seq 1 ack 1");
}

TEST(Rfc5961, ResetAtTheWindowsEdgeOrBehindItIsNothing) {
  Script s;
  s.open_passive("<mss 1460>");
  s.in("R seq 0");
  s.in("R seq 70000000");
  EXPECT_EQ(s.out(), "");
  EXPECT_EQ(s.conn().state, State::established);
}

TEST(Rfc5961, SynFromAPeerThatHasForgottenIsChallengedEvenWithoutTimestamps) {
  Script s;
  s.open_passive();
  s.wait(1s);
  s.in("S seq 1 <nots,mss 1460>");
  EXPECT_EQ(s.out(), "A seq 1 ack 1") << "its RST in answer ends the old conn";
  s.in("R seq 1");
  EXPECT_EQ(s.flow().reason, CloseReason::reset_by_peer);
}

}  // namespace
}  // namespace sluice::tcp::test
