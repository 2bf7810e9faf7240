// RFC 7323 and 6191: window scale, timestamps, PAWS, and TIME-WAIT that timestamps cut short.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

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

TEST(Rfc7323, ScaleBeyond14CountsAs14) {
  Script s;
  s.open_passive("<mss 1460,ws 15>");
  EXPECT_EQ(s.conn().snd_wscale, 14);
  s.in("A seq 1 ack 1 win 65535");
  EXPECT_EQ(s.conn().snd_wnd, 65535u << 14);
}

TEST(Rfc7323, OurScaleFitsTheBufferAndIsAtMost14) {
  for (const auto& [buffer, scale] :
       {std::pair{65535u, 0}, {65536u, 1}, {262144u, 3}, {1u << 30, 14}, {1u << 31, 14}}) {
    WorldOptions options = Script::quiet();
    options.tcp.receive_buffer_bytes = buffer;
    Script s(options);
    s.in("S seq 0 <mss 1460,ws 7>");
    EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460,ws " + std::to_string(scale) + ">");
  }
}

TEST(Rfc7323, WindowOfASynIsNeverScaled) {
  Script s;
  s.in("S seq 0 win 1000 <mss 1460,ws 7>");
  EXPECT_EQ(s.conn().snd_wnd, 1000u);
  s.in("A seq 1 ack 1 win 1000");
  EXPECT_EQ(s.conn().snd_wnd, 128'000u);
}

TEST(Rfc7323, NoScaleUnlessBothOffer) {
  WorldOptions options = Script::quiet();
  options.tcp.window_scale = false;
  Script s(options);
  s.in("S seq 0 <mss 1460,ws 7>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>");
  s.in("A seq 1 ack 1 win 1000");
  EXPECT_EQ(s.conn().snd_wnd, 1000u);
}

TEST(Rfc7323, AfterAMonthOfSilenceAnyTimestampIsTakenAndEchoed) {
  Script s;
  s.open_passive("<mss 1460,ts 1000 0>");
  s.in("A seq 1 ack 1 len 100 <ts 2000 0>");
  s.wait(25 * 24h);
  s.in("A seq 101 ack 1 len 100 <ts 500 0>");
  EXPECT_EQ(s.flow().read, 200u);
  EXPECT_EQ(s.conn().ts_recent, 500u) << "or the echo would be frozen until the peer's clock has come round";
  s.in("A seq 201 ack 1 len 100 <ts 501 0>");
  EXPECT_EQ(s.flow().read, 300u);
}

TEST(Rfc7323, DelayedAckEchoesTheFirstSegmentItCovers) {
  Script s;
  s.open_passive("<mss 1460,ts 1000 0>");
  s.in("A seq 1 ack 1 len 100 <ts 1005 0>");
  s.in("A seq 101 ack 1 len 100 <ts 1009 0>");
  EXPECT_EQ(s.conn().ts_recent, 1005u);
  s.in("A seq 201 ack 1 len 100 <ts 1015 0>");
  EXPECT_EQ(s.conn().ts_recent, 1015u);
}

TEST(Rfc7323, ResetIsNotSubjectToPaws) {
  Script s;
  s.open_passive("<mss 1460,ts 1000 0>");
  s.in("R seq 1 <ts 5 0>");
  EXPECT_EQ(s.flow().reason, CloseReason::reset_by_peer);
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

TEST(Rfc6191, WithoutTimestampsTheSequenceNumberDecides) {
  Script s;
  s.open_passive("<mss 1460>");
  s.close();
  s.in("FA seq 1 ack 2");
  EXPECT_EQ(s.conn().state, State::time_wait);
  const Seq end = s.conn().snd_nxt;
  s.in("S seq 1 <mss 1460>");
  EXPECT_EQ(s.world.a.all_accepted.size(), 1u) << "not beyond what was received";
  s.in("S seq 3 <mss 1460>");
  ASSERT_EQ(s.world.a.all_accepted.size(), 2u);
  EXPECT_GT(s.world.a.accepted->iss, end) << "RFC 1122 section 4.2.2.13: ours lies beyond all we sent";
}

TEST(Rfc6191, TimestampsThatAreNewTellTheConnsApart) {
  Script s;
  s.open_passive("<mss 1460>");
  s.close();
  s.in("FA seq 1 ack 2");
  s.in("S seq -100000 <mss 1460,ts 5 0>");
  EXPECT_EQ(s.world.a.all_accepted.size(), 2u);
}

}  // namespace
}  // namespace sluice::tcp::test
