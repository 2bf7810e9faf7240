// Packets of several segments: pull headers together, make contiguous, copy, share, read across segments.
//
// Called by: lb/datapath (pull up before the parse), ip, tcp (zero-copy: share). Runs on: workers.
// Follows: DPDK's mbuf library. Tested by: tests/dataplane/packet/chain_test.cc
#pragma once

#include "dataplane/base/prefetch.h"
#include "dataplane/packet/packet.h"
#include "dataplane/packet/sink.h"
#include "dataplane/wire/checksum.h"

namespace sluice::packet {

// Makes the first segment hold at least min(length, bytes) bytes, moving them from the segments behind. False when its
// buffer has no room or is shared; the packet is then unchanged. Contiguous packets cost one compare.
bool pull_up(Packet packet, std::uint16_t bytes);
inline bool pull_up_headers(Packet packet) {
  return packet.is_contiguous() || pull_up(packet, static_cast<std::uint16_t>(wire::kHeadersMax));
}

// Everything into the first segment. False when it does not fit there; the packet is then unchanged.
bool linearize(Packet packet);

// Cuts or keeps so that `length` bytes remain, freeing segments left empty. Precondition: length <= packet.length().
void truncate(Packet packet, std::uint32_t length);
// Cuts Ethernet padding; one compare when there is none.
inline void trim_padding(Packet packet, std::uint32_t frame_length) {
  if (packet.length() > frame_length) [[unlikely]]
    truncate(packet, frame_length);
}

// Cuts `n` bytes off the front, across segments; segments left empty stay in the chain. Precondition: n <= length().
void trim_front(Packet packet, std::uint32_t n);

// The bytes of the first segment that has some: the front of what is left after trim_front(). Empty: there are none.
std::span<std::uint8_t> first_run(Packet packet);

// Whether `n` bytes may be written in front of the packet: nobody else holds it, its buffer is its own, and there is
// room.
bool may_prepend(Packet packet, std::uint16_t n);
// One holder more: each of them ends the packet once. Who holds it while is_shared() must not change it.
void add_reference(Packet packet);

// Copies `out.size()` bytes from `offset` on, across segments. False when there are not so many.
bool copy_out(Packet packet, std::uint32_t offset, std::span<std::uint8_t> out);
// Overwrites, across segments. False when the packet is shorter.
bool copy_in(Packet packet, std::uint32_t offset, std::span<const std::uint8_t> in);

// A deep copy (of `length` bytes from `offset`) in buffers of `pool`, chained when long; false when the pool is empty.
Packet copy(Packet packet, const PacketPool& pool, std::uint32_t offset = 0, std::uint32_t length = UINT32_MAX);
// Another handle on the same bytes: cheap, reference counted, not to be written; false when the pool is empty.
Packet share(Packet packet, const PacketPool& pool);
// Whether somebody else holds the same bytes, so that they must not be written.
bool is_shared(Packet packet);

// A new packet that holds these bytes, chained when they are more than a buffer; false when the pool is empty.
Packet from_bytes(const PacketPool& pool, std::span<const std::uint8_t> bytes);

// Says of a packet that is to be received that its checksums were found good; for ports in memory.
inline void set_checksums_good(Packet packet) {
  packet.mbuf()->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

// Gives back a packet that was never counted as generated (a half-made one); all others end in Drops or TxSink.
inline void discard(Packet packet) { rte_pktmbuf_free(packet.mbuf()); }

// Hangs `tail` behind `head`, which takes it over. False (nothing changed) when the chain would be too long.
bool append_chain(Packet head, Packet tail);

// Adds `length` bytes from `offset` on to the sum, whatever segments they lie in. Precondition: they are there.
void add_to_checksum(Packet packet, std::uint32_t offset, std::uint32_t length, wire::ChecksumSum& sum);

// Asks the CPU for the first bytes of a packet that will be parsed soon.
inline void prefetch(Packet packet) { prefetch_line(packet.mbuf()); }
inline void prefetch_data(Packet packet) { prefetch_line(packet.data()); }

}  // namespace sluice::packet
