// A recording of the speaker, played again: every input arrives as it was, every output comes out as it did.
#include "control/bgp/recording.h"

#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::recording_test {
namespace {

using namespace testing;

constexpr auto kMaster = "172.16.40.199";
constexpr auto kNode1 = "172.16.40.198";

class RecordingTest : public ::testing::Test {
 protected:
  RecordingTest() {
    bench.speaker.set_recorder(&recorder);
    recorder.set_configuration("the settings");
    bench.reconfigure();
  }
  ~RecordingTest() override { bench.speaker.set_recorder(nullptr); }

  // A life with everything in it that a speaker can be told.
  void live() {
    const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
    bench.receive(conn, block_update(kMaster, "10.244.0.0/24"));
    bench.receive(conn, end_of_rib());
    AnnounceAttributes attributes;
    attributes.med = 7;
    attributes.prepend = 2;
    attributes.communities = {0xfc000064};
    bench.run([&](Outputs& out) { bench.speaker.announce(bench.now, prefix("172.16.40.80/32"), attributes, out); });
    bench.advance(40s);
    bench.take(conn);
    const auto other = bench.accept_from(kNode1, calico_open(kNode1));
    bench.receive(other, block_update(kNode1, "10.244.1.0/24") + hex("ffff"));
    bench.resolver.unreachable.insert(ip(kNode1));
    bench.step(input::NextHopsChanged{});
    while (bench.speaker.has_work()) bench.step(input::Tick{});
    bench.run([&](Outputs& out) { bench.speaker.refresh(bench.now, ip(kMaster), out); });
    EXPECT_TRUE(bench.speaker.resend(ip(kMaster)));
    bench.step(input::PathDown{ip(kMaster), true, "control detection time expired"});
    bench.step(input::Closed{other, "connection reset by peer"});
    bench.advance(10s);
    for (const auto& connect : bench.connects) bench.step(input::ConnectFailed{connect.conn, "connection refused"});
    bench.accept_from(kMaster, calico_open(kMaster));
    bench.run([&](Outputs& out) { bench.speaker.withdraw(bench.now, prefix("172.16.40.80/32"), out); });
    bench.run([&](Outputs& out) { bench.speaker.clear(bench.now, ip(kMaster), out); });
    bench.run([&](Outputs& out) { bench.speaker.shutdown(bench.now, "good night", out); });
  }
  ReplayResult play() {
    return replay(file, [this](const std::string& yaml) {
      EXPECT_EQ(yaml, "the settings");
      return std::optional(settings);
    });
  }

  Bytes file;
  Recorder recorder{[this](const Bytes& bytes) { file.insert(file.end(), bytes.begin(), bytes.end()); }};
  SpeakerSettings settings = reference_settings();
  Bench bench{settings};
};

TEST_F(RecordingTest, TheSameOutputsComeOut) {
  live();
  const ReplayResult result = play();
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.differs, std::nullopt);
  EXPECT_GT(result.inputs, 20u);
  EXPECT_EQ(result.sessions_up, 3u);
  EXPECT_GT(result.bytes_received, 300u);
  EXPECT_EQ(play().digest, result.digest);
}

TEST_F(RecordingTest, AnotherSettingIsNoticed) {
  live();
  settings.neighbors[1].session.hold_time = 30s;
  const ReplayResult result = play();
  EXPECT_EQ(result.error, "");
  ASSERT_TRUE(result.differs);
}

TEST_F(RecordingTest, AChangedByteIsNoticed) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, "10.244.0.0/24"));
  const auto whole = play();
  ASSERT_EQ(whole.differs, std::nullopt);
  const Bytes nlri = hex("180af400");
  const auto at = std::search(file.begin(), file.end(), nlri.begin(), nlri.end());
  ASSERT_NE(at, file.end());
  at[3] = 1;
  const auto changed = play();
  EXPECT_TRUE(changed.differs);
  EXPECT_NE(changed.digest, whole.digest);
}

// Whatever a file holds: an error in words, no crash.
TEST_F(RecordingTest, BrokenFiles) {
  live();
  EXPECT_EQ(replay({}, [](const std::string&) { return std::nullopt; }).error, "this is no recording");
  EXPECT_NE(replay(file, [](const std::string&) { return std::nullopt; }).error.find("cannot be read"),
            std::string::npos);
  const Bytes all = file;
  for (std::size_t length = 16; length < all.size(); length += 7) {
    file.assign(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(length));
    play();
  }
  file = all;
  file.back() ^= 1;
  EXPECT_TRUE(play().differs);
  Bytes unknown(all.begin(), all.begin() + 16);
  unknown = unknown + hex("63 0000000000000001 00000000");
  file = unknown;
  EXPECT_NE(play().error.find("type 99"), std::string::npos);
  file = Bytes(all.begin(), all.begin() + 16) + hex("03 0000000000000001 00000002 0000");
  EXPECT_NE(play().error.find("too short"), std::string::npos);
}

}  // namespace
}  // namespace sluice::bgp::recording_test
