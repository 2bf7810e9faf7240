// RFC 6582 and 5681: fast retransmit and fast recovery without SACK, NewReno's growth.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

TEST(Rfc6582, DuplicatesOfWhatARecoveryEndedWithStartNoOther) {
  Script s;
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 1000;
  s.write(5000);
  for (int i = 0; i < 3; ++i) s.in("A seq 1 ack 1");
  EXPECT_TRUE(s.conn().in_recovery);
  s.in("A seq 1 ack 5001");
  EXPECT_FALSE(s.conn().in_recovery);
  s.write(3000);
  s.forget();
  for (int i = 0; i < 4; ++i) s.in("A seq 1 ack 5001");
  EXPECT_FALSE(s.conn().in_recovery) << "echoes of segments that were sent twice (section 3.2 step 2)";
  s.in("A seq 1 ack 6001");
  for (int i = 0; i < 3; ++i) s.in("A seq 1 ack 6001");
  EXPECT_TRUE(s.conn().in_recovery) << "beyond that point they count";
}

TEST(Rfc3042, FirstTwoDuplicatesLetNewSegmentsGo) {
  Script s;
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 1000;
  s.write(20000);
  EXPECT_EQ(s.all().size(), 10u) << "RFC 6928: the initial window";
  s.in("A seq 1 ack 1");
  EXPECT_THAT(s.all(), ElementsAre("PA seq 10001 ack 1 len 1000"));
  s.in("A seq 1 ack 1");
  EXPECT_THAT(s.all(), ElementsAre("PA seq 11001 ack 1 len 1000"));
  s.in("A seq 1 ack 1");
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 1000");
}

TEST(Rfc5681, WindowUpdatesAreNoDuplicates) {
  Script s;
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 1000;
  s.write(5000);
  s.forget();
  for (int i = 1; i <= 5; ++i) s.in("A seq 1 ack 1 win " + std::to_string(60000 + i));
  for (int i = 0; i < 5; ++i) s.in("A seq " + std::to_string(1 + 10 * i) + " ack 1 win 60005 len 10");
  EXPECT_FALSE(s.conn().in_recovery);
}

TEST(Rfc5681, IdleConnStartsAnewFromTheInitialWindow) {
  Script s;
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 1000;
  s.write(10000);
  for (int i = 1; i <= 10; ++i) s.in("A seq 1 ack " + std::to_string(1 + 1000 * i));
  EXPECT_GT(s.conn().congestion.cwnd, 13000u);
  s.wait(10s);
  s.forget();
  s.write(30000);
  EXPECT_EQ(s.all().size(), 10u);
}

TEST(Rfc5681, NewRenoGrowsByASegmentForEachWindow) {
  CongestionState state{.cwnd = 10'000, .ssthresh = 10'000, .mss = 1000, .algorithm = CongestionControl::newreno};
  for (int window = 10; window < 30; ++window) {
    EXPECT_EQ(state.cwnd, window * 1000u);
    for (int i = 0; i < window; ++i) kNewReno.on_ack(state, {}, 1000, 50ms);
  }
  kNewReno.on_loss(state, {}, 30'000, false);
  EXPECT_EQ(state.ssthresh, 15'000u);
  kNewReno.on_loss(state, {}, 500, true);
  EXPECT_EQ(state.ssthresh, 2000u) << "never below two segments";
}

TEST(Rfc5681, SlowStartGrowsByAtMostTwoSegmentsForAnAck) {
  CongestionState state{.cwnd = 10'000, .mss = 1000, .algorithm = CongestionControl::newreno};
  kNewReno.on_ack(state, {}, 1000, 50ms);
  EXPECT_EQ(state.cwnd, 11'000u);
  kNewReno.on_ack(state, {}, 9000, 50ms);
  EXPECT_EQ(state.cwnd, 13'000u) << "RFC 3465 with L = 2: no burst after a lost ACK";
  EXPECT_EQ(initial_window(1460), 14600u);
  EXPECT_EQ(initial_window(8960), 17920u);
  EXPECT_EQ(initial_window(536), 5360u);
}

}  // namespace
}  // namespace sluice::tcp::test
