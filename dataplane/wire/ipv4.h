// The IPv4 header: offsets for the packet path, a value for everything else, its checks and its TTL.
//
// Called by: wire/parse, ip/*, lb/l4, lb/datapath. Runs on: workers. Follows: RFC 791, RFC 1812 §5.2.2 (validation).
// Tested by: tests/dataplane/wire/headers_test.cc, parse_test.cc
#pragma once

#include <optional>

#include "dataplane/base/drop_reason.h"
#include "dataplane/wire/checksum.h"

namespace sluice::wire {

inline constexpr std::size_t kIpv4Length = 20;  // without options
inline constexpr std::size_t kIpv4LengthMax = 60;

inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmpv6 = 58;

// Field offsets.
inline constexpr std::size_t kIpv4Tos = 1;
inline constexpr std::size_t kIpv4TotalLength = 2;
inline constexpr std::size_t kIpv4Identification = 4;
inline constexpr std::size_t kIpv4FlagsFragment = 6;
inline constexpr std::size_t kIpv4Ttl = 8;
inline constexpr std::size_t kIpv4Protocol = 9;
inline constexpr std::size_t kIpv4Checksum = 10;
inline constexpr std::size_t kIpv4Source = 12;
inline constexpr std::size_t kIpv4Destination = 16;

inline constexpr std::uint16_t kIpv4DontFragment = 0x4000;
inline constexpr std::uint16_t kIpv4MoreFragments = 0x2000;
inline constexpr std::uint16_t kIpv4FragmentOffsetMask = 0x1fff;  // in units of 8 bytes

struct Ipv4Header {
  std::uint8_t header_length = kIpv4Length;  // bytes
  std::uint8_t tos = 0;                      // DSCP and ECN
  std::uint16_t total_length = 0;
  std::uint16_t identification = 0;
  bool dont_fragment = false;
  bool more_fragments = false;
  std::uint16_t fragment_offset = 0;  // bytes
  std::uint8_t ttl = 64;
  std::uint8_t protocol = 0;
  Ipv4Address source;
  Ipv4Address destination;

  friend bool operator==(const Ipv4Header&, const Ipv4Header&) = default;
};

// Whether a packet may come from this address (RFC 1812 §5.3.7); ours is for the caller to know.
constexpr bool is_valid_source(Ipv4Address source) {
  const auto top = source.value >> 24;
  return top != 0 && top != 127 && !source.is_multicast() && !source.is_broadcast();
}

// A header whose first bytes are `bytes`, without judging its checksum; for quoted packets in ICMP errors, which may be
// cut, only the header itself must be there.
std::optional<Ipv4Header> parse_ipv4(ConstBytes bytes);

// Writes 20 bytes (no options: header_length must be 20) with the right checksum.
void emit_ipv4(std::uint8_t* p, const Ipv4Header& header);

// Looks through the options of a header of `header_length` bytes; nothing is wrong: nullopt.
std::optional<DropReason> check_ipv4_options(const std::uint8_t* ipv4, std::size_t header_length);

inline std::size_t ipv4_header_length(const std::uint8_t* ipv4) { return std::size_t{ipv4[0] & 0x0fu} * 4; }

// Takes one off the TTL and mends the checksum. Precondition: the TTL is at least 1.
inline void decrement_ttl(std::uint8_t* ipv4) {
  ipv4[kIpv4Ttl] = static_cast<std::uint8_t>(ipv4[kIpv4Ttl] - 1);
  ChecksumDelta delta;
  delta.replace16(0x0100, 0);
  store_be16(ipv4 + kIpv4Checksum, delta.apply(load_be16(ipv4 + kIpv4Checksum)));
}

// Computes the header checksum afresh.
inline void write_ipv4_checksum(std::uint8_t* ipv4) {
  store_be16(ipv4 + kIpv4Checksum, 0);
  store_be16(ipv4 + kIpv4Checksum, internet_checksum({ipv4, ipv4_header_length(ipv4)}));
}

}  // namespace sluice::wire
