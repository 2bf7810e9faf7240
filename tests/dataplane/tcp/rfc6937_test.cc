// RFC 6937: how many segments leave for how many that arrive while a loss is repaired.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

// 40 segments of 1000 bytes in flight, cwnd 40 segments.
void fill_forty(Script& s) {
  s.open_passive("<mss 1000,sack>", 40ms);
  s.world.a.write_size = 1000;
  s.write(1000);
  s.wait(40ms);
  s.in("A seq 1 ack 1001");
  s.conn().congestion.cwnd = 40'000;
  s.write(200'000);
  EXPECT_EQ(s.conn().flight(), 40'000u);
  s.forget();
  s.wait(40ms);
}

void sack(Script& s, int first, int last) {  // segments, counted from 1
  s.in("A seq 1 ack 1001 <sack " + std::to_string(1001 + 1000 * first) + " " + std::to_string(1001 + 1000 * last) +
       ">");
}

TEST(Rfc6937, OneLossReducesInProportionAndEndsAtSsthresh) {
  Script s;
  fill_forty(s);
  std::size_t sent = 0;
  for (int n = 2; n <= 40; ++n) {  // the first is lost; the others come one by one
    sack(s, 1, n);
    const std::size_t now = s.all().size();
    EXPECT_LE(now, 2u) << "no burst at " << n;
    sent += now;
  }
  EXPECT_TRUE(s.conn().in_recovery);
  EXPECT_EQ(s.conn().congestion.ssthresh, 28'000u)
      << "CUBIC's 0.7 of 40: not of what limited transmit added (RFC 3042)";
  EXPECT_NEAR(static_cast<double>(sent), 2 + 37 * 0.7, 2.0) << "beta segments for each that arrived";
  EXPECT_LE(s.conn().in_flight(), 28'000u);
  EXPECT_GE(s.conn().in_flight(), 25'000u);
  s.in("A seq 1 ack 43001");
  EXPECT_FALSE(s.conn().in_recovery);
  EXPECT_EQ(s.conn().congestion.cwnd, 28'000u);
}

TEST(Rfc6937, ManyLossesAreRefilledByAtMostOneSegmentMoreThanArrives) {
  Script s;
  fill_forty(s);
  sack(s, 30, 34);  // thirty lost at once: in flight is far below ssthresh
  EXPECT_TRUE(s.conn().in_recovery);
  EXPECT_LE(s.all().size(), 5u) << "slow start reduction bound: what arrived and one";
  for (int n = 35; n <= 40; ++n) {
    sack(s, 30, n);
    EXPECT_LE(s.all().size(), 2u);
  }
  EXPECT_LE(s.conn().in_flight(), s.conn().congestion.ssthresh);
}

TEST(Rfc6937, RepairIsSentEvenWhenTheWindowSaysNo) {
  Script s;
  fill_forty(s);
  s.conn().congestion.cwnd = 2000;  // an application may have shrunk; flight is far above
  sack(s, 1, 5);
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000");
}

TEST(Rfc6937, WithoutSackDuplicatesCountAndAreNotCountedTwice) {
  Script s;
  s.open_passive("<mss 1000>");
  s.world.a.write_size = 1000;
  s.conn().congestion.cwnd = 20'000;
  s.write(100'000);
  EXPECT_EQ(s.all().size(), 20u);
  for (int i = 0; i < 3; ++i) s.in("A seq 1 ack 1");
  EXPECT_TRUE(s.conn().in_recovery);
  s.forget();
  std::size_t sent = 0;
  for (int i = 0; i < 16; ++i) {
    s.in("A seq 1 ack 1");
    sent += s.all().size();
  }
  s.in("A seq 1 ack 10001");  // partial: ten segments, of which nine were counted as duplicates
  const std::size_t burst = s.all().size();
  EXPECT_LE(burst, 3u) << "section 3: DeliveredData is what is new in it";
  EXPECT_LE(sent, 18u);
}

}  // namespace
}  // namespace sluice::tcp::test
