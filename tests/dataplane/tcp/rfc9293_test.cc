// RFC 9293 as traces: handshakes, closes, resets, windows, and the mistakes that userspace stacks are known for.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Rfc9293Open, PassiveOffersOnlyWhatThePeerOffered) {
  Script s;
  s.in("S seq 0 <mss 1400>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>");
  s.in("A seq 1 ack 1");
  EXPECT_EQ(s.out(), "");
  EXPECT_EQ(s.conn().state, State::established);
  EXPECT_EQ(s.conn().snd_mss, 1400);
  s.write(100);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 100") << "no option that was not negotiated";
}

TEST(Rfc9293Open, PassiveWithAllOptions) {
  Script s;
  s.in("S seq 0 <mss 1460,sack,ts 7 0,ws 7>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460,ws 3,sack,ts>");
  EXPECT_EQ(s.conn().snd_mss, 1448);
}

TEST(Rfc9293Open, NoMssOptionMeans536) {
  Script s;
  s.in("S seq 0");
  EXPECT_EQ(s.conn().snd_mss, 536);
}

TEST(Rfc9293Open, AbsurdlySmallMssIsRaised) {
  Script s;
  s.in("S seq 0 <mss 1>");
  EXPECT_EQ(s.conn().snd_mss, 64);
}

TEST(Rfc9293Open, SynIsAnsweredAgainWhenRepeated) {
  Script s;
  s.in("S seq 0 <mss 1460>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>");
  s.in("S seq 0 <mss 1460>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>");
}

TEST(Rfc9293Open, SynAckIsRetransmittedThenGivenUp) {
  Script s;
  s.in("S seq 0 <mss 1460>");
  s.forget();
  s.wait(4s);
  EXPECT_THAT(s.all(), ElementsAre("SA seq 0 ack 1 <mss 1460>", "SA seq 0 ack 1 <mss 1460>"));  // at 1 s and 3 s
  s.wait(2s);
  EXPECT_TRUE(s.flow().closed);
  EXPECT_EQ(s.stack().half_open(), 0u);
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
}

TEST(Rfc9293Open, WrongAckInSynReceivedIsReset) {
  Script s;
  s.in("S seq 0 <mss 1460>");
  s.forget();
  s.in("A seq 1 ack 99");
  EXPECT_EQ(s.out(), "R seq 99");
  EXPECT_EQ(s.conn().state, State::syn_received);
}

TEST(Rfc9293Open, DataInSynIsNotAcknowledgedAndNotDelivered) {
  Script s;
  s.in("S seq 0 len 100 <mss 1460>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>");
  s.in("A seq 1 ack 1");
  EXPECT_EQ(s.flow().read, 0u);
  s.in("PA seq 1 ack 1 len 100");
  EXPECT_EQ(s.flow().read, 100u);
}

TEST(Rfc9293Open, ActiveIsCompletedAtOnce) {
  Script s;
  s.open_active();
  EXPECT_EQ(s.conn().state, State::established);
  EXPECT_TRUE(s.flow().established);
  EXPECT_EQ(s.conn().snd_mss, 1448);
}

TEST(Rfc9293Open, ActiveRefused) {
  Script s;
  s.begin_active();
  EXPECT_EQ(s.out(), "S seq 0 <mss 1460,ws 3,sack,ts>");
  s.in("R seq 0");
  EXPECT_EQ(s.conn().state, State::syn_sent) << "a reset without an ACK of our SYN is not believed";
  s.in("RA seq 0 ack 1");
  EXPECT_EQ(s.flow().reason, CloseReason::refused);
}

TEST(Rfc9293Open, ActiveWrongAckIsReset) {
  Script s;
  s.begin_active();
  s.forget();
  s.in("SA seq 0 ack 7 <mss 1460>");
  EXPECT_EQ(s.out(), "R seq 7");
  EXPECT_EQ(s.conn().state, State::syn_sent);
}

TEST(Rfc9293Open, SimultaneousOpen) {
  Script s;
  s.begin_active();
  s.forget();
  s.in("S seq 0 <mss 1460>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>");
  s.in("A seq 1 ack 1");
  EXPECT_EQ(s.conn().state, State::established);
}

