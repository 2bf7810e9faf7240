// Answers of our own, and the way to the kernel; see egress.h.
#include "lb/l4/egress.h"

namespace sluice::lb {

std::optional<Reset> reset_for(const std::uint8_t* frame, const wire::Layers& layers) {
  if ((layers.tcp_flags & wire::kTcpRst) != 0) return std::nullopt;
  const std::uint8_t* tcp = frame + layers.l4_offset;
  Reset reset{{layers.destination, layers.dst_port}, {layers.source, layers.src_port}, 0, 0, false};
  if ((layers.tcp_flags & wire::kTcpAck) != 0) {
    reset.sequence = wire::load_be32(tcp + wire::kTcpAcknowledgment);
    return reset;
  }
  reset.ack = true;
  reset.acknowledgment = wire::load_be32(tcp + wire::kTcpSequence) + layers.payload_length() +
                         ((layers.tcp_flags & wire::kTcpSyn) != 0 ? 1u : 0u) +
                         ((layers.tcp_flags & wire::kTcpFin) != 0 ? 1u : 0u);
  return reset;
}

void Egress::to_host(packet::Packet packet, const ip::TransmitSpec& spec) {
  if (context_.host_port == packet::kNoPort) return context_.drops.drop(packet, DropReason::no_virtual_server);
  context_.counters.host_packets_out.add();
  context_.output.transmit_to(packet, context_.host_port, context_.ports[context_.host_port].mac, spec);
}

void Egress::originate(Instant now, packet::Packet packet, const ip::TransmitSpec& spec) {
  const Ipv4Address destination = wire::load_ipv4(packet.data() + spec.l3_offset + wire::kIpv4Destination);
  const ip::LocalAddress* local = context_.local.find(destination);
  if (local != nullptr && local->is_self_ip) return to_host(packet, spec);
  context_.output.send(now, packet, spec);
}

void Egress::reject(Instant now, packet::Packet packet, const wire::Layers& layers, DropReason reason) {
  if (layers.kind == wire::PacketKind::tcp) {
    if (const auto reset = reset_for(packet.data(), layers)) send_reset(now, *reset);
    return context_.drops.drop(packet, reason);
  }
  refuse(now, packet, layers, reason, ip::IcmpError::port_unreachable());
}

void Egress::refuse(Instant now, packet::Packet packet, const wire::Layers& layers, DropReason reason,
                    const ip::IcmpError& error) {
  send_error(now, packet, layers, error);
  context_.drops.drop(packet, reason);
}

void Egress::send_error(Instant now, packet::Packet packet, const wire::Layers& layers, const ip::IcmpError& error) {
  const Ipv4Address source = context_.local.contains(layers.destination)
                                 ? layers.destination
                                 : context_.local.source_for(packet.rx_port(), layers.source);
  if (source.is_zero()) return;
  const packet::Packet answer = context_.icmp.make_error(now, packet, layers, source, error);
  if (!answer) return;
  context_.counters.unreachables_sent.add();
  originate(now, answer, {});
}

void Egress::send_reset(Instant now, const Reset& reset) {
  constexpr std::uint16_t kLength = wire::kIpv4Length + wire::kTcpLength;
  if (!resets_.take(now)) return;
  const packet::Packet packet = context_.pool.allocate();
  if (!packet) return;
  std::uint8_t* frame = packet.append(wire::kEthernetLength + kLength);
  std::uint8_t* tcp = frame + wire::kEthernetLength + wire::kIpv4Length;
  wire::emit_ipv4(frame + wire::kEthernetLength, {.total_length = kLength,
                                                  .dont_fragment = true,
                                                  .ttl = 255,
                                                  .protocol = wire::kProtocolTcp,
                                                  .source = reset.from.address,
                                                  .destination = reset.to.address});
  wire::emit_tcp(tcp, {.src_port = reset.from.port,
                       .dst_port = reset.to.port,
                       .sequence = reset.sequence,
                       .acknowledgment = reset.acknowledgment,
                       .flags = static_cast<std::uint8_t>(wire::kTcpRst | (reset.ack ? wire::kTcpAck : 0))});
  wire::store_be16(tcp + wire::kTcpChecksum, wire::l4_checksum(reset.from.address, reset.to.address, wire::kProtocolTcp,
                                                               {tcp, wire::kTcpLength}));
  context_.drops.count_generated();
  context_.counters.resets_sent.add();
  originate(now, packet, {});
}

}  // namespace sluice::lb
