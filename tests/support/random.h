// Random: 32 random bits from a seed, as an unsigned (std::mt19937's own result type is wider and warns everywhere).
//
// Called by: property tests and simulations. Runs on: any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <random>

namespace sluice::testing {

class Random {
 public:
  using result_type = std::uint32_t;
  explicit Random(unsigned seed) : engine_(seed) {}
  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return std::numeric_limits<result_type>::max(); }
  result_type operator()() { return static_cast<result_type>(engine_()); }

 private:
  std::mt19937 engine_;
};

}  // namespace sluice::testing
