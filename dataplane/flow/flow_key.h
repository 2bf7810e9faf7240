// FlowKey: the IPv4 5-tuple of a packet in 16 bytes, compared as two words and hashed with a secret.
//
// Called by: flow/flow_table, lb. Runs on: workers. Follows: -. Tested by: tests/dataplane/flow/flow_key_test.cc
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "dataplane/base/address.h"
#include "dataplane/base/hash.h"

namespace sluice::flow {

struct FlowKey {
  Ipv4Address source;
  Ipv4Address destination;
  std::uint16_t src_port = 0;
  std::uint16_t dst_port = 0;
  std::uint8_t protocol = 0;
  std::uint8_t zero[3] = {};  // padding that takes part in the comparison

  // The key of a packet in the opposite direction.
  FlowKey reversed() const { return {destination, source, dst_port, src_port, protocol, {}}; }
  std::uint64_t hash(const HashSeed& seed) const {
    const auto [low, high] = words();
    return hash_u64x2(seed, low, high);
  }
  friend bool operator==(const FlowKey& a, const FlowKey& b) {
    const auto x = a.words();
    const auto y = b.words();
    return ((x.low ^ y.low) | (x.high ^ y.high)) == 0;
  }
  std::string text() const;  // "tcp 10.0.0.1:1234 -> 10.0.0.2:80"

  struct Words {
    std::uint64_t low, high;
  };
  Words words() const {
    Words w;
    std::memcpy(&w, this, sizeof w);
    return w;
  }
};
static_assert(sizeof(FlowKey) == 16);

}  // namespace sluice::flow
