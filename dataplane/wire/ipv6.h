// The IPv6 header as a value: 40 bytes. The packet engine does not forward IPv6 yet; this is what it will start from.
//
// Called by: nobody on the packet path yet. Runs on: workers. Follows: RFC 8200 §3, RFC 4443 §2.1 (ICMPv6).
// Tested by: tests/dataplane/wire/headers_test.cc
#pragma once

#include <optional>

#include "dataplane/wire/bytes.h"

namespace sluice::wire {

inline constexpr std::size_t kIpv6Length = 40;
inline constexpr std::size_t kIcmpv6Length = 8;

struct Ipv6Header {
  std::uint8_t traffic_class = 0;
  std::uint32_t flow_label = 0;  // 20 bits
  std::uint16_t payload_length = 0;
  std::uint8_t next_header = 0;
  std::uint8_t hop_limit = 64;
  Ipv6Address source;
  Ipv6Address destination;
  friend bool operator==(const Ipv6Header&, const Ipv6Header&) = default;
};

struct Icmpv6Header {
  std::uint8_t type = 0;
  std::uint8_t code = 0;
  std::uint16_t checksum = 0;
  std::uint32_t rest = 0;  // depends on the type: identifier and sequence, MTU, pointer
  friend bool operator==(const Icmpv6Header&, const Icmpv6Header&) = default;
};

// Nothing when shorter than 40 bytes, of another version, or the payload length reaches beyond `bytes`.
std::optional<Ipv6Header> parse_ipv6(ConstBytes bytes);
// Writes 40 bytes.
void emit_ipv6(std::uint8_t* p, const Ipv6Header& header);
// Nothing when shorter than 8 bytes.
std::optional<Icmpv6Header> parse_icmpv6(ConstBytes bytes);

}  // namespace sluice::wire