TEST(Rfc9293Open, SegmentsWithoutConnAreReset) {
  Script s;
  s.in("A seq 5 ack 77");
  EXPECT_EQ(s.out(), "R seq 77");
  s.in("PA seq 5 ack 77 len 10");
  EXPECT_EQ(s.out(), "R seq 77");
  s.in("R seq 5");
  EXPECT_EQ(s.out(), "") << "a reset is never answered";
}

TEST(Rfc9293Data, InOrderIsDeliveredAndAcknowledgedEverySecondSegment) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 1 len 1448");
  EXPECT_EQ(s.out(), "");
  s.in("A seq 1449 ack 1 len 1448");
  EXPECT_EQ(s.out(), "A seq 1 ack 2897");
  EXPECT_EQ(s.flow().read, 2896u);
}

TEST(Rfc9293Data, LoneSegmentIsAcknowledgedAfterTheDelay) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 1 len 10");
  EXPECT_EQ(s.out(), "");
  s.wait(45ms);
  EXPECT_EQ(s.out(), "A seq 1 ack 11");
}

TEST(Rfc9293Data, GapIsAcknowledgedAtOnceWithSack) {
  Script s;
  s.open_passive();
  s.in("A seq 101 ack 1 len 100");
  EXPECT_EQ(s.out(), "A seq 1 ack 1 <sack 101 201>");
  s.in("A seq 301 ack 1 len 100");
  EXPECT_EQ(s.out(), "A seq 1 ack 1 <sack 301 401,sack 101 201>") << "the newest block first, RFC 2018 section 4";
  s.in("A seq 1 ack 1 len 100");
  EXPECT_EQ(s.out(), "A seq 1 ack 201 <sack 301 401>");
  s.in("A seq 201 ack 1 len 100");
  EXPECT_EQ(s.out(), "A seq 1 ack 401");
  EXPECT_EQ(s.flow().read, 400u);
}

TEST(Rfc9293Data, DuplicateIsReportedAsDsack) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 1 len 100");
  s.in("A seq 1 ack 1 len 100");
  EXPECT_EQ(s.out(), "A seq 1 ack 101 <sack 1 101>");
  EXPECT_EQ(s.flow().read, 100u);
}

TEST(Rfc9293Data, SameSequenceWithDifferentLengthIsTrimmed) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 1 len 100");
  s.in("A seq 1 ack 1 len 300");
  EXPECT_EQ(s.flow().read, 300u);
  s.in("A seq 101 ack 1 len 50");
  EXPECT_EQ(s.flow().read, 300u);
  s.in("A seq 401 ack 1 len 200");
  s.in("A seq 401 ack 1 len 100");
  s.in("A seq 350 ack 1 len 500");
  EXPECT_EQ(s.flow().read, 300u);
  s.in("A seq 301 ack 1 len 200");
  EXPECT_GE(s.flow().read, 600u);
}

TEST(Rfc9293Data, AcknowledgmentOfUnsentDataIsNotBelieved) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 5000");
  EXPECT_EQ(s.out(), "A seq 1 ack 1");
  EXPECT_EQ(s.conn().snd_una.value - s.our_isn, 1u);
  EXPECT_EQ(s.conn().state, State::established);
}

TEST(Rfc9293Data, BytesBeyondTheWindowAreCut) {
  WorldOptions options = Script::quiet();
  options.tcp.receive_buffer_bytes = 4096;
  Script s(options);
  s.in("S seq 0 <mss 1460>");
  s.in("A seq 1 ack 1");
  s.flow().reading = false;
  s.forget();
  for (int i = 0; i < 3; ++i) s.in("A seq " + std::to_string(1 + i * 1460) + " ack 1 len 1460");
  EXPECT_EQ(s.conn().rcv_nxt.value - Script::kPeerIsn, 4097u) << "the third was cut at the window's edge";
  EXPECT_EQ(s.conn().receive_queue.bytes(), 4096u);
}

