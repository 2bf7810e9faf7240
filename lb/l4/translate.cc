// ICMP errors about a flow: addressed to the other side, quoting the packet as that side sent it; see l4.h.
#include "dataplane/packet/chain.h"
#include "lb/l4/l4.h"
#include "lb/l4/rewrite.h"

namespace sluice::lb {
namespace {

// The quoted TCP sequence number lies near what that side has sent (RFC 5927 §4.1): a blind attacker must guess it.
bool is_believable(const L4Flow& flow, Direction of_quoted, const std::uint8_t* l4) {
  if (!flow.is_tcp() || flow.state == FlowState::syn_sent) return true;
  const TcpSide& sender = flow.sides[index_of(of_quoted)];
  const TcpSide& receiver = flow.sides[index_of(opposite(of_quoted))];
  return sender.end - wire::load_be32(l4 + wire::kTcpSequence) <= receiver.window * 2;
}

// Makes the quoted packet, which we sent in direction `d`, what it was when it came in.
void restore_quoted(const L4Flow& flow, Direction d, std::uint8_t* ipv4, std::uint8_t* l4, std::size_t l4_length) {
  const flow::FlowKey& original = flow.keys[index_of(d)];
  const flow::FlowKey sent = translated(flow, d);
  wire::ChecksumDelta addresses;
  addresses.replace32(sent.source.value, original.source.value);
  addresses.replace32(sent.destination.value, original.destination.value);
  wire::store_be16(ipv4 + wire::kIpv4Checksum, addresses.apply(wire::load_be16(ipv4 + wire::kIpv4Checksum)));
  wire::store_ipv4(ipv4 + wire::kIpv4Source, original.source);
  wire::store_ipv4(ipv4 + wire::kIpv4Destination, original.destination);
  addresses.replace16(sent.src_port, original.src_port);
  addresses.replace16(sent.dst_port, original.dst_port);
  wire::store_be16(l4, original.src_port);
  wire::store_be16(l4 + 2, original.dst_port);
  if (flow.is_tcp() && l4_length >= wire::kTcpChecksum + 2) {
    wire::store_be16(l4 + wire::kTcpChecksum, addresses.apply(wire::load_be16(l4 + wire::kTcpChecksum)));
  } else if (!flow.is_tcp()) {
    wire::store_be16(l4 + wire::kUdpChecksum, addresses.apply_udp(wire::load_be16(l4 + wire::kUdpChecksum)));
  }
}

std::uint16_t icmp_checksum(packet::Packet packet, const wire::Layers& layers) {
  wire::ChecksumSum sum;
  packet::add_to_checksum(packet, layers.l4_offset, layers.l4_length(), sum);
  return sum.finish();
}

}  // namespace

bool L4::translate(Instant now, packet::Packet packet, const wire::Layers& layers) {
  constexpr unsigned kQuotedMax = wire::kIcmpLength + wire::kIpv4LengthMax + wire::kTcpLengthMax;
  const auto wanted = static_cast<std::uint16_t>(std::min(packet.length(), layers.l4_offset + kQuotedMax));
  if (!packet::pull_up(packet, wanted)) return false;
  std::uint8_t* icmp = packet.data() + layers.l4_offset;
  const std::size_t there = std::min<std::size_t>(layers.l4_length(), packet.segment_length() - layers.l4_offset);
  const auto quoted = wire::parse_quoted({icmp, there});
  if (!quoted) return false;
  const flow::FlowKey key{quoted->ip.destination, quoted->ip.source,   quoted->dst_port,
                          quoted->src_port,       quoted->ip.protocol, {}};
  const auto hit = table_.find(key);
  if (!hit) return false;
  L4Flow& flow = *hit.flow;
  const Direction d = hit.direction;  // the error travels as packets of this direction do
  if (!is_believable(flow, opposite(d), icmp + quoted->l4_offset)) return false;
  if (icmp_checksum(packet, layers) != 0) {
    context_.drops.drop(packet, DropReason::icmp_malformed);
    return true;
  }
  if (layers.ttl <= 1) {
    context_.drops.drop(packet, DropReason::ttl_exceeded);
    return true;
  }

  const flow::FlowKey outer = translated(flow, d);
  restore_quoted(flow, opposite(d), icmp + quoted->ip_offset, icmp + quoted->l4_offset, quoted->l4_length);
  wire::store_be16(icmp + wire::kIcmpChecksum, 0);
  wire::store_be16(icmp + wire::kIcmpChecksum, icmp_checksum(packet, layers));
  std::uint8_t* ipv4 = packet.data() + layers.l3_offset;
  // The flow's own end is hidden behind our address; routers on the way keep theirs.
  if (layers.source == flow.keys[index_of(d)].source) wire::store_ipv4(ipv4 + wire::kIpv4Source, outer.source);
  wire::store_ipv4(ipv4 + wire::kIpv4Destination, outer.destination);
  ipv4[wire::kIpv4Ttl] = static_cast<std::uint8_t>(ipv4[wire::kIpv4Ttl] - 1);
  wire::write_ipv4_checksum(ipv4);
  context_.counters.icmp_errors_translated.add();
  context_.egress.originate(now, packet, {.l3_offset = layers.l3_offset});
  return true;
}

}  // namespace sluice::lb
