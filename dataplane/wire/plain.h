// The parse of a plain frame: to our MAC, untagged, IPv4 without options or fragments, TCP or UDP; nearly all there
// are.
//
//   wire::PlainFrame plain;
//   if (wire::judge_plain(frame, length, mac, verify, plain)) …     // nothing about it is to be decided
//   else if (const auto reason = wire::parse(…)) …                  // anything else, and whatever is wrong
//   wire::fill_layers(frame, plain, layers);                        // for who needs them
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

// What judging a plain frame found out. Its Layers are to be had from that and the headers, which most never need.
struct PlainFrame {
  std::uint16_t l3_length;
  std::uint8_t l4_header_length;
  std::uint8_t protocol;
  std::uint8_t tcp_flags;  // 0: UDP
  std::uint8_t ttl;

  std::uint32_t frame_length() const { return l3_length + std::uint32_t{kEthernetLength}; }  // without padding
  std::uint32_t payload_length() const { return l3_length - std::uint32_t{kIpv4Length} - l4_header_length; }
};

// Arguments as parse() and its options have them; a packet whose L4 checksum the port found wrong is for parse().
// False: `plain` is in an unspecified state.
[[gnu::always_inline]] inline bool judge_plain(ConstBytes first_segment, std::uint32_t frame_length,
                                               const MacAddress& own_mac, bool verify_ipv4_checksum,
                                               PlainFrame& plain) {
  constexpr std::size_t kL3 = kEthernetLength;
  constexpr std::size_t kL4 = kL3 + kIpv4Length;
  constexpr std::uint32_t kTypeAndVersion = 0x45'0008;  // Ethertype 0x0800, version 4, 5 words, in memory's order
  if (first_segment.size() < kL4 + kTcpLength) return false;
  const std::uint8_t* const p = first_segment.data();
  const std::uint8_t* const ipv4 = p + kL3;
  const std::uint8_t* const l4 = p + kL4;
  if ((load_raw<std::uint32_t>(p + kEthernetType) & 0xff'ffff) != kTypeAndVersion) return false;
  if (std::memcmp(p, own_mac.bytes.data(), 6) != 0) return false;
  const std::uint32_t total_length = load_be16(ipv4 + kIpv4TotalLength);
  constexpr std::uint16_t kFragment = __builtin_bswap16(kIpv4MoreFragments | kIpv4FragmentOffsetMask);
  if (kL3 + total_length > frame_length) return false;
  if ((load_raw<std::uint16_t>(ipv4 + kIpv4FlagsFragment) & kFragment) != 0) return false;
  if (verify_ipv4_checksum && !is_plain_ipv4_checksum_good(ipv4)) return false;
  if (!is_valid_source(load_ipv4(ipv4 + kIpv4Source))) return false;

  plain.l3_length = static_cast<std::uint16_t>(total_length);
  plain.ttl = ipv4[kIpv4Ttl];
  plain.protocol = ipv4[kIpv4Protocol];
  if (plain.protocol == kProtocolTcp) [[likely]] {
    const std::uint32_t header_length = l4[kTcpDataOffset] / 16 * 4;
    if (header_length < kTcpLength || kIpv4Length + header_length > total_length) return false;
    plain.l4_header_length = static_cast<std::uint8_t>(header_length);
    plain.tcp_flags = l4[kTcpFlags];
    return are_tcp_flags_possible(plain.tcp_flags);
  }
  const std::uint32_t datagram = load_be16(l4 + kUdpDatagramLength);
  plain.l4_header_length = kUdpLength;
  plain.tcp_flags = 0;
  return plain.protocol == kProtocolUdp && datagram >= kUdpLength && kIpv4Length + datagram <= total_length;
}

// The Layers of a frame that judge_plain() took, as parse() fills them in.
inline void fill_layers(const std::uint8_t* frame, const PlainFrame& plain, Layers& layers) {
  constexpr std::uint8_t kL3 = kEthernetLength;
  constexpr std::uint8_t kL4 = kL3 + kIpv4Length;
  const std::uint8_t* const ipv4 = frame + kL3;
  const std::uint8_t* const l4 = frame + kL4;
  layers.kind = plain.protocol == kProtocolTcp ? PacketKind::tcp : PacketKind::udp;
  layers.protocol = plain.protocol;
  layers.l3_offset = kL3;
  layers.l4_offset = kL4;
  layers.payload_offset = static_cast<std::uint8_t>(kL4 + plain.l4_header_length);
  layers.tcp_flags = plain.tcp_flags;
  layers.icmp_type = 0;
  layers.icmp_code = 0;
  layers.ttl = plain.ttl;
  layers.tos = ipv4[kIpv4Tos];
  layers.dont_fragment = (load_be16(ipv4 + kIpv4FlagsFragment) & kIpv4DontFragment) != 0;
  layers.more_fragments = false;
  layers.link_group = false;
  layers.has_ports = true;
  layers.l3_length = plain.l3_length;
  layers.fragment_offset = 0;
  layers.src_port = load_be16(l4);
  layers.dst_port = load_be16(l4 + 2);
  layers.source = load_ipv4(ipv4 + kIpv4Source);
  layers.destination = load_ipv4(ipv4 + kIpv4Destination);
}

}  // namespace sluice::wire
