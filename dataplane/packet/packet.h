// Packet: a thin handle on one rte_mbuf chain; Batch: up to 64 of them; PacketPool: where they come from.
//
// A Packet is copied like a pointer. Exactly one holder owns it at a time: who takes a Packet by value takes it over,
// and ends it by TxSink::push (transmit), Drops (drop with a reason) or passing it on. Nothing else frees packets.
//
// Called by: everything on the packet path. Runs on: workers. Follows: DPDK's mbuf library.
// Tested by: tests/dataplane/packet/chain_test.cc
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/base/result.h"
#include "dataplane/packet/port_info.h"

namespace sluice::packet {

// What the port said of a received packet's checksums.
enum class ChecksumState : std::uint8_t { unknown, good, bad };

class Packet {
 public:
  Packet() = default;
  explicit Packet(rte_mbuf* mbuf) : mbuf_(mbuf) {}

  explicit operator bool() const { return mbuf_ != nullptr; }
  rte_mbuf* mbuf() const { return mbuf_; }

  // First byte of the first segment; segment_length() bytes may be read and written there.
  std::uint8_t* data() const { return rte_pktmbuf_mtod(mbuf_, std::uint8_t*); }
  std::uint16_t segment_length() const { return rte_pktmbuf_data_len(mbuf_); }
  std::span<std::uint8_t> bytes() const { return {data(), segment_length()}; }
  // Bytes in all segments.
  std::uint32_t length() const { return rte_pktmbuf_pkt_len(mbuf_); }
  bool is_contiguous() const { return mbuf_->nb_segs == 1; }
  std::uint16_t segment_count() const { return mbuf_->nb_segs; }

  // Grows at the front (returns the new first byte) or at the end (the added bytes); nullptr when there is no room.
  std::uint8_t* prepend(std::uint16_t n) const {
    return reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(mbuf_, n));
  }
  std::uint8_t* append(std::uint16_t n) const { return reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(mbuf_, n)); }
  // Shrinks at the front / at the end; false when there is less than n in the first / last segment.
  bool trim_front(std::uint16_t n) const { return rte_pktmbuf_adj(mbuf_, n) != nullptr; }
  bool trim_back(std::uint16_t n) const { return rte_pktmbuf_trim(mbuf_, n) == 0; }

  PortId rx_port() const { return mbuf_->port; }
  void set_rx_port(PortId port) const { mbuf_->port = port; }
  ChecksumState ipv4_checksum() const;
  ChecksumState l4_checksum() const;

 private:
  rte_mbuf* mbuf_ = nullptr;
};

inline constexpr std::uint32_t kBatchMax = 64;

struct Batch {
  std::array<Packet, kBatchMax> packets;
  std::uint32_t count = 0;

  bool full() const { return count == kBatchMax; }
  void push(Packet packet) { packets[count++] = packet; }
  std::span<Packet> view() { return {packets.data(), count}; }
};

inline ChecksumState Packet::ipv4_checksum() const {
  const auto flags = mbuf_->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK;
  if (flags == RTE_MBUF_F_RX_IP_CKSUM_GOOD) return ChecksumState::good;
  return flags == RTE_MBUF_F_RX_IP_CKSUM_BAD ? ChecksumState::bad : ChecksumState::unknown;
}

inline ChecksumState Packet::l4_checksum() const {
  const auto flags = mbuf_->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
  if (flags == RTE_MBUF_F_RX_L4_CKSUM_GOOD) return ChecksumState::good;
  return flags == RTE_MBUF_F_RX_L4_CKSUM_BAD ? ChecksumState::bad : ChecksumState::unknown;
}

}  // namespace sluice::packet
