// The speaker: what it announces, with which bytes, and who does not read it.
#include <gtest/gtest.h>

#include "tests/control/bgp/speaker_support.h"

namespace sluice::bgp::speaker_announce_test {
namespace {

using namespace testing;

// Fact 3: End-of-RIB always, also with nothing to announce; it follows OPEN and KEEPALIVE.
TEST_F(SpeakerTest, EndOfRibIsSentWithNothingToAnnounce) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 3u);
  EXPECT_EQ(messages[0][18], 1);
  EXPECT_EQ(messages[1], encode_keepalive());
  EXPECT_EQ(messages[2], end_of_rib());
  const auto ours = std::get<OpenMessage>(decode_open(ByteSpan(messages[0]).subspan(kHeaderSize)));
  EXPECT_EQ(ours.hold_time_s, 90);
  EXPECT_TRUE(ours.capabilities.route_refresh && ours.capabilities.route_refresh_old &&
              ours.capabilities.enhanced_refresh);
  EXPECT_FALSE(ours.capabilities.add_path[0].receive);  // fact 7: not unless asked for
}

TEST_F(SpeakerTest, AnnouncementHasTheAttributesCalicoNeeds) {
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 4u);
  // origin incomplete, empty AS_PATH, next hop our self IP, LOCAL_PREF 100 (fact 5)
  EXPECT_EQ(messages[2], hex("ffffffffffffffffffffffffffffffff 0031 02 0000 0015 40010102 400200 400304ac1028ca "
                             "40050400000064 20ac102850"));
  EXPECT_EQ(messages[3], end_of_rib());
  EXPECT_EQ(bench.facts(kMaster).announced_prefixes, 1u);
  bench.run([&](Outputs& out) { bench.speaker.withdraw(bench.now, prefix("172.16.40.80/32"), out); });
  EXPECT_EQ(bench.take(conn), std::vector<Bytes>{withdraw_update("172.16.40.80/32")});
  EXPECT_EQ(bench.facts(kMaster).announced_prefixes, 0u);
}

TEST_F(SpeakerTest, AllNeighboursShareOneEncoding) {
  bench.accept_from(kMaster, calico_open(kMaster));
  bench.accept_from(kNode1, calico_open(kNode1));
  std::vector<const Bytes*> buffers;
  bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, bench.out);
  bench.out.clear();
  bench.speaker.step(bench.now, input::Tick{}, bench.out);
  for (const auto& action : bench.out.actions) {
    if (const auto* send = std::get_if<output::Send>(&action)) buffers.push_back(send->bytes.get());
  }
  ASSERT_EQ(buffers.size(), 2u);
  EXPECT_EQ(buffers[0], buffers[1]);
}

TEST_F(SpeakerTest, SlowReaderGetsOneStateNotEveryChange) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  bench.step(input::Written{conn, 1 << 20});  // the transport holds a lot
  for (int i = 0; i < 100; ++i) {
    bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
    bench.run([&](Outputs& out) { bench.speaker.withdraw(bench.now, prefix("172.16.40.80/32"), out); });
  }
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  EXPECT_TRUE(bench.sent[conn].empty());
  EXPECT_EQ(bench.take(conn).size(), 0u);  // tells that all was written
  EXPECT_EQ(types(bench.take(conn)), std::vector{MessageType::update});
}

TEST_F(SpeakerTest, SendHoldTimerEndsASessionThatIsNotRead) {  // RFC 9687
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  for (int i = 0; i < 20 && !bench.closed.contains(conn); ++i) {
    bench.receive(conn, encode_keepalive());
    bench.advance(29s);
  }
  EXPECT_TRUE(bench.closed.contains(conn));
  EXPECT_NE(bench.facts(kMaster).last_reset.find("Send Hold Timer"), std::string::npos);
}

TEST_F(SpeakerTest, ShutdownWithdrawsAndSaysWhy) {
  bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), {}, out); });
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.take(conn);
  bench.run([&](Outputs& out) { bench.speaker.shutdown(bench.now, "upgrade", out); });
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0], withdraw_update("172.16.40.80/32"));
  EXPECT_EQ(decode_notification(ByteSpan(messages[1]).subspan(kHeaderSize))->text(),
            "Cease/Administrative Shutdown: \"upgrade\"");
  bench.advance(3600s);
  EXPECT_EQ(bench.speaker.deadline(), kInstantMax);
}

}  // namespace
}  // namespace sluice::bgp::speaker_announce_test
