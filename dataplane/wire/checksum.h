// The Internet checksum: in full over any number of pieces, with pseudo-header, and incrementally.
//
// Values are those of the 16-bit field as load_be16 reads it. A ChecksumDelta is what changed, kept as 16 bits so that
// a flow can remember it: packet after packet is then mended by one addition.
//
//   ChecksumDelta delta;
//   delta.replace32(old_address.value, new_address.value);
//   delta.replace16(old_port, new_port);
//   store_be16(field, delta.apply(load_be16(field)));       // TCP, IPv4 header
//   store_be16(field, delta.apply_udp(load_be16(field)));   // UDP: 0 means "none" and stays 0
//
// Called by: wire, packet, ip, lb/l4, tcp. Runs on: workers. Follows: RFC 1071, RFC 1624 (eqn. 3), RFC 768, RFC 8200
// §8.1. Tested by: tests/dataplane/wire/checksum_test.cc
#pragma once

#include "dataplane/wire/bytes.h"

namespace sluice::wire {

constexpr std::uint16_t fold_checksum(std::uint64_t sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
}

// One's-complement sum of the bytes as memory-order 16-bit words, folded; the odd last byte is padded with zero.
std::uint16_t raw_sum(const std::uint8_t* data, std::size_t length);

// Sums pieces that follow one another, each of any length.
class ChecksumSum {
 public:
  void add(ConstBytes piece) {
    std::uint16_t sum = raw_sum(piece.data(), piece.size());
    if (odd_) sum = __builtin_bswap16(sum);
    sum_ += __builtin_bswap16(sum);
    odd_ ^= (piece.size() & 1) != 0;
  }
  void add16(std::uint16_t value) { sum_ += value; }
  void add32(std::uint32_t value) { sum_ += (value >> 16) + (value & 0xffff); }
  void add_pseudo_header(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol, std::uint16_t l4_length) {
    add32(source.value);
    add32(destination.value);
    sum_ += std::uint64_t{protocol} + l4_length;
  }
  void add_pseudo_header(const Ipv6Address& source, const Ipv6Address& destination, std::uint8_t protocol,
                         std::uint32_t l4_length) {
    for (unsigned i = 0; i < 16; i += 4) add32(load_be32(source.bytes.data() + i));
    for (unsigned i = 0; i < 16; i += 4) add32(load_be32(destination.bytes.data() + i));
    add32(l4_length);
    add16(protocol);
  }
  // The sum itself, as a port that completes checksums wants it in the field.
  std::uint16_t folded() const { return fold_checksum(sum_); }
  // The checksum; over data that holds a right checksum it is 0.
  std::uint16_t finish() const { return static_cast<std::uint16_t>(~folded()); }

 private:
  std::uint64_t sum_ = 0;
  bool odd_ = false;
};

inline std::uint16_t internet_checksum(ConstBytes bytes) {
  return static_cast<std::uint16_t>(~__builtin_bswap16(raw_sum(bytes.data(), bytes.size())));
}

// TCP and UDP over IPv4, l4 = the whole segment or datagram in one piece with its checksum field zeroed (or right: then
// the result is 0).
inline std::uint16_t l4_checksum(Ipv4Address source, Ipv4Address destination, std::uint8_t protocol, ConstBytes l4) {
  ChecksumSum sum;
  sum.add_pseudo_header(source, destination, protocol, static_cast<std::uint16_t>(l4.size()));
  sum.add(l4);
  return sum.finish();
}

class ChecksumDelta {
 public:
  constexpr ChecksumDelta() = default;
  constexpr explicit ChecksumDelta(std::uint16_t value) : value_(value) {}

  constexpr void replace16(std::uint16_t from, std::uint16_t to) {
    value_ = fold_checksum(std::uint64_t{value_} + static_cast<std::uint16_t>(~from) + to);
  }
  constexpr void replace32(std::uint32_t from, std::uint32_t to) {
    value_ = fold_checksum(std::uint64_t{value_} + static_cast<std::uint32_t>(~from) + to);
  }
  // What takes this change back. Never 0 where something was replaced, as this one is not.
  constexpr ChecksumDelta reversed() const {
    return ChecksumDelta(value_ == 0xffff ? value_ : static_cast<std::uint16_t>(~value_));
  }
  constexpr void add(ChecksumDelta other) { value_ = fold_checksum(std::uint64_t{value_} + other.value_); }

  constexpr std::uint16_t apply(std::uint16_t checksum) const {
    std::uint32_t sum = std::uint32_t{static_cast<std::uint16_t>(~checksum)} + value_;
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
  }
  constexpr std::uint16_t apply_udp(std::uint16_t checksum) const {
    if (checksum == 0) return 0;
    const auto changed = apply(checksum);
    return changed == 0 ? 0xffff : changed;
  }
  constexpr std::uint16_t value() const { return value_; }
  // As mend_checksum() takes it.
  constexpr std::uint16_t raw() const { return __builtin_bswap16(value_); }

 private:
  std::uint16_t value_ = 0;
};

// apply() on the field itself, without swapping bytes: sums of this kind are the same in either order (RFC 1071 §2 B).
inline void mend_checksum(std::uint8_t* field, std::uint16_t raw_delta) {
  const std::uint32_t sum = (load_raw<std::uint16_t>(field) ^ 0xffffu) + raw_delta;
  store_raw(field, static_cast<std::uint16_t>(~(sum + (sum >> 16))));
}

}  // namespace sluice::wire
