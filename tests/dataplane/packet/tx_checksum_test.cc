// Checksums of outgoing packets: right in software, asked for rightly in hardware, for every kind of port and packet.
#include "dataplane/packet/tx_checksum.h"

#include <gtest/gtest.h>

#include "dataplane/packet/chain.h"
#include "tests/support/eal.h"
#include "tests/support/packets.h"

namespace sluice::packet {
namespace {

using test::Bytes;
using test::Frame;

class TxChecksumTest : public test::EalTest {
 protected:
  static TxLayout layout_of(const Bytes& frame) {
    const auto layers = test::layers_of(frame);
    return {layers.l3_offset, static_cast<std::uint8_t>(layers.l3_header_length()), layers.protocol,
            layers.l4_length()};
  }
  test::TestPool pool_;
};

TEST_F(TxChecksumTest, SoftwareComputesInFullOverAnyChain) {
  const Bytes frames[] = {
      Frame().tcp(1, 2).payload_size(1001).bytes(),
      Frame().udp(1, 2).payload_size(501).bytes(),
      Frame().tcp(1, 2).bytes(),
      Frame().ip_options({1, 1, 1, 0}).udp(1, 2).payload("x").bytes(),
  };
  for (const Bytes& right : frames) {
    Bytes damaged = right;
    const TxLayout layout = layout_of(right);
    const std::size_t l4 = layout.l3_offset + layout.l3_header_length;
    damaged[l4 + (layout.protocol == 6 ? 16 : 6)] ^= 0x5a;
    damaged[24] ^= 0x77;
    const Packet packet = test::to_packet(pool_, damaged, {60, 33, 7});
    compute_checksums(packet, layout, {true, true});
    EXPECT_EQ(test::to_bytes(packet), right);
    discard(packet);
  }
}

TEST_F(TxChecksumTest, ZeroUdpChecksumIsSentAsAllOnes) {
  // A payload chosen so that the sum comes to all ones.
  Bytes frame = Frame().udp(1, 2).payload(Bytes{0, 0}).bytes();
  const std::uint16_t checksum = wire::load_be16(&frame[40]);
  frame = Frame()
              .udp(1, 2)
              .payload(Bytes{static_cast<std::uint8_t>(checksum >> 8), static_cast<std::uint8_t>(checksum)})
              .bytes();
  const Packet packet = test::to_packet(pool_, frame);
  compute_checksums(packet, layout_of(frame), {false, true});
  EXPECT_EQ(wire::load_be16(packet.data() + 40), 0xffff);
  EXPECT_EQ(test::faults(test::to_bytes(packet)), "");
  discard(packet);
}

TEST_F(TxChecksumTest, PortsThatCanAreAsked) {
  for (const bool tcp : {true, false}) {
    const Bytes right = tcp ? Frame().tcp(1, 2).payload("abc").bytes() : Frame().udp(1, 2).payload("abc").bytes();
    const Bytes partial = tcp ? Frame().tcp(1, 2).payload("abc").partial_l4_checksum().bytes()
                              : Frame().udp(1, 2).payload("abc").partial_l4_checksum().bytes();
    PortInfo port;
    port.tx_ipv4_checksum = port.tx_l4_checksum = true;
    const Packet packet = test::to_packet(pool_, right);
    request_tx_checksums(packet, port, layout_of(right), {true, true});
    const auto flags = packet.mbuf()->ol_flags;
    EXPECT_TRUE(flags & RTE_MBUF_F_TX_IPV4);
    EXPECT_TRUE(flags & RTE_MBUF_F_TX_IP_CKSUM);
    EXPECT_EQ(flags & RTE_MBUF_F_TX_L4_MASK, tcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM);
    EXPECT_EQ(packet.mbuf()->l2_len, 14);
    EXPECT_EQ(packet.mbuf()->l3_len, 20);
    // The pseudo-header sum is in the L4 field, zero in IPv4's.
    Bytes expected = partial;
    expected[24] = expected[25] = 0;
    EXPECT_EQ(test::to_bytes(packet), expected);
    discard(packet);
  }
}

TEST_F(TxChecksumTest, PortsThatCanHalfAreAskedHalf) {
  const Bytes right = Frame().tcp(1, 2).payload("abc").bytes();
  PortInfo port;
  port.tx_l4_checksum = true;  // virtio and vmxnet3: no IPv4 header checksum
  const Packet packet = test::to_packet(pool_, right);
  wire::store_be16(packet.data() + 24, 0);
  request_tx_checksums(packet, port, layout_of(right), {true, true});
  EXPECT_FALSE(packet.mbuf()->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
  EXPECT_TRUE(packet.mbuf()->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM);
  EXPECT_EQ(wire::load_be16(packet.data() + 24), wire::load_be16(&right[24]));
  clear_offload_flags(packet);
  EXPECT_EQ(packet.mbuf()->ol_flags, 0u);
  discard(packet);
}

TEST_F(TxChecksumTest, NothingWantedNothingTouched) {
  const Bytes wrong = Frame().bad_ip_checksum().tcp(1, 2).bad_l4_checksum().bytes();
  PortInfo port;
  port.tx_ipv4_checksum = port.tx_l4_checksum = true;
  const Packet packet = test::to_packet(pool_, wrong);
  request_tx_checksums(packet, port, {14, 20, 6, 20}, {});
  EXPECT_EQ(test::to_bytes(packet), wrong);
  EXPECT_EQ(packet.mbuf()->ol_flags, 0u);
  // ICMP has no L4 checksum that a port fills in.
  request_tx_checksums(packet, port, {14, 20, 1, 20}, {false, true});
  EXPECT_EQ(test::to_bytes(packet), wrong);
  EXPECT_EQ(packet.mbuf()->ol_flags, 0u);
  discard(packet);
}

}  // namespace
}  // namespace sluice::packet
