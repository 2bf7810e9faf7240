// Checksums of a packet that leaves; see tx_checksum.h.
#include "dataplane/packet/tx_checksum.h"

#include "dataplane/packet/chain.h"
#include "dataplane/wire/ipv4.h"
#include "dataplane/wire/tcp.h"
#include "dataplane/wire/udp.h"

namespace sluice::packet {
namespace {

// Where the L4 checksum is, from the start of the L4 header; 0: the protocol has none that we know.
std::size_t checksum_offset(std::uint8_t protocol) {
  if (protocol == wire::kProtocolTcp) return wire::kTcpChecksum;
  return protocol == wire::kProtocolUdp ? wire::kUdpChecksum : 0;
}

wire::ChecksumSum pseudo_header(const std::uint8_t* ipv4, const TxLayout& layout) {
  wire::ChecksumSum sum;
  sum.add_pseudo_header(wire::load_ipv4(ipv4 + wire::kIpv4Source), wire::load_ipv4(ipv4 + wire::kIpv4Destination),
                        layout.protocol, layout.l4_length);
  return sum;
}

}  // namespace

void compute_checksums(Packet packet, const TxLayout& layout, TxChecksums wanted) {
  std::uint8_t* ipv4 = packet.data() + layout.l3_offset;
  if (wanted.ipv4) wire::write_ipv4_checksum(ipv4);
  const std::size_t offset = checksum_offset(layout.protocol);
  if (!wanted.l4 || offset == 0) return;
  const std::uint32_t l4_offset = std::uint32_t{layout.l3_offset} + layout.l3_header_length;
  std::uint8_t* field = packet.data() + l4_offset + offset;
  wire::store_be16(field, 0);
  wire::ChecksumSum sum = pseudo_header(ipv4, layout);
  add_to_checksum(packet, l4_offset, layout.l4_length, sum);
  const std::uint16_t checksum = sum.finish();
  const bool is_udp_zero = checksum == 0 && layout.protocol == wire::kProtocolUdp;
  wire::store_be16(field, is_udp_zero ? 0xffff : checksum);
}

void request_tx_checksums(Packet packet, const PortInfo& port, const TxLayout& layout, TxChecksums wanted) {
  const std::size_t offset = checksum_offset(layout.protocol);
  const bool ask_ipv4 = wanted.ipv4 && port.tx_ipv4_checksum;
  const bool ask_l4 = wanted.l4 && port.tx_l4_checksum && offset != 0;
  compute_checksums(packet, layout, {wanted.ipv4 && !ask_ipv4, wanted.l4 && !ask_l4});
  if (!ask_ipv4 && !ask_l4) return;

  rte_mbuf* mbuf = packet.mbuf();
  std::uint8_t* ipv4 = packet.data() + layout.l3_offset;
  mbuf->l2_len = layout.l3_offset & 0x7f;
  mbuf->l3_len = layout.l3_header_length;
  mbuf->ol_flags |= RTE_MBUF_F_TX_IPV4;
  if (ask_ipv4) {
    wire::store_be16(ipv4 + wire::kIpv4Checksum, 0);
    mbuf->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
  }
  if (ask_l4) {
    wire::store_be16(ipv4 + layout.l3_header_length + offset, pseudo_header(ipv4, layout).folded());
    mbuf->ol_flags |= layout.protocol == wire::kProtocolTcp ? RTE_MBUF_F_TX_TCP_CKSUM : RTE_MBUF_F_TX_UDP_CKSUM;
  }
}

}  // namespace sluice::packet
