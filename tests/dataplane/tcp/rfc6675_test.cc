// RFC 2018, 2883 and 6675: what a receiver tells with SACK, and what a sender makes of it.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using ::testing::ElementsAre;

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

TEST(Rfc2018, ThreeBlocksBesideTimestampsTheNewestFirst) {
  Script s;
  s.open_passive();
  for (int i = 1; i <= 4; ++i) s.in("A seq " + std::to_string(200 * i + 1) + " ack 1 len 100");
  EXPECT_EQ(s.all().back(), "A seq 1 ack 1 <sack 801 901,sack 201 301,sack 401 501>");
}

TEST(Rfc2883, WhatCameTwiceIsToldOnceAndTheBlockThatHasItNext) {
  Script s;
  s.open_passive("<mss 1460,sack>");
  s.in("A seq 201 ack 1 len 100");
  s.in("A seq 301 ack 1 len 100");
  s.in("A seq 601 ack 1 len 100");
  s.forget();
  s.in("A seq 301 ack 1 len 100");
  EXPECT_EQ(s.out(), "A seq 1 ack 1 <sack 301 401,sack 201 401,sack 601 701>");
  s.in("A seq 901 ack 1 len 10");
  EXPECT_EQ(s.out(), "A seq 1 ack 1 <sack 901 911,sack 201 401,sack 601 701>") << "once";
}

TEST(Rfc2883, FinThatComesTwiceHasNoBytesToReport) {
  Script s;
  s.open_passive("<mss 1460,sack>");
  s.in("A seq 1 ack 1 len 100");
  s.in("FA seq 101 ack 1");
  s.forget();
  s.in("FA seq 101 ack 1");
  for (const std::string& segment : s.all()) EXPECT_EQ(segment.find("sack"), std::string::npos) << segment;
  s.in("FA seq 51 ack 1 len 50");
  s.forget();
  s.in("A seq 101 ack 1");
  for (const std::string& segment : s.all()) EXPECT_EQ(segment.find("sack"), std::string::npos) << segment;
}

TEST(Rfc2883, FinAmongBytesThatWaitHasNoneToReport) {
  Script s;
  s.open_passive("<mss 1460,sack>");
  s.in("A seq 201 ack 1 len 100");
  s.forget();
  s.in("FA seq 251 ack 1");  // a sender that is wrong; a block of no bytes would be wrong too
  for (const std::string& segment : s.all()) EXPECT_EQ(segment.find("251"), std::string::npos) << segment;
}

TEST(Rfc2018, WindowFullOfSmallSegmentsWaitsBehindAHole) {
  Script s;
  s.open_passive("<mss 536,sack,ws 7>");
  constexpr unsigned kSegments = 480;  // of the 256 KB that we offer
  for (unsigned i = 1; i < kSegments; ++i) s.in("A seq " + std::to_string(1 + i * 536) + " ack 1 len 536");
  EXPECT_EQ(s.stack().counters().no_chunk.get(), 0u);
  s.forget();
  s.in("A seq 1 ack 1 len 536");
  EXPECT_EQ(s.flow().read, kSegments * 536) << "one lost segment costs one";
}

TEST(Rfc2018, FullSegmentsOfOursDoNotSwallowWhatThePeerMustKnow) {
  Script s;
  s.open_passive("<mss 1460,sack>");
  s.in("A seq 1461 ack 1 len 1460");
  s.forget();
  s.world.a.write_size = 1460;
  s.flow().to_write = 2920;
  s.in("A seq 2921 ack 1 len 1460");  // a hole, while we have full segments to send
  s.world.a.pump(s.world.now, s.conn());
  const auto sent = s.all();
  const auto tells = [](const std::string& text) { return text.find("sack 1461 4381") != std::string::npos; };
  EXPECT_EQ(std::count_if(sent.begin(), sent.end(), tells), 1) << "no room in them, so an ACK of its own";
}

TEST(Rfc2018, NoSackUnlessBothPermit) {
  Script s;
  s.open_passive("<mss 1460>");
  s.in("A seq 101 ack 1 len 100");
  EXPECT_EQ(s.out(), "A seq 1 ack 1");
}

TEST(Rfc6675, NonsenseBlocksAreIgnored) {
  Script s;
  s.open_passive("<mss 1000,sack>");
  s.world.a.write_size = 1000;
  s.write(5000);
  s.forget();
  s.in("A seq 1 ack 1 <sack 3001 2001>");    // ends before it begins
  s.in("A seq 1 ack 1 <sack 4001 900001>");  // never sent
  s.in("A seq 1 ack 1 <sack 1001 1500>");    // half a segment
  EXPECT_EQ(s.conn().sacked_bytes, 0u);
  EXPECT_TRUE(s.all().empty());
}

TEST(Rfc2018, PeerThatThrowsAwayWhatItHadIsSentItAgain) {
  Script s;
  s.open_passive("<mss 1000,sack>");
  s.world.a.write_size = 1000;
  s.write(4000);
  s.in("A seq 1 ack 1 <sack 1001 4001>");
  EXPECT_EQ(s.conn().sacked_bytes, 3000u);
  s.in("A seq 1 ack 1001");  // section 8: the blocks are gone
  s.forget();
  s.wait(300ms);
  EXPECT_EQ(s.conn().sacked_bytes, 0u);
  EXPECT_EQ(s.out(), "PA seq 1001 ack 1 len 1000");
  s.in("A seq 1 ack 2001");
  s.in("A seq 1 ack 3001");
  s.in("A seq 1 ack 4001");
  EXPECT_EQ(s.conn().flight(), 0u);
}

}  // namespace
}  // namespace sluice::tcp::test
