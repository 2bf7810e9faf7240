// Captures read back with libpcap: filter, direction, snaplen, limit, losses, readers that go away.
#include "dataplane/port/capture.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <pcap/pcap.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "tests/support/eal.h"

namespace sluice::port {
namespace {

using packet::Packet;
using testing::HasSubstr;

struct Frame {
  pcap_pkthdr header;
  std::vector<std::uint8_t> bytes;
};

class CaptureTest : public test::EalTest {
 protected:
  void SetUp() override {
    std::strcpy(path_, "/tmp/sluice-capture-XXXXXX");
    fd_ = mkstemp(path_);
    ASSERT_GE(fd_, 0);
  }
  void TearDown() override { unlink(path_); }

  CaptureOptions options(std::string filter = "") {
    CaptureOptions out;
    out.filter = std::move(filter);
    out.fd = fd_;
    packet::PortInfo port;
    port.name = "int_vlan";
    out.ports = {port, port};
    return out;
  }
  // A UDP frame to this port, of `length` bytes.
  Packet udp(std::uint16_t to, std::uint16_t length = 100) {
    Packet packet = pool_->allocate();
    std::uint8_t* data = packet.append(length);
    std::memset(data, 0xab, length);
    const std::uint8_t ethernet[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0};
    std::memcpy(data, ethernet, sizeof ethernet);
    const std::uint8_t ipv4[] = {0x45, 0, 0, 86, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
    std::memcpy(data + 14, ipv4, sizeof ipv4);
    data[36] = static_cast<std::uint8_t>(to >> 8);
    data[37] = static_cast<std::uint8_t>(to);
    return packet;
  }
  void offer(Capture& capture, Packet packet, Direction direction = Direction::in, packet::PortId port = 0) {
    capture.offer(port, direction, {&packet, 1});
    rte_pktmbuf_free(packet.mbuf());
  }
  std::vector<Frame> read_back() {
    char error[PCAP_ERRBUF_SIZE];
    pcap_t* file = pcap_open_offline_with_tstamp_precision(path_, PCAP_TSTAMP_PRECISION_NANO, error);
    EXPECT_NE(file, nullptr) << error;
    std::vector<Frame> frames;
    if (file == nullptr) return frames;
    pcap_pkthdr* header;
    const u_char* bytes;
    int result;
    while ((result = pcap_next_ex(file, &header, &bytes)) == 1)
      frames.push_back({*header, {bytes, bytes + header->caplen}});
    EXPECT_EQ(result, PCAP_ERROR_BREAK) << pcap_geterr(file);
    pcap_close(file);
    return frames;
  }

  test::TestPool pool_{512};
  char path_[64];
  int fd_ = -1;
};

TEST_F(CaptureTest, WritesWhatMatchesWhole) {
  auto capture = Capture::start(options("udp dst port 53"));
  ASSERT_TRUE(capture) << capture.error().text();
  offer(**capture, udp(53));
  offer(**capture, udp(54));
  offer(**capture, udp(53, 101), Direction::out, 1);
  ASSERT_TRUE((*capture)->drain());
  EXPECT_EQ((*capture)->statistics().captured, 2u);
  EXPECT_EQ((*capture)->statistics().written, 2u);
  capture->reset();
  const auto frames = read_back();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].header.len, 100u);
  EXPECT_EQ(frames[1].header.len, 101u);
  EXPECT_EQ(frames[0].bytes[37], 53);
  EXPECT_NEAR(static_cast<double>(frames[0].header.ts.tv_sec), static_cast<double>(time(nullptr)), 5);
}

TEST_F(CaptureTest, SnaplenAndLimit) {
  auto wanted = options();
  wanted.snaplen = 64;
  wanted.limit = 3;
  auto capture = Capture::start(wanted);
  ASSERT_TRUE(capture);
  for (unsigned i = 0; i < 10; ++i) offer(**capture, udp(1, 200));
  EXPECT_TRUE((*capture)->statistics().finished);
  capture->reset();  // writes what waits
  const auto frames = read_back();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0].header.caplen, 64u);
  EXPECT_EQ(frames[0].header.len, 200u);
}

TEST_F(CaptureTest, FullRingLosesAndCounts) {
  auto capture = Capture::start(options());
  ASSERT_TRUE(capture);
  for (unsigned i = 0; i < 5000; ++i) offer(**capture, udp(1));  // nobody drains
  const auto statistics = (*capture)->statistics();
  EXPECT_EQ(statistics.captured + statistics.lost, 5000u);
  EXPECT_GT(statistics.lost, 0u);
  capture->reset();
  EXPECT_EQ(read_back().size(), statistics.captured);
}

TEST_F(CaptureTest, ReaderThatStopsReadingBlocksNobody) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  auto wanted = options();
  close(fd_);
  wanted.fd = ends[0];
  auto capture = Capture::start(wanted);
  ASSERT_TRUE(capture);
  for (unsigned round = 0; round < 20; ++round) {
    for (unsigned i = 0; i < 1000; ++i) offer(**capture, udp(1, 1000));
    EXPECT_TRUE((*capture)->drain());
  }
  EXPECT_GT((*capture)->statistics().lost, 0u);
  close(ends[1]);
  const auto drained = (*capture)->drain();
  ASSERT_FALSE(drained);
  EXPECT_THAT(drained.error().text(), HasSubstr("Broken pipe"));
}

TEST_F(CaptureTest, BadFilterIsExplained) {
  const auto capture = Capture::start(options("host 10.0.0.300"));
  ASSERT_FALSE(capture);
  EXPECT_THAT(capture.error().text(), HasSubstr("capture filter \"host 10.0.0.300\": "));
}

}  // namespace
}  // namespace sluice::port
