// RFC 8985: losses found by time (RACK), reordering that is waited for, tail loss probes; RFC 3708's undo.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using ::testing::ElementsAre;

TEST(Rfc8985, TailLossIsProbed) {
  Script s;
  s.open_passive();
  s.world.a.write_size = 1448;
  s.write(1448);
  s.wait(10ms);
  s.in("A seq 1 ack 1449");
  s.forget();
  s.write(1448 * 3);
  EXPECT_EQ(s.all().size(), 3u);
  s.wait(60ms);
  EXPECT_THAT(s.all(), ElementsAre("PA seq 4345 ack 1 len 1448")) << "the last one again, long before the RTO";
}

// A conn with a round trip of 40 ms, 1000-byte segments, and `segments` of them in flight.
void fly(Script& s, int segments, std::string_view options = "<mss 1000,sack>") {
  s.open_passive(options, 40ms);
  s.world.a.write_size = 1000;
  s.write(1000);
  s.wait(40ms);
  s.in("A seq 1 ack 1001");
  s.write(1000ULL * segments);
  s.forget();
  s.wait(40ms);
}

TEST(Rfc8985, NoConnBeginsWithReorderingSeen) {
  for (std::uint16_t port = 40000; port < 40032; ++port) {  // ISNs on both sides of zero
    Script s;
    s.peer_port = port;
    s.open_passive("<mss 1000,sack>");
    s.write(1000);
    s.in("A seq 1 ack 1001");
    EXPECT_FALSE(s.conn().reordering_seen) << port;
    EXPECT_EQ(s.conn().rack_fack, s.conn().snd_una) << port;
  }
}

TEST(Rfc8985, LateSegmentIsWaitedForAQuarterOfTheRoundTrip) {
  Script s;
  fly(s, 2);
  s.in("A seq 1 ack 1001 <sack 2001 3001>");
  EXPECT_EQ(s.out(), "") << "reordered or lost? it waits";
  s.wait(8ms);
  EXPECT_EQ(s.out(), "");
  s.wait(4ms);
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000") << "10 ms after";
  EXPECT_EQ(s.stack().counters().timeouts.get(), 0u);
}

TEST(Rfc8985, ReorderedSegmentThatComesInTimeIsNotSentAgain) {
  Script s;
  fly(s, 2);
  s.in("A seq 1 ack 1001 <sack 2001 3001>");
  s.wait(8ms);
  s.in("A seq 1 ack 3001");
  s.wait(100ms);
  EXPECT_TRUE(s.all().empty());
  EXPECT_TRUE(s.conn().reordering_seen);
  EXPECT_EQ(s.stack().counters().fast_recoveries.get(), 0u);
}

TEST(Rfc8985, ThreeSegmentsBehindItAreEnoughAtFirst) {
  Script s;
  fly(s, 4);
  s.in("A seq 1 ack 1001 <sack 2001 5001>");
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000") << "no reordering was ever seen: DupThresh, no wait";
}

TEST(Rfc8985, TwoBlocksInOneAckAreNoReordering) {
  Script s;
  fly(s, 8);
  s.in("A seq 1 ack 1001 <sack 7001 8001 3001 4001>");  // the ACK that told of the second one first was lost
  EXPECT_FALSE(s.conn().reordering_seen);
}

TEST(Rfc8985, RepairBehindAHoleCountsThoughTheEchoIsOld) {
  Script s;
  s.open_passive("<mss 1012,sack,ts 1 0>", 40ms);
  s.world.a.write_size = 1000;
  s.write(1000);
  s.wait(40ms);
  s.in("A seq 1 ack 1001 <ts 2 0>");
  s.conn().congestion.cwnd = 20'000;
  s.write(8000);
  (void)s.all();
  const std::string echo = "ts 3 " + std::to_string(s.last_timestamp());
  s.wait(40ms);
  s.in("A seq 1 ack 1001 <" + echo + ",sack 3001 9001>");  // the first two are lost
  EXPECT_EQ(s.all().size(), 2u);
  const Instant repaired = s.world.now;
  s.wait(40ms);
  s.in("A seq 1 ack 1001 <" + echo + ",sack 2001 9001>");  // the repair of the first is lost, too
  EXPECT_EQ(s.conn().rack_sent_at, repaired) << "what RACK knows of is the second repair";
  s.wait(15ms);
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000");
  EXPECT_EQ(s.stack().counters().timeouts.get(), 0u);
}

TEST(Rfc8985, OnceReorderingIsSeenThreeSegmentsAreNotEnough) {
  Script s;
  fly(s, 2);
  s.in("A seq 1 ack 1001 <sack 2001 3001>");
  s.in("A seq 1 ack 3001");
  EXPECT_TRUE(s.conn().reordering_seen);
  s.write(4000);
  s.forget();
  s.wait(40ms);
  s.in("A seq 1 ack 3001 <sack 4001 7001>");
  EXPECT_EQ(s.out(), "");
  s.wait(12ms);
  EXPECT_EQ(s.out(), "PA seq 3001 ack 1 len 1000");
}

TEST(Rfc8985, DsackWidensTheWindowAndSixteenRecoveriesNarrowIt) {
  Script s;
  fly(s, 4);
  EXPECT_EQ(s.conn().rack_window_multiplier, 1);
  s.in("A seq 1 ack 1001 <sack 2001 5001>");
  s.in("A seq 1 ack 5001 <sack 1001 2001>");
  EXPECT_EQ(s.conn().rack_window_multiplier, 2);
  int at = 5001;
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(s.conn().rack_window_multiplier, 2) << i;
    s.conn().congestion.cwnd = 20'000;
    s.write(4000);
    s.wait(40ms);
    s.in("A seq 1 ack " + std::to_string(at) + " <sack " + std::to_string(at + 1000) + " " + std::to_string(at + 4000) +
         ">");
    s.wait(25ms);
    s.in("A seq 1 ack " + std::to_string(at + 4000));
    at += 4000;
  }
  EXPECT_EQ(s.stack().counters().fast_recoveries.get(), 17u);
  EXPECT_EQ(s.conn().rack_window_multiplier, 1);
}

