// The TCP header: offsets and flags for the packet path, a value and its options for everything else.
//
// Called by: wire/parse, lb/l4 (state tracking, RST), tcp. Runs on: workers. Follows: RFC 9293 §3.1, RFC 7323 (window
// scale, timestamps), RFC 2018 (SACK). Tested by: tests/dataplane/wire/headers_test.cc
#pragma once

#include <array>
#include <optional>

#include "dataplane/wire/bytes.h"

namespace sluice::wire {

inline constexpr std::size_t kTcpLength = 20;  // without options
inline constexpr std::size_t kTcpLengthMax = 60;

// Field offsets.
inline constexpr std::size_t kTcpSourcePort = 0;
inline constexpr std::size_t kTcpDestinationPort = 2;
inline constexpr std::size_t kTcpSequence = 4;
inline constexpr std::size_t kTcpAcknowledgment = 8;
inline constexpr std::size_t kTcpDataOffset = 12;
inline constexpr std::size_t kTcpFlags = 13;
inline constexpr std::size_t kTcpWindow = 14;
inline constexpr std::size_t kTcpChecksum = 16;
inline constexpr std::size_t kTcpUrgent = 18;

inline constexpr std::uint8_t kTcpFin = 0x01;
inline constexpr std::uint8_t kTcpSyn = 0x02;
inline constexpr std::uint8_t kTcpRst = 0x04;
inline constexpr std::uint8_t kTcpPsh = 0x08;
inline constexpr std::uint8_t kTcpAck = 0x10;
inline constexpr std::uint8_t kTcpUrg = 0x20;
inline constexpr std::uint8_t kTcpEce = 0x40;
inline constexpr std::uint8_t kTcpCwr = 0x80;

// Combinations that no stack sends: SYN with FIN or RST, and segments with none of SYN, ACK and RST.
constexpr bool are_tcp_flags_possible(std::uint8_t flags) {
  if ((flags & kTcpSyn) != 0 && (flags & (kTcpFin | kTcpRst)) != 0) return false;
  return (flags & (kTcpSyn | kTcpAck | kTcpRst)) != 0;
}

struct SackBlock {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  friend bool operator==(const SackBlock&, const SackBlock&) = default;
};

struct TcpTimestamps {
  std::uint32_t value = 0;
  std::uint32_t echo = 0;
  friend bool operator==(const TcpTimestamps&, const TcpTimestamps&) = default;
};

struct TcpOptions {
  std::optional<std::uint16_t> mss;
  std::optional<std::uint8_t> window_scale;  // as sent; RFC 7323 §2.3: use at most 14
  bool sack_permitted = false;
  std::optional<TcpTimestamps> timestamps;
  std::array<SackBlock, 4> sack{};
  std::uint8_t sack_count = 0;
  friend bool operator==(const TcpOptions&, const TcpOptions&) = default;
};

struct TcpHeader {
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint8_t header_length = kTcpLength;  // bytes
  std::uint8_t flags = 0;
  std::uint16_t window = 0;  // as sent, not scaled
  std::uint16_t urgent = 0;
  friend bool operator==(const TcpHeader&, const TcpHeader&) = default;
};

// Nothing when shorter than its data offset says, or that says less than 20.
std::optional<TcpHeader> parse_tcp(ConstBytes bytes);
// The options behind the first 20 bytes. Unknown ones are skipped; a malformed one ends the list (RFC 9293 §3.1
// MUST-7).
TcpOptions parse_tcp_options(ConstBytes options);
// Bytes that emit_tcp_options will write: a multiple of 4, at most 40; SACK blocks that do not fit are left out.
std::size_t tcp_options_length(const TcpOptions& options);
// Writes the options, padded; returns how many bytes. Room for tcp_options_length() is needed.
std::size_t emit_tcp_options(std::uint8_t* p, const TcpOptions& options);
// Writes the 20 fixed bytes; header_length says how many options follow. The checksum field is left zero.
void emit_tcp(std::uint8_t* p, const TcpHeader& header);

// Sequence numbers compare modulo 2^32 (RFC 9293 §3.4).
constexpr bool seq_before(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) < 0; }
constexpr bool seq_before_eq(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) <= 0; }

}  // namespace sluice::wire
