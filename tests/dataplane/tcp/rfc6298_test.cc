// RFC 6298: the retransmission timeout, its back-off, and what is no sample (Karn).
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using ::testing::ElementsAre;

TEST(Rfc6298, RetransmitsWithBackOffAndGivesUp) {
  WorldOptions options = Script::quiet();
  options.tcp.retries_max = 3;
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1460>");
  s.write(100);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 100");
  s.wait(60s);
  EXPECT_THAT(s.all(), ElementsAre("PA seq 1 ack 1 len 100", "PA seq 1 ack 1 len 100", "PA seq 1 ack 1 len 100",
                                   "RA seq 101 ack 1"));
  EXPECT_EQ(s.flow().reason, CloseReason::retransmit_timeout);
}

TEST(Rfc6298, EstimatorFollowsTheFormulas) {
  RttEstimator rtt;
  EXPECT_EQ(rtt.rto(), 1s) << "(2.1)";
  rtt.sample(100ms, 200ms);
  EXPECT_EQ(rtt.srtt(), 100ms);
  EXPECT_EQ(rtt.rttvar(), 50ms);
  EXPECT_EQ(rtt.rto(), 300ms) << "(2.2)";
  rtt.sample(200ms, 200ms);
  EXPECT_EQ(rtt.rttvar(), 62500us);
  EXPECT_EQ(rtt.srtt(), 112500us);
  EXPECT_EQ(rtt.rto(), 362500us) << "(2.3)";
  for (int i = 0; i < 100; ++i) rtt.sample(1ms, 200ms);
  EXPECT_EQ(rtt.rto(), 200ms) << "never below the minimum";
  rtt.back_off();
  EXPECT_EQ(rtt.rto(), 400ms) << "(5.5)";
  for (int i = 0; i < 20; ++i) rtt.back_off();
  EXPECT_EQ(rtt.rto(), 60s) << "(2.5)";
}

TEST(Rfc6298, MinimumIsAnOption) {
  WorldOptions options = Script::quiet();
  options.tcp.rto_min = 50ms;
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1460>");
  s.write(100);
  s.forget();
  s.wait(45ms);
  EXPECT_EQ(s.out(), "");
  s.wait(10ms);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 100");
}

TEST(Rfc6298, LostSynMakesTheFirstTimeoutThreeSeconds) {
  Script s;
  s.in("S seq 0 <mss 1460>");
  s.wait(1100ms);  // the SYN-ACK goes again
  s.in("A seq 1 ack 1");
  EXPECT_EQ(s.conn().rtt.rto(), 3s) << "(5.7)";
  EXPECT_EQ(s.conn().congestion.cwnd, 1460u) << "RFC 6928 section 2: an initial window of one segment";
  s.write(100);
  s.forget();
  s.wait(2900ms);
  EXPECT_EQ(s.out(), "");
  s.wait(200ms);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 100");
}

TEST(Rfc6298, NewSegmentsDoNotPutTheTimeoutOff) {
  WorldOptions options = Script::quiet();
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1460>");
  for (int i = 0; i < 5; ++i) {
    s.write(10);
    s.wait(45ms);
  }
  EXPECT_EQ(s.stack().counters().timeouts.get(), 1u) << "(5.1): 200 ms after the first, not after the last";
}

TEST(Rfc6298, AnswerToARepeatedSegmentIsNoSampleAndEndsNoBackOff) {
  WorldOptions options = Script::quiet();
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1460>");
  s.write(100);
  s.wait(250ms);
  const Duration srtt = s.conn().rtt.srtt();
  s.in("A seq 1 ack 101");
  EXPECT_EQ(s.conn().rtt.srtt(), srtt);
  EXPECT_EQ(s.conn().rtt.rto(), 400ms) << "backed off until something is answered at the first try";
  s.write(100);
  s.wait(1ms);
  s.in("A seq 1 ack 201");
  EXPECT_EQ(s.conn().rtt.rto(), 200ms);
}

TEST(Rfc6298, EchoedTimestampTellsWhichTransmissionWasAnswered) {
  WorldOptions options = Script::quiet();
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1460,ts 1 0>");
  s.write(100);
  s.wait(210ms);
  EXPECT_EQ(s.all().size(), 2u);
  s.wait(30ms);
  s.in("A seq 1 ack 101");  // echoes the second one
  EXPECT_EQ(s.conn().rtt.back_offs(), 0u);
  EXPECT_LE(s.conn().rtt.latest(), 45ms);
  EXPECT_GE(s.conn().rtt.latest(), 30ms);
}

TEST(Rfc3522, TimeoutThatWasOnlyDelayIsTakenBack) {
  WorldOptions options = Script::quiet();
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1000,ts 1 0>");
  s.world.a.write_size = 988;
  s.write(988 * 8);
  const std::uint32_t cwnd = s.conn().congestion.cwnd;
  (void)s.out();  // its timestamp is what the late ACK echoes
  const std::string ack = "A seq 1 ack 989 <ts 2 " + std::to_string(s.last_timestamp()) + ">";
  s.wait(230ms);
  EXPECT_TRUE(s.conn().in_rto_recovery);
  EXPECT_EQ(s.conn().congestion.cwnd, 988u);
  s.in(ack);
  EXPECT_FALSE(s.conn().in_rto_recovery);
  EXPECT_GE(s.conn().congestion.cwnd, cwnd);
  EXPECT_EQ(s.conn().lost_bytes, 0u);
  EXPECT_EQ(s.stack().counters().recoveries_undone.get(), 1u);
}

}  // namespace
}  // namespace sluice::tcp::test