TEST(Rfc8985, RepairThatIsLostItselfIsRepairedWithoutATimeout) {
  Script s;
  fly(s, 4);
  s.in("A seq 1 ack 1001 <sack 2001 5001>");
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000");
  s.conn().congestion.cwnd = 20'000;
  s.write(2000);
  s.forget();
  s.wait(40ms);
  s.in("A seq 1 ack 1001 <sack 2001 7001>");  // sent after the repair, and here before it
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000");
  EXPECT_EQ(s.stack().counters().timeouts.get(), 0u);
}

TEST(Rfc8985, ProbeIsANewSegmentWhenThereIsOne) {
  Script s;
  s.open_passive("<mss 1000,sack>", 10ms);
  s.world.a.write_size = 1000;
  s.write(1000);
  s.wait(10ms);
  s.in("A seq 1 ack 1001");
  s.forget();
  s.write(20000);
  const std::size_t sent = s.all().size();
  EXPECT_LT(sent, 20u);
  s.wait(30ms);
  EXPECT_EQ(s.out(), "PA seq " + std::to_string(1001 + 1000 * sent) + " ack 1 len 1000") << "beyond the window";
  EXPECT_EQ(s.stack().counters().tail_loss_probes.get(), 1u);
}

TEST(Rfc8985, ProbeOfALoneSegmentComesBeforeTheTimeout) {
  Script s;
  fly(s, 1);
  s.wait(165ms);  // 205 ms in all: 2 * SRTT + 200 ms would be later than the timeout
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000");
  EXPECT_EQ(s.stack().counters().tail_loss_probes.get(), 1u);
  EXPECT_EQ(s.stack().counters().timeouts.get(), 0u);
  s.wait(250ms);
  EXPECT_EQ(s.stack().counters().timeouts.get(), 1u) << "then the timeout";
}

TEST(Rfc8985, ProbeThatRepairedALossCostsCongestionWindow) {
  Script s;
  fly(s, 3);
  s.wait(50ms);
  EXPECT_EQ(s.out(), "PA seq 3001 ack 1 len 1000");
  const std::uint32_t cwnd = s.conn().congestion.cwnd;
  s.in("A seq 1 ack 4001");  // the original or the probe? open
  EXPECT_EQ(s.conn().congestion.ssthresh, UINT32_MAX);
  s.write(2000);
  s.wait(40ms);
  s.in("A seq 1 ack 6001");  // no D-SACK came: it was lost
  EXPECT_LT(s.conn().congestion.ssthresh, cwnd);
}

TEST(Rfc8985, ProbeForNothingCostsNothing) {
  Script s;
  fly(s, 3);
  s.wait(50ms);
  EXPECT_EQ(s.out(), "PA seq 3001 ack 1 len 1000");
  s.in("A seq 1 ack 4001");
  s.in("A seq 1 ack 4001 <sack 3001 4001>");
  EXPECT_EQ(s.stack().counters().spurious_probes.get(), 1u);
  s.write(2000);
  s.wait(40ms);
  s.in("A seq 1 ack 6001");
  EXPECT_EQ(s.conn().congestion.ssthresh, UINT32_MAX);
}

TEST(Rfc3708, RecoveryForNothingIsTakenBack) {
  Script s;
  fly(s, 8);
  const std::uint32_t cwnd = s.conn().congestion.cwnd;
  s.in("A seq 1 ack 1001 <sack 2001 5001>");
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000");
  EXPECT_TRUE(s.conn().in_recovery);
  s.in("A seq 1 ack 9001");
  EXPECT_FALSE(s.conn().in_recovery);
  EXPECT_LT(s.conn().congestion.cwnd, cwnd);
  s.in("A seq 1 ack 9001 <sack 1001 2001>");  // it came twice
  EXPECT_GE(s.conn().congestion.cwnd, cwnd);
  EXPECT_EQ(s.conn().congestion.ssthresh, UINT32_MAX);
  EXPECT_EQ(s.stack().counters().recoveries_undone.get(), 1u);
}

TEST(Rfc3708, OneOfTwoRepairsForNothingIsNotEnough) {
  Script s;
  fly(s, 8);
  s.in("A seq 1 ack 1001 <sack 3001 7001>");
  s.in("A seq 1 ack 1001 <sack 3001 9001>");
  EXPECT_EQ(s.all().size(), 2u);
  s.in("A seq 1 ack 9001 <sack 1001 2001>");
  EXPECT_EQ(s.stack().counters().recoveries_undone.get(), 0u);
  s.in("A seq 1 ack 9001 <sack 2001 3001>");
  EXPECT_EQ(s.stack().counters().recoveries_undone.get(), 1u);
}

TEST(Rfc8985, WaitThatEndsInARecoveryBeginsItGently) {
  Script s;
  fly(s, 9);
  s.in("A seq 1 ack 1001 <sack 9001 10001>");
  EXPECT_TRUE(s.all().empty());
  s.wait(12ms);
  EXPECT_EQ(s.all().size(), 1u) << "eight were lost; PRR lets one go, not eight";
  EXPECT_TRUE(s.conn().in_recovery);
}

}  // namespace
}  // namespace sluice::tcp::test