TEST(Rfc9293Window, NeverMovesBackAndOpensAgainAfterReading) {
  WorldOptions options = Script::quiet();
  options.tcp.receive_buffer_bytes = 4096;
  Script s(options);
  s.in("S seq 0 <mss 1000>");
  s.in("A seq 1 ack 1");
  s.flow().reading = false;
  std::uint32_t edge = 0;
  for (int i = 0; i < 4; ++i) {
    s.in("A seq " + std::to_string(1 + i * 1000) + " ack 1 len 1000");
    const std::uint32_t now_edge = s.conn().rcv_adv.value - Script::kPeerIsn;
    EXPECT_GE(now_edge, edge);
    edge = now_edge;
  }
  s.forget();
  while (const packet::Packet packet = s.stack().receive(s.conn())) s.world.a.drops.consume(packet);
  s.turn();
  EXPECT_EQ(s.out(), "A seq 1 ack 4001") << "a window update";
  EXPECT_GE(s.conn().rcv_adv.value - Script::kPeerIsn, 4001u + 4000u);
}

TEST(Rfc9293Window, ZeroWindowIsProbedAndReopens) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 1 win 0");
  s.write(1000);
  EXPECT_EQ(s.out(), "");
  s.wait(300ms);
  EXPECT_EQ(s.out(), "A seq 0 ack 1") << "a probe: an old sequence number that must be answered";
  s.wait(500ms);
  EXPECT_EQ(s.out(), "A seq 0 ack 1");
  s.in("A seq 1 ack 1 win 500");
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 1000");
}

TEST(Rfc9293Window, ShutForTooLongIsReset) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 1 win 0");
  s.write(1000);
  for (int i = 0; i < 30 && !s.flow().closed; ++i) {
    s.wait(1s);
    if (!s.flow().closed) s.in("A seq 1 ack 1 win 0");
  }
  EXPECT_EQ(s.flow().reason, CloseReason::zero_window_timeout);
}

TEST(Rfc9293Window, SillyWindowIsNotFilled) {
  Script s;
  s.open_passive("<mss 1460>");
  s.in("A seq 1 ack 1 win 10");
  s.write(5000);
  EXPECT_EQ(s.out(), "") << "10 bytes of window are not worth a segment";
  s.in("A seq 1 ack 1 win 1460");
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 1460");
}

TEST(Rfc9293Close, PeerClosesFirst) {
  Script s;
  s.open_passive();
  s.flow().close_on_peer_close = false;
  s.in("FA seq 1 ack 1");
  EXPECT_EQ(s.out(), "A seq 1 ack 2");
  EXPECT_EQ(s.conn().state, State::close_wait);
  s.write(100);
  EXPECT_EQ(s.out(), "PA seq 1 ack 2 len 100") << "half-closed: we may still send";
  s.in("A seq 2 ack 101");
  s.close();
  EXPECT_EQ(s.out(), "FA seq 101 ack 2");
  s.in("A seq 2 ack 102");
  EXPECT_TRUE(s.flow().closed);
  EXPECT_EQ(s.flow().reason, CloseReason::finished);
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
}

TEST(Rfc9293Close, WeCloseFirstAndWaitInTimeWait) {
  Script s;
  s.open_passive();
  s.close();
  EXPECT_EQ(s.out(), "FA seq 1 ack 1");
  s.in("A seq 1 ack 2");
  EXPECT_EQ(s.conn().state, State::fin_wait_2);
  s.in("FA seq 1 ack 2");
  EXPECT_EQ(s.out(), "A seq 2 ack 2");
  EXPECT_EQ(s.conn().state, State::time_wait);
  s.in("FA seq 1 ack 2");
  EXPECT_EQ(s.out(), "A seq 2 ack 2") << "the peer missed our last ACK";
  s.wait(1900ms);
  EXPECT_FALSE(s.flow().closed);
  s.wait(200ms);
  EXPECT_TRUE(s.flow().closed) << "TIME-WAIT has a timer";
}

TEST(Rfc9293Close, SimultaneousClose) {
  Script s;
  s.open_passive();
  s.close();
  EXPECT_EQ(s.out(), "FA seq 1 ack 1");
  s.in("FA seq 1 ack 1");
  EXPECT_EQ(s.conn().state, State::closing);
  EXPECT_EQ(s.out(), "A seq 2 ack 2");
  s.in("A seq 2 ack 2");
  EXPECT_EQ(s.conn().state, State::time_wait);
}

