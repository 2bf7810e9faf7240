// From a finished IPv4 packet to a frame in a transmit batch; see output.h.
#include "dataplane/ip/output.h"

#include "dataplane/packet/chain.h"

namespace sluice::ip {

DropReason drop_reason_of(HopStatus status) {
  switch (status) {
    case HopStatus::no_route:
      return DropReason::no_route;
    case HopStatus::blackhole:
      return DropReason::route_blackhole;
    case HopStatus::table_full:
      return DropReason::neighbor_table_full;
    case HopStatus::port_down:
      return DropReason::port_down;
    case HopStatus::local:
    case HopStatus::usable:
    case HopStatus::unresolved:
      break;
  }
  return DropReason::looped_to_self;
}

Hop IpOutput::route_uncached(Instant now, Ipv4Address destination, std::uint32_t flow_hash, CachedHop& cache) {
  const NextHop next = context_.fib.lookup(destination, flow_hash);
  switch (next.kind) {
    case NextHopKind::none:
      return {HopStatus::no_route};
    case NextHopKind::blackhole:
      return {HopStatus::blackhole};
    case NextHopKind::local:
      return {HopStatus::local};
    case NextHopKind::via:
    case NextHopKind::connected:
      break;
  }
  const Ipv4Address address = next.kind == NextHopKind::via ? next.gateway : destination;
  if (next.port >= context_.ports.size()) return {HopStatus::port_down};
  // No host has these, and ARP for them would be answered by fools only.
  if (address.is_broadcast() || address.is_multicast() || context_.local.is_subnet_broadcast(address)) {
    return {HopStatus::no_route};
  }
  const NeighborIndex neighbor = context_.neighbors.resolve(now, next.port, address);
  if (neighbor == kNoNeighbor) return {HopStatus::table_full};
  const std::uint16_t mtu = context_.ports[next.port].mtu;
  if (!context_.neighbors.is_usable(neighbor)) return {HopStatus::unresolved, next.port, mtu, neighbor};
  cache = {context_.epoch.value(), neighbor};
  return {HopStatus::usable, next.port, mtu, neighbor};
}

bool IpOutput::place_ethernet(packet::Packet packet, std::uint8_t l3_offset) {
  constexpr int kWanted = wire::kEthernetLength;
  if (l3_offset == kWanted) [[likely]]
    return true;
  if (l3_offset > kWanted) return packet.trim_front(static_cast<std::uint16_t>(l3_offset - kWanted));
  return packet.prepend(static_cast<std::uint16_t>(kWanted - l3_offset)) != nullptr;
}

void IpOutput::complete_checksums(packet::Packet packet, const packet::PortInfo& port, const TransmitSpec& spec,
                                  bool offload) {
  const std::uint8_t* ipv4 = packet.data() + wire::kEthernetLength;
  const std::uint16_t fragment = wire::load_be16(ipv4 + wire::kIpv4FlagsFragment);
  // A fragment's L4 checksum covers what is not here.
  const bool is_fragment = (fragment & (wire::kIpv4MoreFragments | wire::kIpv4FragmentOffsetMask)) != 0;
  const packet::TxChecksums wanted{spec.ipv4_checksum, spec.l4 == L4Checksum::recompute && !is_fragment};
  const std::size_t header_length = wire::ipv4_header_length(ipv4);
  const packet::TxLayout layout{
      wire::kEthernetLength, static_cast<std::uint8_t>(header_length), ipv4[wire::kIpv4Protocol],
      static_cast<std::uint16_t>(wire::load_be16(ipv4 + wire::kIpv4TotalLength) - header_length)};
  if (offload) {
    packet::request_tx_checksums(packet, port, layout, wanted);
  } else {
    packet::compute_checksums(packet, layout, wanted);
  }
}

// The frame is done but for its MAC addresses.
void IpOutput::push(Instant now, packet::Packet frame, const Hop& hop) {
  NeighborTable& neighbors = context_.neighbors;
  if (!neighbors.is_usable(hop.neighbor)) [[unlikely]] {
    wire::store_be16(frame.data() + wire::kEthernetType, wire::kEtherTypeIpv4);
    return neighbors.enqueue(now, hop.neighbor, frame);
  }
  neighbors.use(now, hop.neighbor).write(frame.data());
  context_.sink.push(hop.port, frame);
}

void IpOutput::transmit_slowly(Instant now, packet::Packet packet, Hop hop, TransmitSpec spec) {
  const packet::PortInfo& port = context_.ports[hop.port];
  packet::clear_offload_flags(packet);
  if (!place_ethernet(packet, spec.l3_offset)) return context_.drops.drop(packet, DropReason::packet_too_large);
  if (packet.length() > wire::kEthernetLength + port.mtu) [[unlikely]] {
    return cut(packet, port, spec, [&](packet::Packet piece) { push(now, piece, hop); });
  }
  if (spec.l4 == L4Checksum::recompute || spec.ipv4_checksum) complete_checksums(packet, port, spec, true);
  push(now, packet, hop);
}

void IpOutput::transmit_to(packet::Packet packet, packet::PortId port_id, const MacAddress& destination,
                           const TransmitSpec& spec) {
  const packet::PortInfo& port = context_.ports[port_id];
  const auto header = wire::EthernetRewrite::make(destination, port.mac, wire::kEtherTypeIpv4);
  packet::clear_offload_flags(packet);
  if (!place_ethernet(packet, spec.l3_offset)) return context_.drops.drop(packet, DropReason::packet_too_large);
  const auto push_to_port = [&](packet::Packet frame) {
    header.write(frame.data());
    context_.sink.push(port_id, frame);
  };
  if (packet.length() > wire::kEthernetLength + port.mtu) return cut(packet, port, spec, push_to_port);
  complete_checksums(packet, port, spec, true);
  push_to_port(packet);
}

// Sends a packet larger than the MTU in pieces, or drops it.
template <typename Push>
void IpOutput::cut(packet::Packet packet, const packet::PortInfo& port, const TransmitSpec& spec, Push push_piece) {
  const std::uint8_t* ipv4 = packet.data() + wire::kEthernetLength;
  if ((wire::load_be16(ipv4 + wire::kIpv4FlagsFragment) & wire::kIpv4DontFragment) != 0) {
    return context_.drops.drop(packet, DropReason::fragmentation_needed);
  }
  complete_checksums(packet, port, spec, false);  // a port cannot sum over what it gets in pieces
  pieces_.clear();
  if (!fragment_packet(packet, wire::kEthernetLength, port.mtu, context_.pool, pieces_)) {
    return context_.drops.drop(packet, DropReason::packet_pool_empty);
  }
  context_.drops.count_generated(pieces_.size());
  for (const packet::Packet piece : pieces_) push_piece(piece);
  context_.drops.consume(packet);
}

void IpOutput::send(Instant now, packet::Packet packet, const TransmitSpec& spec, std::uint32_t flow_hash) {
  const Ipv4Address destination = wire::load_ipv4(packet.data() + spec.l3_offset + wire::kIpv4Destination);
  const Hop hop = route(now, destination, flow_hash);
  if (!hop.can_transmit()) return context_.drops.drop(packet, drop_reason_of(hop.status));
  transmit(now, packet, hop, spec);
}

}  // namespace sluice::ip
