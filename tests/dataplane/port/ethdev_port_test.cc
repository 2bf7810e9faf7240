// Bringing devices up: the vdevs that need no kernel, and one error for each thing that a configuration can get wrong.
#include "dataplane/port/ethdev_port.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include "tests/support/eal.h"

namespace sluice::port {
namespace {

using packet::Batch;
using packet::Packet;
using testing::HasSubstr;

class EthdevPortTest : public test::EalTest {
 protected:
  Result<std::unique_ptr<Port>> open(const std::string& device, std::uint16_t mtu = 1500) {
    const packet::PacketPool pools[] = {*pool_};
    return open_port({.name = "ext", .device = device, .id = 5, .mtu = mtu}, pools);
  }
  std::string error(const std::string& device, std::uint16_t mtu = 1500) {
    const auto port = open(device, mtu);
    return port ? "none" : port.error().text();
  }
  test::TestPool pool_{4096};
};

TEST_F(EthdevPortTest, RingComesBack) {
  auto port = open("net_ring0");
  ASSERT_TRUE(port) << port.error().text();
  ASSERT_TRUE((*port)->start());
  EXPECT_EQ((*port)->info().name, "ext");
  EXPECT_EQ((*port)->info().id, 5);
  EXPECT_FALSE((*port)->info().rx_partial_checksums);
  Packet packet = pool_->allocate();
  packet.append(60);
  EXPECT_EQ((*port)->queue(0).tx({&packet, 1}), 1u);
  Batch batch;
  (*port)->queue(0).rx(batch);
  ASSERT_EQ(batch.count, 1u);
  EXPECT_EQ(batch.packets[0].mbuf(), packet.mbuf());
  EXPECT_EQ(batch.packets[0].rx_port(), 5);
  rte_pktmbuf_free(packet.mbuf());
  EXPECT_TRUE((*port)->is_link_up());
  EXPECT_EQ((*port)->statistics().tx_packets, 1u);
  EXPECT_FALSE((*port)->statistics().extended.empty());
  EXPECT_THAT((*port)->description(), HasSubstr("net_ring"));
}

TEST_F(EthdevPortTest, CanBeOpenedAgainAfterItsEnd) {
  for (int i = 0; i < 3; ++i) {
    auto port = open("net_null0");
    ASSERT_TRUE(port) << port.error().text();
    ASSERT_TRUE((*port)->start());
    EXPECT_THAT(error("net_null0"), HasSubstr("net_null0 is used already"));
  }
}

TEST_F(EthdevPortTest, PcapWritesAFile) {
  const std::string path = "/tmp/sluice-port-" + std::to_string(getpid()) + ".pcap";
  {
    auto port = open("net_pcap0,tx_pcap=" + path);
    ASSERT_TRUE(port) << port.error().text();
    ASSERT_TRUE((*port)->start());
    Packet packet = pool_->allocate();
    packet.append(60);
    EXPECT_EQ((*port)->queue(0).tx({&packet, 1}), 1u);
  }
  EXPECT_EQ(access(path.c_str(), R_OK), 0);
  unlink(path.c_str());
}

TEST_F(EthdevPortTest, SaysWhatIsWrong) {
  EXPECT_THAT(error("eth1"), HasSubstr("port ext: \"eth1\" is no device: write a PCI address"));
  EXPECT_THAT(error("net_nonsense0"), HasSubstr("DPDK cannot open \"net_nonsense0\""));
  EXPECT_THAT(error("net_af_packet0"), HasSubstr("needs the interface it shall use: net_af_packet0,iface=eth1"));
  EXPECT_THAT(error("net_null0,colour=red"), HasSubstr("DPDK cannot open \"net_null0,colour=red\""));
  EXPECT_THAT(error("net_null0", 9000), HasSubstr("mtu 9000 does not fit the engine's buffers: at most 2030"));
  EXPECT_THAT(error("net_af_packet0,iface=lo", 1980), HasSubstr("mtu 1980 does not fit af_packet's frames"));
  EXPECT_THAT(error("0000:ff:1f.7"), HasSubstr("0000:ff:1f.7"));
}

TEST_F(EthdevPortTest, InterfaceThatDoesNotExist) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_THAT(error("net_af_packet0,iface=nowhere7"),
              HasSubstr("interface nowhere7: does not exist in this network namespace; there are: "));
}

TEST_F(EthdevPortTest, NotRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to become nobody";
  ASSERT_EQ(seteuid(65534), 0);
  const auto text = error("net_af_packet0,iface=lo");
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_THAT(text, HasSubstr("needs root or CAP_NET_RAW"));
}

}  // namespace
}  // namespace sluice::port
