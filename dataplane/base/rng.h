// Rng: a small, fast, seeded source of numbers (xoshiro256**); the same seed gives the same numbers everywhere.
//
// Not for secrets. Called by: lb/balance, lb/l4 (first SNAT port), monitors (jitter), tests/sim. Runs on: its owner.
// Follows: Blackman and Vigna, xoshiro256** 1.0; splitmix64 for the seed. Tested by: tests/dataplane/base/hash_test.cc
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "dataplane/base/uint128.h"

namespace sluice {

class Rng {
 public:
  using result_type = std::uint64_t;

  constexpr explicit Rng(std::uint64_t seed) {
    for (auto& word : state_) word = split_mix(seed);
  }

  constexpr std::uint64_t operator()() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // 0..n-1, n >= 1; the bias is below n / 2^64.
  constexpr std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>(static_cast<Uint128>((*this)()) * n >> 64);
  }
  // lowest..highest, both included.
  constexpr std::uint64_t between(std::uint64_t lowest, std::uint64_t highest) {
    return lowest + below(highest - lowest + 1);
  }
  constexpr bool chance(double probability) { return static_cast<double>((*this)() >> 11) * 0x1p-53 < probability; }

  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }

 private:
  static constexpr std::uint64_t split_mix(std::uint64_t& x) {
    std::uint64_t z = x += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }
  std::array<std::uint64_t, 4> state_{};
};

}  // namespace sluice
