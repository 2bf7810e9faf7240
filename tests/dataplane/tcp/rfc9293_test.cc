// RFC 9293 as traces: handshakes, bytes, windows, closes, keepalives.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using ::testing::ElementsAre;

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

TEST(Rfc9293Open, SimultaneousOpenIsCompletedByThePeersSynAck) {
  Script s;
  s.begin_active();
  s.forget();
  s.in("S seq 0 <mss 1460>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>");
  s.in("SA seq 0 ack 1 <mss 1460>");  // figure 7, line 6: both ends send the same
  EXPECT_EQ(s.conn().state, State::established);
  EXPECT_EQ(s.out(), "") << "two ends like us would answer each other for ever";
  s.in("SA seq 0 ack 1 <mss 1460>");
  EXPECT_EQ(s.out(), "A seq 1 ack 1") << "the peer missed ours";
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

TEST(Rfc9293Window, LittleRoomIsUsedWhenItDoesNotGrow) {
  Script s;
  s.open_passive("<mss 1460>");
  s.in("A seq 1 ack 1 win 100");
  s.write(1000);
  EXPECT_EQ(s.out(), "") << "silly window avoidance";
  s.wait(300ms);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 100") << "its override timeout";
  for (int i = 1; i < 300 && s.conn().has_unsent(); ++i) {
    s.in("A seq 1 ack " + std::to_string(1 + 100 * i) + " win 100");
    s.wait(1s);
  }
  EXPECT_FALSE(s.conn().has_unsent()) << "a peer with a small window is slow, not dead";
  EXPECT_FALSE(s.flow().closed);
}

TEST(Rfc9293Window, ProbesAreAnsweredHoweverOftenOtherConnsAreProbed) {
  WorldOptions options = Script::quiet();
  options.limits.challenge_acks_per_s = 0;
  Script s(options);
  s.open_passive("<mss 1460>");
  for (int i = 0; i < 5; ++i) {
    s.wait(1s);
    s.in("A seq 0 ack 1");
    EXPECT_EQ(s.out(), "A seq 1 ack 1") << "a keepalive or window probe of the peer";
  }
}

TEST(Rfc9293Window, NothingOfOursLiesBeyondTheWindow) {
  Script s;
  s.open_passive("<mss 1000>");
  s.in("A seq 1 ack 1 win 500");
  s.flow().close_when_written = true;
  s.write(500);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 500") << "the FIN would be one too many";
  s.in("A seq 1 ack 501 win 500");
  EXPECT_EQ(s.out(), "FA seq 501 ack 1");

  Script t;
  t.open_passive("<mss 1000>");
  t.write(1000);
  t.in("A seq 1 ack 1 win 100");  // takes back what it had offered
  t.forget();
  t.in("A seq 101 ack 1 win 100 len 10");
  EXPECT_EQ(t.out(), "A seq 101 ack 1") << "an ACK at 1001 would lie out of its window";
}

TEST(Rfc9293Window, EndsThatDisagreeDoNotAcknowledgeEachOtherForEver) {
  Script s;
  s.open_passive("<mss 1460>");
  for (int i = 0; i < 50; ++i) s.in("A seq 900000 ack 1");
  EXPECT_EQ(s.all().size(), 1u);
}

TEST(Rfc9293Window, ShrunkWindowIsProbedAndTheConnLives) {
  WorldOptions options = Script::quiet();
  options.tcp.zero_window_timeout = 0s;
  options.tcp.retries_max = 3;
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 1000;
  s.write(2000);
  s.forget();
  for (int i = 0; i < 40; ++i) {
    s.in("A seq 1 ack 1 win 0");  // took back what it had offered, and says so whenever we try
    s.wait(500ms);
  }
  EXPECT_FALSE(s.flow().closed) << "it answers: RFC 9293 section 3.8.6.1 lets the conn stay open";
  s.in("A seq 1 ack 2001 win 5000");
  EXPECT_EQ(s.conn().flight(), 0u);
}

TEST(Rfc9293Nagle, SmallRunsGoOnceTheyFillASegment) {
  WorldOptions options = Script::quiet();
  options.tcp.nagle = true;
  Script s(options);
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 300;
  s.write(300);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 300") << "nothing is in flight";
  s.write(300);
  EXPECT_EQ(s.out(), "");
  s.write(900);
  EXPECT_FALSE(s.all().empty()) << "more than a segment waits";
  EXPECT_EQ(s.conn().flight(), 600u) << "as long as more than a segment waits";
  s.in("A seq 1 ack 601");
  EXPECT_EQ(s.conn().flight(), 300u);
  s.in("A seq 1 ack 901");
  s.in("A seq 1 ack 1201");
  s.in("A seq 1 ack 1501");
  EXPECT_EQ(s.conn().snd_una, s.conn().snd_end);
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

TEST(Rfc9293Close, HalfClosedConnReadsAsLongAsThePeerSends) {
  Script s;
  s.open_passive();
  s.close();
  s.in("A seq 1 ack 2");
  EXPECT_EQ(s.conn().state, State::fin_wait_2);
  for (int i = 0; i < 10; ++i) {
    s.wait(7s);  // longer than fin_wait_timeout, which is for conns that nobody reads
    ++s.ts_clock;
    s.in("A seq " + std::to_string(1 + 100 * i) + " ack 2 len 100");
  }
  EXPECT_FALSE(s.flow().closed);
  EXPECT_EQ(s.flow().read, 1000u);
  s.in("FA seq 1001 ack 2");
  EXPECT_EQ(s.conn().state, State::time_wait);
}

TEST(Rfc9293Close, FinWait2OfAReleasedConnHasATimeout) {
  Script s;
  s.open_passive();
  s.close();
  s.in("A seq 1 ack 2");
  s.stack().release(s.world.now, s.conn());
  s.forget();
  s.wait(4900ms);
  EXPECT_EQ(s.stack().conns_in_use(), 1u);
  s.wait(200ms);
  EXPECT_EQ(s.out(), "RA seq 2 ack 1");
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
}

TEST(Rfc9293Close, FinWait2IsReleasedBeforeTheFinIsAcknowledged) {
  Script s;
  s.open_passive();
  s.stack().release(s.world.now, s.conn());
  s.turn();
  s.in("A seq 1 ack 2");
  s.wait(5100ms);
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
}

TEST(Rfc9293Close, DataForAConnThatNobodyReadsIsReset) {
  Script s;
  s.open_passive();
  s.stack().release(s.world.now, s.conn());
  s.turn();
  s.in("A seq 1 ack 2");
  s.forget();
  s.in("A seq 1 ack 2 len 10");
  EXPECT_EQ(s.out(), "RA seq 2 ack 1");
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
}

TEST(Rfc9293Close, FinIsTakenThroughAShutWindowAndOursWaitsForAnOpenOne) {
  WorldOptions options = Script::quiet();
  options.tcp.receive_buffer_bytes = 1000;
  Script s(options);
  s.open_passive("<mss 1000>");
  s.flow().reading = false;
  s.flow().close_on_peer_close = false;
  s.in("A seq 1 ack 1 len 1000 win 0");
  s.in("FA seq 1001 ack 1 win 0");
  EXPECT_EQ(s.conn().state, State::close_wait) << "a FIN takes no room";
  s.forget();
  s.close();
  EXPECT_EQ(s.out(), "") << "the peer's window is shut for our FIN";
  s.in("A seq 1002 ack 1 win 1");
  EXPECT_EQ(s.out(), "FA seq 1 ack 1002");
}

TEST(Rfc9293Close, LastAckIsSentAgainUntilAnswered) {
  Script s;
  s.open_passive("<mss 1460>");
  s.in("FA seq 1 ack 1");
  EXPECT_EQ(s.out(), "FA seq 1 ack 2") << "the application closes too";
  EXPECT_EQ(s.conn().state, State::last_ack);
  s.wait(300ms);
  EXPECT_EQ(s.out(), "FA seq 1 ack 2");
  s.in("A seq 2 ack 2");
  EXPECT_EQ(s.flow().reason, CloseReason::finished);
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

TEST(Rfc9293Keepalive, UnansweredProbesEndTheConn) {
  WorldOptions options = Script::quiet();
  options.tcp.keepalive_interval = 10s;
  options.tcp.keepalive_probes_max = 3;
  Script s(options);
  s.open_passive("<mss 1460>");
  s.wait(11s);
  EXPECT_EQ(s.out(), "A seq 0 ack 1");
  s.in("A seq 1 ack 1");
  s.wait(31s);
  EXPECT_EQ(s.all().size(), 3u) << "the answer began the count anew";
  EXPECT_FALSE(s.flow().closed);
  s.wait(10s);
  EXPECT_EQ(s.out(), "RA seq 1 ack 1");
  EXPECT_EQ(s.flow().reason, CloseReason::idle_timeout);
}

TEST(Rfc9293Keepalive, BytesInFlightAreNoReasonToWakeUpOften) {
  WorldOptions options = Script::quiet();
  options.tcp.keepalive_interval = 1s;
  options.tcp.rto_min = 30s;
  options.tcp.sack = false;
  Script s(options);
  s.open_passive("<mss 1460>");
  s.write(100);
  s.wait(5s);
  EXPECT_GT(s.stack().next_timer() - s.world.now, 1s) << "a deadline in the past would fire every tick";
}

}  // namespace
}  // namespace sluice::tcp::test
