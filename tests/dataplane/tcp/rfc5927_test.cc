// RFC 1191, 5927 and 6691: path MTU, which ICMP errors are believed, and the MSS both ways.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

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

TEST(Rfc5927, HardErrorsEndOnlyWhatIsOpening) {
  Script s;
  s.begin_active();
  s.stack().on_icmp_error(s.world.now, s.conn(), s.our_isn + 7, 0, true);
  EXPECT_EQ(s.conn().state, State::syn_sent) << "quotes nothing in flight";
  s.stack().on_icmp_error(s.world.now, s.conn(), s.our_isn, 0, false);
  EXPECT_EQ(s.conn().state, State::syn_sent) << "soft";
  s.stack().on_icmp_error(s.world.now, s.conn(), s.our_isn, 0, true);
  s.turn();
  EXPECT_EQ(s.flow().reason, CloseReason::unreachable);

  Script t;
  t.open_passive("<mss 1460>");
  t.write(100);
  t.stack().on_icmp_error(t.world.now, t.conn(), t.our_isn + 1, 0, true);
  EXPECT_EQ(t.conn().state, State::established) << "RFC 5461";
}

TEST(Rfc1191, PathNeverGrowsByAnErrorNorShrinksToNothing) {
  Script s;
  s.open_passive("<mss 1000>");
  s.write(1000);
  s.stack().on_icmp_error(s.world.now, s.conn(), s.our_isn + 1, 9000, false);
  EXPECT_EQ(s.conn().snd_mss, 1000);
  s.stack().on_icmp_error(s.world.now, s.conn(), s.our_isn + 1, 1, false);
  EXPECT_EQ(s.conn().snd_mss, 256);
}

TEST(Rfc6691, MssIsClampedToOursAndTimestampsComeOffIt) {
  Script s;
  s.open_passive("<mss 8960,ts 1 0>");
  EXPECT_EQ(s.conn().snd_mss, 1460 - 12);
  s.world.a.write_size = 20000;
  s.write(3000);
  for (const std::string& text : s.all()) EXPECT_NE(text.find(text.find("1449") != text.npos ? "len" : "A"), text.npos);
  EXPECT_EQ(s.conn().snd_nxt.value - s.our_isn, 3001u);
}

}  // namespace
}  // namespace sluice::tcp::test
