// TokenBucket: at most `rate` events a second on average, `burst` at once.
//
// Called by: ip/icmp, lb (resets, syn cookies). Runs on: the worker that owns it. Follows: -.
// Tested by: tests/dataplane/base/hash_test.cc
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/base/time.h"

namespace sluice {

// Kept as the time at which the bucket would be full (GCRA): one number, no rounding drift.
class TokenBucket {
 public:
  // rate_per_second 0: nothing passes. burst >= 1.
  constexpr TokenBucket(std::uint32_t rate_per_second, std::uint32_t burst)
      : interval_(rate_per_second == 0 ? Duration::max() : std::max(Duration(1s) / rate_per_second, Duration(1))),
        depth_(rate_per_second == 0 ? Duration::zero() : interval_ * std::max(burst, 1u)) {}

  // Takes one token if there is one.
  bool take(Instant now) {
    if (depth_ == Duration::zero()) return false;
    const Instant full_at = std::max(full_at_, now);
    if (full_at - now > depth_ - interval_) return false;
    full_at_ = full_at + interval_;
    return true;
  }

 private:
  Duration interval_;
  Duration depth_;
  Instant full_at_ = Instant::min();
};

}  // namespace sluice
