// FlowKey: the IPv4 5-tuple of a packet in 16 bytes, compared as two words and hashed with a secret.
//
// Called by: flow/flow_table, lb. Runs on: workers. Follows: -. Tested by: tests/dataplane/flow/flow_key_test.cc
#pragma once

#include <bit>
#include <cstdint>
#include <string>

#include "dataplane/base/address.h"
#include "dataplane/base/hash.h"
#include "dataplane/wire/ipv4.h"

namespace sluice::flow {

struct FlowKey {
  struct Words {
    std::uint64_t low, high;  // source and destination; src_port, dst_port and protocol: the lowest bits first
  };
  Ipv4Address source;
  Ipv4Address destination;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint8_t protocol = 0;
  std::uint8_t zero[3] = {};  // padding that takes part in the comparison

  // Of a TCP or UDP packet with these headers: the same as field by field, in two loads.
  static Words words_of_headers(const std::uint8_t* ipv4, const std::uint8_t* l4, std::uint8_t protocol) {
    const std::uint64_t addresses = __builtin_bswap64(wire::load_raw<std::uint64_t>(ipv4 + wire::kIpv4Source));
    return {std::rotl(addresses, 32), std::rotl(wire::load_be32(l4), 16) | std::uint64_t{protocol} << 32};
  }
  static FlowKey of_words(Words words) { return std::bit_cast<FlowKey>(words); }
  // Writes the addresses and ports of the reversed key into headers, likewise.
  void emit_reversed(std::uint8_t* ipv4, std::uint8_t* l4) const {
    const auto [low, high] = words();
    wire::store_raw(ipv4 + wire::kIpv4Source, __builtin_bswap64(low));
    wire::store_raw(l4, __builtin_bswap32(static_cast<std::uint32_t>(high)));
  }
  // The key of a packet in the opposite direction.
  FlowKey reversed() const { return {destination, source, dst_port, src_port, protocol, {}}; }
  std::uint64_t hash(const HashSeed& seed) const { return hash(seed, words()); }
  static std::uint64_t hash(const HashSeed& seed, Words words) { return hash_u64x2(seed, words.low, words.high); }
  friend bool operator==(const FlowKey& a, const FlowKey& b) {
    const auto x = a.words();
    const auto y = b.words();
    return ((x.low ^ y.low) | (x.high ^ y.high)) == 0;
  }
  std::string text() const;  // "tcp 10.0.0.1:1234 -> 10.0.0.2:80"

  Words words() const { return std::bit_cast<Words>(*this); }
};
static_assert(sizeof(FlowKey) == 16);

}  // namespace sluice::flow
