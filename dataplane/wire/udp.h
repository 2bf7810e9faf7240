// The UDP header: 8 bytes.
//
// Called by: wire/parse, lb/l4. Runs on: workers. Follows: RFC 768. Tested by: tests/dataplane/wire/headers_test.cc
#pragma once

#include <optional>

#include "dataplane/wire/bytes.h"

namespace sluice::wire {

inline constexpr std::size_t kUdpLength = 8;

// Field offsets.
inline constexpr std::size_t kUdpSourcePort = 0;
inline constexpr std::size_t kUdpDestinationPort = 2;
inline constexpr std::size_t kUdpDatagramLength = 4;
inline constexpr std::size_t kUdpChecksum = 6;

struct UdpHeader {
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint16_t length = kUdpLength;  // header and payload
  std::uint16_t checksum = 0;         // 0: none
  friend bool operator==(const UdpHeader&, const UdpHeader&) = default;
};

// Nothing when shorter than 8 bytes, or its length field is below 8 or beyond `bytes`.
inline std::optional<UdpHeader> parse_udp(ConstBytes bytes) {
  if (bytes.size() < kUdpLength) return std::nullopt;
  const UdpHeader header{load_be16(bytes.data()), load_be16(bytes.data() + kUdpDestinationPort),
                         load_be16(bytes.data() + kUdpDatagramLength), load_be16(bytes.data() + kUdpChecksum)};
  if (header.length < kUdpLength || header.length > bytes.size()) return std::nullopt;
  return header;
}

// Writes 8 bytes.
inline void emit_udp(std::uint8_t* p, const UdpHeader& header) {
  store_be16(p + kUdpSourcePort, header.src_port);
  store_be16(p + kUdpDestinationPort, header.dst_port);
  store_be16(p + kUdpDatagramLength, header.length);
  store_be16(p + kUdpChecksum, header.checksum);
}

}  // namespace sluice::wire
