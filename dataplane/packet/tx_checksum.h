// Checksums of a packet that leaves: asked of the port where it can, computed here in full where it cannot.
//
// Called by: ip/output. Runs on: workers. Follows: DPDK's TX offload flags (rte_mbuf_core.h).
// Tested by: tests/dataplane/packet/tx_checksum_test.cc
#pragma once

#include "dataplane/packet/packet.h"

namespace sluice::packet {

// Where things are in the frame; bytes from its start.
struct TxLayout {
  std::uint8_t l3_offset = 14;
  std::uint8_t l3_header_length = 20;
  std::uint8_t protocol = 0;  // TCP and UDP have an L4 checksum here, all others are left alone
  std::uint16_t l4_length = 0;
};

// Which of them are not right yet.
struct TxChecksums {
  bool ipv4 = false;
  bool l4 = false;
};

// Precondition: IPv4 and its L4 header lie in the first segment, the L4 is not a fragment. UDP gets a checksum even if
// it came without.
void request_tx_checksums(Packet packet, const PortInfo& port, const TxLayout& layout, TxChecksums wanted);

// The same without a port's help.
void compute_checksums(Packet packet, const TxLayout& layout, TxChecksums wanted);

// Forgets what the receiving port said of the packet, and requests of an earlier output.
inline void clear_offload_flags(Packet packet) { packet.mbuf()->ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT; }

}  // namespace sluice::packet
