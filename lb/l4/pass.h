// The last steps of a packet of a flow: rewritten, counted, and out; and the whole way of most packets, inline.
//
// Called by: lb/l4 (forward.cc, open.cc), lb/datapath (forward_plain). Runs on: the worker that owns the L4. Tested by:
// tests/lb/datapath/* Cost: bench/path
#pragma once

#include "lb/l4/l4.h"
#include "lb/l4/rewrite.h"

namespace sluice::lb {

[[gnu::always_inline]] inline void L4::count(L4Flow& flow, Direction d, std::uint16_t l3_length) {
  const unsigned i = index_of(d);
  Share::Way& of_server = flow.virtual_server->shares.of(options_.worker).ways[i];
  Share::Way& of_member = flow.member->shares.of(options_.worker).ways[i];
  ++flow.packets[i];
  flow.bytes[i] += l3_length;
  of_server.add(l3_length);
  of_member.add(l3_length);
}

// Rewrites and counts.
inline void L4::carry(packet::Packet packet, const wire::Layers& layers, L4Flow& flow, Direction d,
                      ip::L4Checksum checksum) {
  std::uint8_t* const frame = packet.data();
  rewrite(flow, d, frame + layers.l3_offset, frame + layers.l4_offset, packet.rx_port() == context_.host_port,
          checksum == ip::L4Checksum::right);
  count(flow, d, layers.l3_length);
}

[[gnu::always_inline]] inline bool L4::forward_plain(Instant now, packet::Packet packet, const wire::PlainFrame& plain,
                                                     L4FlowTable::Hit hit) {
  L4Flow& flow = *hit.flow;
  ip::NeighborLink* const way = context_.output.way_at_once(flow.hops[index_of(hit.direction)], plain.l3_length);
  if (!flow.is_established() || way == nullptr) [[unlikely]]
    return false;
  std::uint8_t* const ipv4 = packet.data() + wire::kEthernetLength;
  track_plain(flow, hit.direction, ipv4 + wire::kIpv4Length, plain.payload_length());
  flow.last_used = L4FlowTable::tick(now);
  rewrite_plain(flow, hit.direction, ipv4);
  count(flow, hit.direction, plain.l3_length);
  context_.output.pass(now, packet, *way);
  return true;
}

// Takes the packet over. Its flow says where to; otherwise pass_slowly() finds out.
inline void L4::pass(Instant now, packet::Packet packet, const wire::Layers& layers, L4Flow& flow, Direction d) {
  ip::NeighborLink* const way = context_.output.way_at_once(flow.hops[index_of(d)], layers.l3_length);
  if (way == nullptr || layers.l3_offset != wire::kEthernetLength ||
      context_.egress.has_partial_checksums(packet.rx_port())) [[unlikely]] {
    return pass_slowly(now, packet, layers, flow, d);
  }
  carry(packet, layers, flow, d, ip::L4Checksum::right);
  context_.output.pass(now, packet, *way);
}

}  // namespace sluice::lb
