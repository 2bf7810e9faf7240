// RFC 4987 and 6528: SYN cookies, what they keep, when they begin and end; initial sequence numbers.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

// The acknowledgment that completes a handshake whose SYN-ACK was `text`: "SA seq <ours> …".
std::uint32_t ack_of(const std::string& text) { return static_cast<std::uint32_t>(std::stoul(text.substr(7))) + 1; }

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

TEST(Rfc4987, WithoutTimestampsOnlyTheMssIsKept) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 0;
  Script s(options);
  s.in("S seq 0 <mss 1300,sack,ws 9>");
  const std::string syn_ack = s.out();
  EXPECT_NE(syn_ack.find("<mss 1460>"), syn_ack.npos) << syn_ack << ": offers nothing that it could not remember";
  s.in("A seq 1 ack " + std::to_string(ack_of(syn_ack)) + " win 5000");
  EXPECT_EQ(s.conn().snd_mss, 1300);
  EXPECT_EQ(s.conn().snd_wnd, 5000u);
  EXPECT_FALSE(s.conn().sack_permitted);
}

TEST(Rfc4987, FirstBytesMayComeWithTheCookie) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 0;
  Script s(options);
  s.in("S seq 0 <mss 1460>");
  s.in("PA seq 1 ack " + std::to_string(ack_of(s.out())) + " len 50");
  EXPECT_EQ(s.flow().read, 50u);
}

TEST(Rfc4987, BytesBeforeTheCookieAreSentAgain) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 0;
  Script s(options);
  s.in("S seq 0 <mss 1460>");
  const std::string ack = std::to_string(ack_of(s.out()));
  s.in("PA seq 51 ack " + ack + " len 50");  // the ACK and the first 50 bytes are lost
  EXPECT_EQ(s.out(), "");
  s.in("PA seq 1 ack " + ack + " len 50");
  s.in("PA seq 51 ack 1 len 50");
  EXPECT_EQ(s.flow().read, 100u);
  s.wait(200s);  // no cookie is about any more
  s.forget();
  s.peer_port = 40001;
  s.in("PA seq 51 ack 77 len 50");
  EXPECT_EQ(s.out().substr(0, 5), "R seq");
}

TEST(Rfc4987, CookieIsWorthNothingAfterTwoMinutes) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 0;
  Script s(options);
  s.in("S seq 0 <mss 1460>");
  const std::uint32_t ack = ack_of(s.out());
  s.wait(130s);
  s.in("A seq 1 ack " + std::to_string(ack));
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
  EXPECT_EQ(s.out(), "R seq " + std::to_string(ack));
}

TEST(Rfc4987, CookieOfAnotherClientIsWorthNothing) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 0;
  Script s(options);
  s.in("S seq 0 <mss 1460>");
  const std::uint32_t ack = ack_of(s.out());
  s.peer_port = 40001;
  s.in("A seq 1 ack " + std::to_string(ack));
  s.peer_port = 40000;
  s.in("A seq 2 ack " + std::to_string(ack));
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
  EXPECT_EQ(s.stack().counters().cookies_rejected.get(), 2u);
}

TEST(Rfc4987, BeginUnderPressureAndEndWithIt) {
  WorldOptions options = Script::quiet();
  options.limits.half_open_max = 3;
  Script s(options);
  for (std::uint16_t port = 50000; port < 50010; ++port) {
    s.peer_port = port;
    s.in("S seq 0 <mss 1460>");
  }
  EXPECT_EQ(s.stack().half_open(), 3u);
  EXPECT_EQ(s.stack().counters().cookies_sent.get(), 7u);
  s.wait(10s);  // nobody answered: the three are over
  EXPECT_EQ(s.stack().half_open(), 0u);
  s.peer_port = 50020;
  s.in("S seq 0 <mss 1460>");
  EXPECT_EQ(s.stack().counters().cookies_sent.get(), 7u) << "no longer";
  EXPECT_EQ(s.stack().half_open(), 1u);
}

TEST(Rfc4987, StrayAckIsNoGuessWhenNoCookieIsAbout) {
  Script s;
  s.in("A seq 1 ack 77");
  EXPECT_EQ(s.stack().counters().cookies_rejected.get(), 0u);
  EXPECT_EQ(s.out(), "R seq 77");
}

TEST(Rfc6528, InitialSequenceGrowsWithTimeAndDiffersByTupleAndSecret) {
  const auto isn = [](std::uint64_t seed, std::uint16_t port, Duration after) {
    WorldOptions options = Script::quiet();
    options.link.seed = seed;
    World world(options);
    world.tap = [](Host&, sluice::test::Bytes&) { return false; };
    world.run_for(after);
    return world.connect(port)->iss;
  };
  EXPECT_EQ(isn(1, 40000, 1s) - isn(1, 40000, 0s), 250'000u) << "a step every 4 microseconds";
  EXPECT_NE(isn(1, 40000, 0s), isn(1, 40001, 0s));
  EXPECT_NE(isn(1, 40001, 0s) - isn(1, 40000, 0s), isn(1, 40002, 0s) - isn(1, 40001, 0s));
  EXPECT_NE(isn(1, 40000, 0s), isn(2, 40000, 0s));
}

}  // namespace
}  // namespace sluice::tcp::test
