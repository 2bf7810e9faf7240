// The packet path's one parse, layer by layer; see parse.h.
#include "dataplane/wire/parse.h"

#include "dataplane/wire/arp.h"
#include "dataplane/wire/plain.h"

namespace sluice::wire {
namespace {

using Outcome = std::optional<DropReason>;

bool is_ipv4_checksum_good(const std::uint8_t* p, std::size_t header_length) {
  return header_length == kIpv4Length ? is_plain_ipv4_checksum_good(p) : raw_sum(p, header_length) == 0xffff;
}

void set_ports(const std::uint8_t* l4, Layers& layers) {
  const std::uint32_t both = load_be32(l4);
  layers.src_port = static_cast<std::uint16_t>(both >> 16);
  layers.dst_port = static_cast<std::uint16_t>(both);
  layers.has_ports = true;
}

Outcome parse_tcp_layer(const std::uint8_t* l4, std::size_t length, Layers& layers) {
  if (length < kTcpLength) return DropReason::tcp_malformed;
  const std::size_t header_length = std::size_t{l4[kTcpDataOffset]} / 16 * 4;
  if (header_length < kTcpLength || header_length > length) return DropReason::tcp_malformed;
  layers.kind = PacketKind::tcp;
  layers.tcp_flags = l4[kTcpFlags];
  layers.payload_offset = static_cast<std::uint8_t>(layers.l4_offset + header_length);
  set_ports(l4, layers);
  if (!are_tcp_flags_possible(layers.tcp_flags)) return DropReason::tcp_bad_flags;
  return std::nullopt;
}

Outcome parse_udp_layer(const std::uint8_t* l4, std::size_t length, Layers& layers) {
  if (length < kUdpLength) return DropReason::udp_malformed;
  const std::size_t datagram = load_be16(l4 + kUdpDatagramLength);
  if (datagram < kUdpLength || datagram > length) return DropReason::udp_malformed;
  layers.kind = PacketKind::udp;
  layers.payload_offset = static_cast<std::uint8_t>(layers.l4_offset + kUdpLength);
  set_ports(l4, layers);
  return std::nullopt;
}

Outcome parse_icmp_layer(const std::uint8_t* l4, std::size_t length, Layers& layers) {
  if (length < kIcmpLength) return DropReason::icmp_malformed;
  layers.kind = PacketKind::icmp;
  layers.icmp_type = l4[kIcmpType];
  layers.icmp_code = l4[kIcmpCode];
  layers.payload_offset = static_cast<std::uint8_t>(layers.l4_offset + kIcmpLength);
  if (layers.icmp_type == kIcmpEchoRequest || layers.icmp_type == kIcmpEchoReply) {
    layers.src_port = layers.dst_port = load_be16(l4 + kIcmpIdentifier);
    layers.has_ports = true;
  }
  return std::nullopt;
}

// A fragment's L4 header is whole only once it is reassembled; the first one shows its ports if it holds them.
Outcome parse_fragment(const std::uint8_t* l4, std::size_t length, Layers& layers) {
  layers.kind = PacketKind::fragment;
  const bool ragged = layers.more_fragments && length % 8 != 0;
  const bool beyond = std::size_t{layers.fragment_offset} + layers.l3_header_length() + length > 65535;
  if (length == 0 || ragged || beyond) return DropReason::fragment_malformed;
  const bool is_transport = layers.protocol == kProtocolTcp || layers.protocol == kProtocolUdp;
  if (layers.fragment_offset == 0 && is_transport && length >= 8) set_ports(l4, layers);
  return std::nullopt;
}

// Headers are read from the first segment, which for a chain must hold them all. Inlined where it is called: every
// packet comes through here.
[[gnu::always_inline]] inline Outcome parse_ipv4_at(ConstBytes segment, std::uint32_t frame_length, std::size_t l3,
                                                    bool verify, Layers& layers) {
  if (segment.size() < l3 + kIpv4Length) return DropReason::ipv4_too_short;
  const std::uint8_t* p = segment.data() + l3;
  if (p[0] >> 4 != 4) return DropReason::ipv4_bad_version;
  const std::size_t header_length = ipv4_header_length(p);
  if (header_length < kIpv4Length || l3 + header_length > segment.size()) return DropReason::ipv4_bad_header_length;
  const std::size_t total_length = load_be16(p + kIpv4TotalLength);
  if (total_length < header_length || l3 + total_length > frame_length) return DropReason::ipv4_bad_total_length;
  if (verify && !is_ipv4_checksum_good(p, header_length)) return DropReason::ipv4_bad_checksum;

  const std::uint16_t fragment = load_be16(p + kIpv4FlagsFragment);
  layers.protocol = p[kIpv4Protocol];
  layers.l3_offset = static_cast<std::uint8_t>(l3);
  layers.l4_offset = static_cast<std::uint8_t>(l3 + header_length);
  layers.payload_offset = layers.l4_offset;
  layers.ttl = p[kIpv4Ttl];
  layers.tos = p[kIpv4Tos];
  layers.dont_fragment = (fragment & kIpv4DontFragment) != 0;
  layers.more_fragments = (fragment & kIpv4MoreFragments) != 0;
  layers.fragment_offset = static_cast<std::uint16_t>((fragment & kIpv4FragmentOffsetMask) * 8);
  layers.l3_length = static_cast<std::uint16_t>(total_length);
  layers.source = load_ipv4(p + kIpv4Source);
  layers.destination = load_ipv4(p + kIpv4Destination);
  if (!is_valid_source(layers.source)) return DropReason::ipv4_bad_source;
  if (header_length != kIpv4Length) {
    if (const auto reason = check_ipv4_options(p, header_length)) return reason;
  }

  const std::uint8_t* l4 = p + header_length;
  const std::size_t l4_length = total_length - header_length;
  if ((fragment & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) != 0) {
    // What the first segment does not hold, it does not show.
    const std::size_t here = segment.size() - l3 - header_length;
    if (here < 8 && here < l4_length) return DropReason::fragment_malformed;
    return parse_fragment(l4, l4_length, layers);
  }
  // Behind this line the first segment holds min(l4_length, 20) bytes, or the chain was not pulled up.
  if (segment.size() < l3 + header_length + (l4_length < kTcpLength ? l4_length : kTcpLength)) {
    return DropReason::ipv4_too_short;
  }
  switch (layers.protocol) {
    case kProtocolTcp:
      return parse_tcp_layer(l4, l4_length, layers);
    case kProtocolUdp:
      return parse_udp_layer(l4, l4_length, layers);
    case kProtocolIcmp:
      return parse_icmp_layer(l4, l4_length, layers);
    default:
      layers.kind = PacketKind::other;
      return std::nullopt;
  }
}

// The port found a wrong checksum; what it says of other protocols and of fragments is not to be trusted.
Outcome judge_l4_checksum(const Layers& layers) {
  if (layers.kind == PacketKind::tcp) return DropReason::tcp_bad_checksum;
  if (layers.kind == PacketKind::udp) return DropReason::udp_bad_checksum;
  return std::nullopt;
}

}  // namespace

Outcome parse(ConstBytes segment, std::uint32_t frame_length, const ParseOptions& options, Layers& layers) {
  if (segment.size() < kEthernetLength) return DropReason::frame_too_short;
  const std::uint8_t* p = segment.data();
  layers = Layers{};
  layers.link_group = (p[0] & 1) != 0;
  if (!layers.link_group && std::memcmp(p, options.own_mac.bytes.data(), 6) != 0) return DropReason::frame_not_for_us;

  std::size_t l3 = kEthernetLength;
  std::uint16_t type = load_be16(p + kEthernetType);
  if (type == kEtherTypeVlan) {
    // VLAN 0 is a priority tag on an untagged frame; any other VLAN is not ours.
    if (segment.size() < kEthernetLength + kVlanTagLength) return DropReason::frame_too_short;
    if ((load_be16(p + kEthernetLength) & 0x0fff) != 0) return DropReason::vlan_unknown;
    type = load_be16(p + kEthernetLength + 2);
    l3 += kVlanTagLength;
  }
  if (type == kEtherTypeIpv4) {
    const auto outcome = parse_ipv4_at(segment, frame_length, l3, options.verify_ipv4_checksum, layers);
    return !outcome && options.l4_checksum_bad ? judge_l4_checksum(layers) : outcome;
  }
  if (type != kEtherTypeArp) return DropReason::ethertype_unknown;
  if (segment.size() < l3 + kArpLength) return DropReason::arp_malformed;
  layers.kind = PacketKind::arp;
  layers.l3_offset = static_cast<std::uint8_t>(l3);
  return std::nullopt;
}

Outcome parse_ipv4_layers(ConstBytes segment, std::uint32_t frame_length, std::uint8_t l3_offset, bool verify,
                          Layers& layers) {
  const bool link_group = layers.link_group;
  layers = Layers{};
  layers.link_group = link_group;
  return parse_ipv4_at(segment, frame_length, l3_offset, verify, layers);
}

}  // namespace sluice::wire
