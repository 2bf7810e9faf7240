// SharedTokenBucket: a rate that all workers keep together: at most `rate` events a second on average, `burst` at once.
//
//   SharedTokenBucket bucket(rate, rate);       // one, for all workers
//   TokenShare share;                           // one for each worker, on a cache line of its own
//   if (!bucket.take(now, share)) …             // over the limit
//
// A worker fetches tokens for a millisecond (64 at most) at once, so that the bucket's cache line is not asked for at
// each event. What lies in a share has been taken out of the bucket: whoever takes them, over any time t no more than
// burst + rate × t pass, and what shares had kept from before.
//
// Called by: lb/l7 (rates of a virtual server). Runs on: any worker. Follows: GCRA, as TokenBucket.
// Tested by: tests/dataplane/base/shared_token_bucket_test.cc
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "dataplane/base/time.h"

namespace sluice {

// A worker's tokens.
struct alignas(64) TokenShare {
  std::uint32_t left = 0;
};

class SharedTokenBucket {
 public:
  // rate_per_second 0: nothing passes. burst >= 1.
  SharedTokenBucket(std::uint32_t rate_per_second, std::uint32_t burst)
      : interval_ns_(rate_per_second == 0 ? 0 : std::max<std::int64_t>(1'000'000'000 / rate_per_second, 1)),
        depth_ns_(interval_ns_ * std::max(burst, 1U)),
        batch_(std::clamp(rate_per_second / 1000, 1U, kBatchMax)) {}

  // Takes one token if there is one.
  bool take(Instant now, TokenShare& share) {
    if (share.left == 0) share.left = fetch(to_ns(now));
    if (share.left == 0) return false;
    --share.left;
    return true;
  }

 private:
  static constexpr std::uint32_t kBatchMax = 64;

  std::uint32_t fetch(std::int64_t now_ns) {
    if (interval_ns_ == 0) return 0;
    std::int64_t seen = full_at_ns_.load(std::memory_order_relaxed);
    for (;;) {
      const std::int64_t full_at = std::max(seen, now_ns);
      const std::int64_t there = (depth_ns_ - (full_at - now_ns)) / interval_ns_;
      const std::int64_t n = std::min<std::int64_t>(there, batch_);
      if (n <= 0) return 0;
      if (full_at_ns_.compare_exchange_weak(seen, full_at + n * interval_ns_, std::memory_order_relaxed)) {
        return static_cast<std::uint32_t>(n);
      }
    }
  }

  const std::int64_t interval_ns_;
  const std::int64_t depth_ns_;
  const std::uint32_t batch_;
  std::atomic<std::int64_t> full_at_ns_{INT64_MIN / 2};  // when the bucket would be full
};

}  // namespace sluice
