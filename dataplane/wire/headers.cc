// Headers from bytes and back to bytes, off the fast path: ARP, IPv4, ICMP's quoted packet, TCP options, IPv6.
#include "dataplane/wire/arp.h"
#include "dataplane/wire/ethernet.h"
#include "dataplane/wire/icmp.h"
#include "dataplane/wire/ipv4.h"
#include "dataplane/wire/ipv6.h"
#include "dataplane/wire/tcp.h"

namespace sluice::wire {
namespace {

// ARP, RFC 826: hardware type Ethernet, protocol IPv4, their address lengths.
constexpr std::uint64_t kArpPreamble = 0x0001'0800'06'04;

constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kIpv4LooseSourceRoute = 131;
constexpr std::uint8_t kIpv4StrictSourceRoute = 137;
constexpr std::uint8_t kTcpOptionMss = 2;
constexpr std::uint8_t kTcpOptionWindowScale = 3;
constexpr std::uint8_t kTcpOptionSackPermitted = 4;
constexpr std::uint8_t kTcpOptionSack = 5;
constexpr std::uint8_t kTcpOptionTimestamps = 8;
constexpr std::size_t kTcpOptionsMax = 40;

void parse_tcp_option(std::uint8_t kind, ConstBytes body, TcpOptions& options) {
  const std::uint8_t* p = body.data();
  if (kind == kTcpOptionMss && body.size() == 2) options.mss = load_be16(p);
  if (kind == kTcpOptionWindowScale && body.size() == 1) options.window_scale = p[0];
  if (kind == kTcpOptionSackPermitted && body.empty()) options.sack_permitted = true;
  if (kind == kTcpOptionTimestamps && body.size() == 8)
    options.timestamps = TcpTimestamps{load_be32(p), load_be32(p + 4)};
  if (kind == kTcpOptionSack && body.size() % 8 == 0 && body.size() <= options.sack.size() * 8) {
    options.sack = {};  // the last one counts, and nothing of an earlier one stays behind its blocks
    options.sack_count = static_cast<std::uint8_t>(body.size() / 8);
    for (unsigned i = 0; i < options.sack_count; ++i) {
      options.sack[i] = {load_be32(p + 8 * i), load_be32(p + 8 * i + 4)};
    }
  }
}

// How many SACK blocks fit behind the other options.
std::size_t sack_blocks_that_fit(const TcpOptions& options) {
  const std::size_t others = (options.mss ? 4 : 0) + (options.window_scale ? 4 : 0) + (options.sack_permitted ? 4 : 0) +
                             (options.timestamps ? 12 : 0);
  const std::size_t room = kTcpOptionsMax - others;
  const std::size_t fit = room >= 12 ? (room - 4) / 8 : 0;
  return options.sack_count < fit ? options.sack_count : fit;
}

}  // namespace

std::optional<ArpPacket> parse_arp(ConstBytes bytes) {
  if (bytes.size() < kArpLength) return std::nullopt;
  const std::uint8_t* p = bytes.data();
  const std::uint64_t preamble = std::uint64_t{load_be32(p)} << 16 | load_be16(p + 4);
  const std::uint16_t operation = load_be16(p + 6);
  if (preamble != kArpPreamble || operation < 1 || operation > 2) return std::nullopt;
  const ArpPacket arp{static_cast<ArpOperation>(operation), load_mac(p + 8), load_ipv4(p + 14), load_mac(p + 18),
                      load_ipv4(p + 24)};
  if (arp.sender_mac.is_multicast() || arp.sender_mac.is_zero()) return std::nullopt;
  if (!arp.sender_ip.is_zero() && !is_valid_source(arp.sender_ip)) return std::nullopt;
  return arp;
}

void emit_arp(std::uint8_t* p, const ArpPacket& arp) {
  store_be32(p, static_cast<std::uint32_t>(kArpPreamble >> 16));
  store_be16(p + 4, static_cast<std::uint16_t>(kArpPreamble));
  store_be16(p + 6, static_cast<std::uint16_t>(arp.operation));
  store_mac(p + 8, arp.sender_mac);
  store_ipv4(p + 14, arp.sender_ip);
  store_mac(p + 18, arp.target_mac);
  store_ipv4(p + 24, arp.target_ip);
}

std::optional<Ipv4Header> parse_ipv4(ConstBytes bytes) {
  if (bytes.size() < kIpv4Length || bytes[0] >> 4 != 4) return std::nullopt;
  const std::uint8_t* p = bytes.data();
  const std::size_t header_length = ipv4_header_length(p);
  if (header_length < kIpv4Length || header_length > bytes.size()) return std::nullopt;
  const std::uint16_t fragment = load_be16(p + kIpv4FlagsFragment);
  Ipv4Header header;
  header.header_length = static_cast<std::uint8_t>(header_length);
  header.tos = p[kIpv4Tos];
  header.total_length = load_be16(p + kIpv4TotalLength);
  header.identification = load_be16(p + kIpv4Identification);
  header.dont_fragment = (fragment & kIpv4DontFragment) != 0;
  header.more_fragments = (fragment & kIpv4MoreFragments) != 0;
  header.fragment_offset = static_cast<std::uint16_t>((fragment & kIpv4FragmentOffsetMask) * 8);
  header.ttl = p[kIpv4Ttl];
  header.protocol = p[kIpv4Protocol];
  header.source = load_ipv4(p + kIpv4Source);
  header.destination = load_ipv4(p + kIpv4Destination);
  if (header.total_length < header_length) return std::nullopt;
  return header;
}

void emit_ipv4(std::uint8_t* p, const Ipv4Header& header) {
  std::uint16_t fragment = static_cast<std::uint16_t>(header.fragment_offset / 8);
  if (header.dont_fragment) fragment |= kIpv4DontFragment;
  if (header.more_fragments) fragment |= kIpv4MoreFragments;
  p[0] = 0x45;
  p[kIpv4Tos] = header.tos;
  store_be16(p + kIpv4TotalLength, header.total_length);
  store_be16(p + kIpv4Identification, header.identification);
  store_be16(p + kIpv4FlagsFragment, fragment);
  p[kIpv4Ttl] = header.ttl;
  p[kIpv4Protocol] = header.protocol;
  store_ipv4(p + kIpv4Source, header.source);
  store_ipv4(p + kIpv4Destination, header.destination);
  // From the values: reading back what has just been stored in smaller pieces would stall.
  const std::uint32_t source = header.source.value;
  const std::uint32_t destination = header.destination.value;
  std::uint32_t sum = 0x4500u + header.tos + header.total_length + header.identification + fragment +
                      (std::uint32_t{header.ttl} << 8 | header.protocol) + (source >> 16) + (source & 0xffff) +
                      (destination >> 16) + (destination & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  sum += sum >> 16;
  store_be16(p + kIpv4Checksum, static_cast<std::uint16_t>(~sum));
}

std::optional<DropReason> check_ipv4_options(const std::uint8_t* ipv4, std::size_t header_length) {
  for (std::size_t at = kIpv4Length; at < header_length;) {
    const std::uint8_t kind = ipv4[at];
    if (kind == kOptionEnd) return std::nullopt;
    if (kind == kOptionNop) {
      ++at;
      continue;
    }
    if (at + 1 >= header_length || ipv4[at + 1] < 2 || at + ipv4[at + 1] > header_length) {
      return DropReason::ipv4_options_malformed;
    }
    if (kind == kIpv4LooseSourceRoute || kind == kIpv4StrictSourceRoute) return DropReason::ipv4_options_source_route;
    at += ipv4[at + 1];
  }
  return std::nullopt;
}

std::optional<QuotedPacket> parse_quoted(ConstBytes icmp) {
  if (icmp.size() < kIcmpLength || !is_icmp_error(icmp[kIcmpType])) return std::nullopt;
  const auto ip = parse_ipv4(icmp.subspan(kIcmpLength));
  if (!ip || ip->fragment_offset != 0) return std::nullopt;
  QuotedPacket quoted;
  quoted.ip = *ip;
  quoted.ip_offset = kIcmpLength;
  quoted.l4_offset = kIcmpLength + ip->header_length;
  // A quoted packet may be cut short, but the ICMP message may also be longer than what it quotes.
  const std::size_t l4_whole = std::size_t{ip->total_length} - ip->header_length;
  const std::size_t l4_here = icmp.size() - quoted.l4_offset;
  quoted.l4_length = l4_here < l4_whole ? l4_here : l4_whole;
  if (quoted.l4_length < 8) return std::nullopt;
  const std::uint8_t* l4 = icmp.data() + quoted.l4_offset;
  if (ip->protocol == kProtocolTcp || ip->protocol == kProtocolUdp) {
    quoted.src_port = load_be16(l4);
    quoted.dst_port = load_be16(l4 + 2);
  } else if (ip->protocol == kProtocolIcmp && (l4[0] == kIcmpEchoRequest || l4[0] == kIcmpEchoReply)) {
    quoted.src_port = quoted.dst_port = load_be16(l4 + kIcmpIdentifier);
  }
  return quoted;
}

std::optional<TcpHeader> parse_tcp(ConstBytes bytes) {
  if (bytes.size() < kTcpLength) return std::nullopt;
  const std::uint8_t* p = bytes.data();
  const std::size_t header_length = std::size_t{p[kTcpDataOffset]} / 16 * 4;
  if (header_length < kTcpLength || header_length > bytes.size()) return std::nullopt;
  TcpHeader header;
  header.src_port = load_be16(p + kTcpSourcePort);
  header.dst_port = load_be16(p + kTcpDestinationPort);
  header.sequence = load_be32(p + kTcpSequence);
  header.acknowledgment = load_be32(p + kTcpAcknowledgment);
  header.header_length = static_cast<std::uint8_t>(header_length);
  header.flags = p[kTcpFlags];
  header.window = load_be16(p + kTcpWindow);
  header.urgent = load_be16(p + kTcpUrgent);
  return header;
}

TcpOptions parse_tcp_options(ConstBytes bytes) {
  TcpOptions options;
  constexpr std::uint32_t kTimestampsAlone = 0x01010000u | kTcpOptionTimestamps << 8 | 10;  // what most segments carry
  if (bytes.size() == 12 && load_be32(bytes.data()) == kTimestampsAlone) {
    options.timestamps = TcpTimestamps{load_be32(bytes.data() + 4), load_be32(bytes.data() + 8)};
    return options;
  }
  for (std::size_t at = 0; at < bytes.size();) {
    const std::uint8_t kind = bytes[at];
    if (kind == kOptionEnd) break;
    if (kind == kOptionNop) {
      ++at;
      continue;
    }
    if (at + 1 >= bytes.size() || bytes[at + 1] < 2 || at + bytes[at + 1] > bytes.size()) break;
    parse_tcp_option(kind, bytes.subspan(at + 2, bytes[at + 1] - 2u), options);
    at += bytes[at + 1];
  }
  return options;
}

std::size_t tcp_options_length(const TcpOptions& options) {
  const std::size_t blocks = sack_blocks_that_fit(options);
  return (options.mss ? 4u : 0u) + (options.window_scale ? 4u : 0u) + (options.sack_permitted ? 4u : 0u) +
         (options.timestamps ? 12u : 0u) + (blocks != 0 ? 4 + 8 * blocks : 0u);
}

std::size_t emit_tcp_options(std::uint8_t* const begin, const TcpOptions& options) {
  std::uint8_t* p = begin;
  if (options.mss) {
    p[0] = kTcpOptionMss;
    p[1] = 4;
    store_be16(p + 2, *options.mss);
    p += 4;
  }
  if (options.sack_permitted) {
    store_be32(p, 0x01010000u | kTcpOptionSackPermitted << 8 | 2);
    p += 4;
  }
  if (options.timestamps) {
    store_be32(p, 0x01010000u | kTcpOptionTimestamps << 8 | 10);
    store_be32(p + 4, options.timestamps->value);
    store_be32(p + 8, options.timestamps->echo);
    p += 12;
  }
  if (options.window_scale) {
    store_be32(p, 0x01000000u | kTcpOptionWindowScale << 16 | 3 << 8 | *options.window_scale);
    p += 4;
  }
  if (const std::size_t blocks = sack_blocks_that_fit(options); blocks != 0) {
    store_be32(p, 0x01010000u | kTcpOptionSack << 8 | static_cast<std::uint32_t>(2 + 8 * blocks));
    p += 4;
    for (std::size_t i = 0; i < blocks; ++i, p += 8) {
      store_be32(p, options.sack[i].begin);
      store_be32(p + 4, options.sack[i].end);
    }
  }
  return static_cast<std::size_t>(p - begin);
}

void emit_tcp(std::uint8_t* p, const TcpHeader& header) {
  store_be16(p + kTcpSourcePort, header.src_port);
  store_be16(p + kTcpDestinationPort, header.dst_port);
  store_be32(p + kTcpSequence, header.sequence);
  store_be32(p + kTcpAcknowledgment, header.acknowledgment);
  p[kTcpDataOffset] = static_cast<std::uint8_t>(header.header_length / 4 << 4);
  p[kTcpFlags] = header.flags;
  store_be16(p + kTcpWindow, header.window);
  store_be16(p + kTcpChecksum, 0);
  store_be16(p + kTcpUrgent, header.urgent);
}

std::optional<Ipv6Header> parse_ipv6(ConstBytes bytes) {
  if (bytes.size() < kIpv6Length || bytes[0] >> 4 != 6) return std::nullopt;
  const std::uint32_t first = load_be32(bytes.data());
  Ipv6Header header;
  header.traffic_class = static_cast<std::uint8_t>(first >> 20);
  header.flow_label = first & 0xfffff;
  header.payload_length = load_be16(bytes.data() + 4);
  header.next_header = bytes[6];
  header.hop_limit = bytes[7];
  std::memcpy(header.source.bytes.data(), bytes.data() + 8, 16);
  std::memcpy(header.destination.bytes.data(), bytes.data() + 24, 16);
  if (kIpv6Length + header.payload_length > bytes.size()) return std::nullopt;
  return header;
}

void emit_ipv6(std::uint8_t* p, const Ipv6Header& header) {
  store_be32(p, 6u << 28 | std::uint32_t{header.traffic_class} << 20 | (header.flow_label & 0xfffff));
  store_be16(p + 4, header.payload_length);
  p[6] = header.next_header;
  p[7] = header.hop_limit;
  std::memcpy(p + 8, header.source.bytes.data(), 16);
  std::memcpy(p + 24, header.destination.bytes.data(), 16);
}

std::optional<Icmpv6Header> parse_icmpv6(ConstBytes bytes) {
  if (bytes.size() < kIcmpv6Length) return std::nullopt;
  return Icmpv6Header{bytes[0], bytes[1], load_be16(bytes.data() + 2), load_be32(bytes.data() + 4)};
}

}  // namespace sluice::wire
