// TCP segments on their way down; see network.h.
#include "lb/l7/network.h"

namespace sluice::lb {

void Network::output(Instant now, tcp::Conn& conn, packet::Packet segment) {
  ConnContext& context = context_of(conn);
  if (Share* const traffic = context.traffic) {
    const std::uint64_t bytes = segment.length() + wire::kIpv4Length;
    // "in" is from the client: what leaves a server-side conn goes on in that direction.
    const bool in = context.role == ConnRole::server || context.role == ConnRole::idle_server;
    (in ? traffic->in() : traffic->out()).add(bytes);
  }
  send(now, conn.tuple, context.hop, segment);
}

void Network::output_reply(Instant now, const tcp::Tuple& tuple, packet::Packet segment) {
  ip::CachedHop unused;
  send(now, tuple, unused, segment);
}

void Network::send(Instant now, const tcp::Tuple& tuple, ip::CachedHop& cache, packet::Packet segment) {
  const auto length = static_cast<std::uint16_t>(segment.length() + wire::kIpv4Length);
  std::uint8_t* ipv4 = segment.prepend(wire::kIpv4Length);
  if (ipv4 == nullptr) return drops_.drop(segment, DropReason::packet_too_large);
  wire::emit_ipv4(ipv4, {.total_length = length,
                         .dont_fragment = true,
                         .ttl = 255,
                         .protocol = wire::kProtocolTcp,
                         .source = tuple.local.address,
                         .destination = tuple.remote.address});
  const ip::TransmitSpec spec{.l3_offset = 0, .l4 = ip::L4Checksum::recompute};
  const ip::Hop hop = route(now, tuple, cache);
  if (hop.can_transmit()) [[likely]]
    return output_.transmit(now, segment, hop, spec);
  if (hop.status == ip::HopStatus::local) {
    const ip::LocalAddress* to = local_.find(tuple.remote.address);
    if (to != nullptr && to->is_self_ip) return host_.to_host(segment, spec);
  }
  drops_.drop(segment, ip::drop_reason_of(hop.status));
}

}  // namespace sluice::lb
