// A keyed hash of small values: fast, and of no use to an attacker who does not know the seed.
//
// 64x64 -> 128 bit multiplication, its halves folded together, over input mixed with secret keys (the wyhash family).
// Give every process a random seed (HashSeed::random); tests give a fixed one.
//
// Called by: lb (flow tables, persistence, balancing), ip (ECMP, neighbor table). Runs on: any thread. Follows: -.
// Tested by: tests/dataplane/base/hash_test.cc
#pragma once

#include <cstdint>

#include "dataplane/base/address.h"
#include "dataplane/base/uint128.h"

namespace sluice {

struct HashSeed {
  std::uint64_t a = 0x9e3779b97f4a7c15;
  std::uint64_t b = 0xd1b54a32d192ed03;

  // From the kernel's random source; the one impure function here, for the daemon's start.
  static HashSeed random();
};

constexpr std::uint64_t fold_multiply(std::uint64_t a, std::uint64_t b) {
  const auto product = static_cast<Uint128>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::uint64_t hash_u64(const HashSeed& seed, std::uint64_t value) {
  return fold_multiply(fold_multiply(value ^ seed.a, 0x2d358dccaa6c78a5 ^ seed.b), 0x8bb84b93962eacc9 ^ seed.a);
}

constexpr std::uint64_t hash_u64x2(const HashSeed& seed, std::uint64_t first, std::uint64_t second) {
  return fold_multiply(fold_multiply(first ^ seed.a, second ^ seed.b) ^ first, 0x8bb84b93962eacc9 ^ seed.a ^ second);
}

// All 64 bits are good; take the top ones or the bottom ones.
constexpr std::uint64_t hash_tuple(const HashSeed& seed, Ipv4Address source, Ipv4Address destination,
                                   std::uint16_t src_port, std::uint16_t dst_port, std::uint8_t protocol) {
  return hash_u64x2(seed, std::uint64_t{source.value} << 32 | destination.value,
                    std::uint64_t{src_port} << 24 | std::uint64_t{dst_port} << 8 | protocol);
}

constexpr std::uint64_t hash_address(const HashSeed& seed, Ipv4Address address) {
  return hash_u64(seed, address.value);
}

// Maps a hash evenly onto 0..n-1 without division.
constexpr std::uint32_t hash_to_range(std::uint64_t hash, std::uint32_t n) {
  return static_cast<std::uint32_t>((hash >> 32) * n >> 32);
}

}  // namespace sluice
