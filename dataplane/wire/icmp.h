// ICMP for IPv4: header of 8 bytes, types and codes, and the packet that an error quotes.
//
// Called by: wire/parse, ip/icmp, lb/datapath (errors for a flow). Runs on: workers. Follows: RFC 792, RFC 1191, RFC
// 1812 §4.3. Tested by: tests/dataplane/wire/headers_test.cc
#pragma once

#include <optional>

#include "dataplane/wire/ipv4.h"

namespace sluice::wire {

inline constexpr std::size_t kIcmpLength = 8;

// Field offsets.
inline constexpr std::size_t kIcmpType = 0;
inline constexpr std::size_t kIcmpCode = 1;
inline constexpr std::size_t kIcmpChecksum = 2;
inline constexpr std::size_t kIcmpIdentifier = 4;  // echo
inline constexpr std::size_t kIcmpSequence = 6;    // echo
inline constexpr std::size_t kIcmpMtu = 6;         // fragmentation needed

inline constexpr std::uint8_t kIcmpEchoReply = 0;
inline constexpr std::uint8_t kIcmpUnreachable = 3;
inline constexpr std::uint8_t kIcmpSourceQuench = 4;
inline constexpr std::uint8_t kIcmpRedirect = 5;
inline constexpr std::uint8_t kIcmpEchoRequest = 8;
inline constexpr std::uint8_t kIcmpTimeExceeded = 11;
inline constexpr std::uint8_t kIcmpParameterProblem = 12;

// Codes of kIcmpUnreachable.
inline constexpr std::uint8_t kIcmpNetUnreachable = 0;
inline constexpr std::uint8_t kIcmpHostUnreachable = 1;
inline constexpr std::uint8_t kIcmpProtocolUnreachable = 2;
inline constexpr std::uint8_t kIcmpPortUnreachable = 3;
inline constexpr std::uint8_t kIcmpFragmentationNeeded = 4;
inline constexpr std::uint8_t kIcmpAdminProhibited = 13;
// Codes of kIcmpTimeExceeded.
inline constexpr std::uint8_t kIcmpTtlExceeded = 0;
inline constexpr std::uint8_t kIcmpReassemblyTimeExceeded = 1;

// Errors quote a packet; nothing may be sent in answer to one.
constexpr bool is_icmp_error(std::uint8_t type) {
  return type == kIcmpUnreachable || type == kIcmpSourceQuench || type == kIcmpRedirect || type == kIcmpTimeExceeded ||
         type == kIcmpParameterProblem;
}

// What an ICMP error says of the packet that caused it: its header and the first 8 bytes behind.
struct QuotedPacket {
  Ipv4Header ip;
  std::size_t ip_offset = 0;   // in the bytes given to parse_quoted
  std::size_t l4_offset = 0;   // likewise
  std::size_t l4_length = 0;   // bytes of L4 that are quoted, 8 or more
  std::uint16_t src_port = 0;  // TCP, UDP; ICMP echo: the identifier in both; otherwise 0
  std::uint16_t dst_port = 0;
};

// `icmp` = an ICMP error from its type byte to its end. Nothing when it is no error, or the quoted packet has no whole
// header, is a later fragment, or less than 8 bytes of it follow.
std::optional<QuotedPacket> parse_quoted(ConstBytes icmp);

}  // namespace sluice::wire
