// The parse of a plain frame: to our MAC, untagged, IPv4 without options or fragments, TCP or UDP; nearly all there
// are.
//
//   if (wire::parse_plain(frame, length, mac, verify, layers)) …    // nothing about it is to be decided
//   else if (const auto reason = wire::parse(…)) …                  // anything else, and whatever is wrong
//
// Few compares and no call. What it fills in is what parse() fills in; what parse() would drop is never plain.
//
// Called by: lb/datapath, before parse(). Runs on: workers. Follows: RFC 791, RFC 1122 §3.2.1, RFC 1812 §5.2.2.
// Tested by: tests/dataplane/wire/plain_test.cc, tests/fuzz/frame_fuzz.cc. Cost: bench/micro/wire_bench.cc
#pragma once

#include "dataplane/wire/parse.h"

namespace sluice::wire {

// Whether the checksum of a header of 20 bytes is right: their sum is a multiple of 0xffff, which is what folding finds
// out (RFC 1071), and takes a multiplication and a compare. A header is never all zero.
inline bool is_plain_ipv4_checksum_good(const std::uint8_t* p) {
  const std::uint64_t sum = std::uint64_t{load_raw<std::uint32_t>(p)} + load_raw<std::uint32_t>(p + 4) +
                            load_raw<std::uint32_t>(p + 8) + load_raw<std::uint32_t>(p + 12) +
                            load_raw<std::uint32_t>(p + 16);
  return sum % 0xffff == 0;
}

// Arguments as parse() and its options have them; a packet whose L4 checksum the port found wrong is for parse().
// False: `layers` is in an unspecified state.
[[gnu::always_inline]] inline bool parse_plain(ConstBytes first_segment, std::uint32_t frame_length,
                                               const MacAddress& own_mac, bool verify_ipv4_checksum, Layers& layers) {
  constexpr std::size_t kL3 = kEthernetLength;
  constexpr std::size_t kL4 = kL3 + kIpv4Length;
  constexpr std::uint32_t kTypeAndVersion = 0x45'0008;  // Ethertype 0x0800, version 4, 5 words, in memory's order
  if (first_segment.size() < kL4 + kTcpLength) return false;
  const std::uint8_t* const p = first_segment.data();
  const std::uint8_t* const ipv4 = p + kL3;
  const std::uint8_t* const l4 = p + kL4;
  if ((load_raw<std::uint32_t>(p + kEthernetType) & 0xff'ffff) != kTypeAndVersion) return false;
  if (std::memcmp(p, own_mac.bytes.data(), 6) != 0) return false;
  const std::uint16_t total_length = load_be16(ipv4 + kIpv4TotalLength);
  const std::uint16_t fragment = load_be16(ipv4 + kIpv4FlagsFragment);
  if (kL3 + total_length > frame_length) return false;
  if ((fragment & (kIpv4MoreFragments | kIpv4FragmentOffsetMask)) != 0) return false;
  if (verify_ipv4_checksum && !is_plain_ipv4_checksum_good(ipv4)) return false;
  const Ipv4Address source = load_ipv4(ipv4 + kIpv4Source);
  if (!is_valid_source(source)) return false;

  const std::uint8_t protocol = ipv4[kIpv4Protocol];
  std::size_t header_length = kUdpLength;
  layers.tcp_flags = 0;
  if (protocol == kProtocolTcp) {
    header_length = std::size_t{l4[kTcpDataOffset]} / 16 * 4;
    if (header_length < kTcpLength || kIpv4Length + header_length > total_length) return false;
    layers.tcp_flags = l4[kTcpFlags];
    if (!are_tcp_flags_possible(layers.tcp_flags)) return false;
    layers.kind = PacketKind::tcp;
  } else if (protocol == kProtocolUdp) {
    const std::size_t datagram = load_be16(l4 + kUdpDatagramLength);
    if (datagram < kUdpLength || kIpv4Length + datagram > total_length) return false;
    layers.kind = PacketKind::udp;
  } else {
    return false;
  }
  layers.protocol = protocol;
  layers.l3_offset = kL3;
  layers.l4_offset = kL4;
  layers.payload_offset = static_cast<std::uint8_t>(kL4 + header_length);
  layers.icmp_type = 0;
  layers.icmp_code = 0;
  layers.ttl = ipv4[kIpv4Ttl];
  layers.tos = ipv4[kIpv4Tos];
  layers.dont_fragment = (fragment & kIpv4DontFragment) != 0;
  layers.more_fragments = false;
  layers.link_group = false;
  layers.has_ports = true;
  layers.l3_length = total_length;
  layers.fragment_offset = 0;
  layers.src_port = load_be16(l4);
  layers.dst_port = load_be16(l4 + 2);
  layers.source = source;
  layers.destination = load_ipv4(ipv4 + kIpv4Destination);
  return true;
}

}  // namespace sluice::wire
