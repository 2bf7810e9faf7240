// The last steps of a packet of a flow: rewritten, counted, and out. All that nearly every packet needs, inline.
//
// Called by: lb/l4 (forward.cc, open.cc). Runs on: the worker that owns the L4. Tested by: tests/lb/datapath/*
// Cost: bench/path
#pragma once

#include "lb/l4/l4.h"
#include "lb/l4/rewrite.h"

namespace sluice::lb {

// Rewrites and counts.
[[gnu::always_inline]] inline void L4::carry(packet::Packet packet, const wire::Layers& layers, L4Flow& flow,
                                             Direction d, ip::L4Checksum checksum) {
  std::uint8_t* const frame = packet.data();
  rewrite(flow, d, frame + layers.l3_offset, frame + layers.l4_offset, packet.rx_port() == context_.host_port,
          checksum == ip::L4Checksum::right);
  const unsigned i = index_of(d);
  ++flow.packets[i];
  flow.bytes[i] += layers.l3_length;
  flow.virtual_server->traffic.of(options_.worker).ways[i].add(layers.l3_length);
  flow.member->traffic.of(options_.worker).ways[i].add(layers.l3_length);
}

// Takes the packet over. Its flow says where to; otherwise pass_slowly() finds out.
[[gnu::always_inline]] inline void L4::pass(Instant now, packet::Packet packet, const wire::Layers& layers,
                                            L4Flow& flow, Direction d) {
  const ip::CachedHop& cached = flow.hops[index_of(d)];
  const ip::L4Checksum checksum =
      context_.egress.l4_checksum_of(packet.rx_port(), layers.protocol, packet.data() + layers.l4_offset);
  if (!context_.output.remembers(cached) || checksum != ip::L4Checksum::right) [[unlikely]]
    return pass_slowly(now, packet, layers, flow, d);
  const ip::Hop hop = context_.output.remembered(cached);
  if (layers.l3_length > hop.mtu) [[unlikely]]
    return pass_slowly(now, packet, layers, flow, d);
  carry(packet, layers, flow, d, checksum);
  context_.output.transmit(now, packet, hop, {.l3_offset = layers.l3_offset});
}

}  // namespace sluice::lb