TEST(Rfc9293Close, FinLeavesWithTheLastBytes) {
  Script s;
  s.open_passive();
  s.world.a.write_size = 4000;
  s.flow().close_when_written = true;
  s.write(100);
  EXPECT_EQ(s.out(), "FPA seq 1 ack 1 len 100");
}

TEST(Rfc9293Close, DataAfterFinIsIgnored) {
  Script s;
  s.open_passive();
  s.flow().close_on_peer_close = false;
  s.in("FA seq 1 ack 1 len 10");
  EXPECT_EQ(s.flow().read, 10u);
  s.in("A seq 12 ack 1 len 50");
  EXPECT_EQ(s.flow().read, 10u);
  EXPECT_EQ(s.conn().rcv_nxt.value - Script::kPeerIsn, 12u);
}

TEST(Rfc9293Close, FinOutOfOrderWaitsForItsBytes) {
  Script s;
  s.open_passive();
  s.flow().close_on_peer_close = false;
  s.in("FA seq 101 ack 1");
  EXPECT_EQ(s.conn().state, State::established);
  s.in("A seq 1 ack 1 len 100");
  EXPECT_EQ(s.conn().state, State::close_wait);
  EXPECT_EQ(s.flow().read, 100u);
}

TEST(Rfc9293Close, FinWait2HasATimeout) {
  Script s;
  s.open_passive();
  s.close();
  s.in("A seq 1 ack 2");
  s.wait(6s);
  EXPECT_EQ(s.flow().reason, CloseReason::fin_wait_timeout);
}

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

TEST(Rfc5961, ChallengeAcksAreRateLimited) {
  WorldOptions options = Script::quiet();
  options.limits.challenge_acks_per_s = 10;
  Script s(options);
  s.open_passive();
  for (int i = 0; i < 100; ++i) s.in("R seq 500");
  EXPECT_EQ(s.all().size(), 10u);
}

TEST(Rfc5961, AckFarInThePastIsDropped) {
  Script s;
  s.open_passive();
  s.in("A seq 1 ack -20000000");
  EXPECT_EQ(s.conn().state, State::established);
  EXPECT_EQ(s.stack().counters().bad_acks.get(), 1u);
}

TEST(Rfc7323, OldTimestampIsRejected) {
  Script s;
  s.open_passive("<mss 1460,ts 1000 0>");
  s.in("A seq 1 ack 1 len 100 <ts 1000 0>");
  s.in("A seq 101 ack 1 len 100 <ts 900 0>");
  EXPECT_EQ(s.flow().read, 100u) << "PAWS";
  s.in("A seq 101 ack 1 len 100 <ts 1001 0>");
  EXPECT_EQ(s.flow().read, 200u);
}

TEST(Rfc7323, EchoFollowsThePeer) {
  Script s;
  s.open_passive("<mss 1460,ts 1000 0>");
  s.in("A seq 1 ack 1 len 100 <ts 1005 0>");
  EXPECT_EQ(s.conn().ts_recent, 1005u);
  s.in("A seq 201 ack 1 len 100 <ts 1010 0>");
  EXPECT_EQ(s.conn().ts_recent, 1005u) << "out of order: the echo stays with the last in-order segment";
}

TEST(Rfc7323, SegmentWithoutTimestampIsDropped) {
  Script s;
  s.open_passive("<mss 1460,ts 1000 0>");
  s.in("A seq 1 ack 1 len 100 <nots>");
  EXPECT_EQ(s.flow().read, 0u);
}

TEST(Rfc6191, TimeWaitIsReusedByANewerSyn) {
  Script s;
  s.ts_clock = 1000;
  s.open_passive("<mss 1460,ts 1000 0>");
  s.close();
  s.in("FA seq 1 ack 2");
  EXPECT_EQ(s.conn().state, State::time_wait);
  s.forget();
  s.in("S seq 0 <mss 1460,ts 999 0>");
  EXPECT_EQ(s.stack().conns_in_use(), 1u);
  EXPECT_EQ(s.world.a.all_accepted.size(), 1u) << "older: refused";
  s.in("S seq 77 <mss 1460,ts 2000 0>");
  EXPECT_EQ(s.world.a.all_accepted.size(), 2u) << "newer: a new conn";
}

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

TEST(Rfc6582, ThreeDuplicateAcksRetransmitTheFirst) {
  WorldOptions options = Script::quiet();
  options.tcp.congestion = CongestionControl::newreno;
  Script s(options);
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 1000;
  s.write(5000);
  s.forget();
  for (int i = 0; i < 2; ++i) s.in("A seq 1 ack 1");
  EXPECT_THAT(s.all(), IsEmpty());
  s.in("A seq 1 ack 1");
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 1000");
  EXPECT_TRUE(s.conn().in_recovery);
  s.in("A seq 1 ack 3001");
  EXPECT_EQ(s.out(), "PA seq 3001 ack 1 len 1000") << "a partial ACK: the next hole";
  s.in("A seq 1 ack 5001");
  EXPECT_FALSE(s.conn().in_recovery);
}

TEST(Rfc6675, SackedSegmentsAreNotSentAgain) {
  Script s;
  s.open_passive();
  s.world.a.write_size = 1448;
  s.write(1448 * 6);
  s.forget();
  s.wait(1ms);
  s.in("A seq 1 ack 1 <ts 1 0,sack 1449 8689>");
  EXPECT_THAT(s.all(), ElementsAre("PA seq 1 ack 1 len 1448")) << "only the hole";
}

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

TEST(Rfc5927, SmallerPathResegments) {
  Script s;
  s.open_passive("<mss 1460>");
  s.world.a.write_size = 4000;
  s.write(2920);
  EXPECT_THAT(s.all(), ElementsAre("PA seq 1 ack 1 len 1460", "PA seq 1461 ack 1 len 1460"));
  s.stack().on_icmp_error(s.world.now, s.conn(), s.our_isn + 1 + 5000, 1000, false);
  s.turn();
  EXPECT_THAT(s.all(), IsEmpty()) << "quotes nothing in flight: not believed";
  s.stack().on_icmp_error(s.world.now, s.conn(), s.our_isn + 1, 1000, false);
  s.turn();
  EXPECT_THAT(s.all(), ElementsAre("PA seq 1 ack 1 len 960", "PA seq 961 ack 1 len 500", "PA seq 1461 ack 1 len 960",
                                   "PA seq 2421 ack 1 len 500"));
}

TEST(Rfc4987, CookiesKeepTheOptionsAndTakeNoSlot) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 0;
  Script s(options);
  s.in("S seq 0 <mss 1400,sack,ts 50 0,ws 9>");
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
  const auto syn_ack = s.all();
  ASSERT_EQ(syn_ack.size(), 1u);
  const auto ack = static_cast<std::uint32_t>(std::stoul(syn_ack[0].substr(7))) + 1;
  s.in("A seq 1 ack " + std::to_string(ack) + " <ts 51 0>");
  ASSERT_EQ(s.stack().conns_in_use(), 1u);
  EXPECT_EQ(s.conn().state, State::established);
  EXPECT_EQ(s.conn().snd_mss, 1400 - 12);
  EXPECT_EQ(s.conn().snd_wscale, 9);
  EXPECT_TRUE(s.conn().sack_permitted);
  EXPECT_TRUE(s.conn().timestamps_on);
}

TEST(Rfc4987, GuessedCookieIsReset) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 0;
  Script s(options);
  s.in("S seq 0 <mss 1400>");
  s.forget();
  s.in("A seq 1 ack 123456");
  EXPECT_EQ(s.out(), "R seq 123456");
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
  EXPECT_EQ(s.stack().counters().cookies_rejected.get(), 1u);
}

TEST(Rfc9293Keepalive, IdleConnIsProbedThenReset) {
  WorldOptions options = Script::quiet();
  options.tcp.idle_timeout = 10s;
  options.tcp.keepalive_interval = 4s;
  Script s(options);
  s.open_passive();
  s.wait(4100ms);
  EXPECT_EQ(s.out(), "A seq 0 ack 1");
  s.wait(7s);
  EXPECT_EQ(s.flow().reason, CloseReason::idle_timeout);
}

}  // namespace
}  // namespace sluice::tcp::test
