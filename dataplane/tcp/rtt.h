// RttEstimator: smoothed round-trip time and retransmission timeout of one conn.
//
// Called by: tcp/ack.cc, tcp/recovery.cc. Runs on: workers. Follows: RFC 6298; samples only of segments sent once, or
// told apart by their timestamps (Karn). Tested by: tests/dataplane/tcp/rfc6298_test.cc
#pragma once

#include <algorithm>

#include "dataplane/base/time.h"

namespace sluice::tcp {

inline constexpr Duration kRtoInitial = 1s;       // RFC 6298 (2.1)
inline constexpr Duration kRtoAfterSynLoss = 3s;  // RFC 6298 (5.7)
inline constexpr Duration kRtoMax = 60s;          // RFC 6298 (2.5)

class RttEstimator {
 public:
  // One round trip measured, > 0.
  void sample(Duration rtt, Duration rto_min) {
    const auto r = static_cast<std::uint32_t>(std::clamp<std::int64_t>(rtt.count() / 1000, 1, 60'000'000));
    if (srtt_us_ == 0) {  // (2.2)
      srtt_us_ = r;
      rttvar_us_ = r / 2;
      min_us_ = r;
    } else {  // (2.3), alpha = 1/8, beta = 1/4
      const std::uint32_t error = srtt_us_ > r ? srtt_us_ - r : r - srtt_us_;
      rttvar_us_ = rttvar_us_ - rttvar_us_ / 4 + error / 4;
      srtt_us_ = srtt_us_ - srtt_us_ / 8 + r / 8;
      min_us_ = std::min(min_us_, r);
    }
    srtt_us_ = std::max(srtt_us_, 1U);
    latest_us_ = r;
    backoff_ = 0;
    rto_min_us_ = static_cast<std::uint32_t>(rto_min.count() / 1000);
  }

  // RTO with the present back-off; rto_min bounds it from below, 60 s from above.
  Duration rto() const {
    Duration base = syn_was_lost_ ? kRtoAfterSynLoss : kRtoInitial;
    if (srtt_us_ != 0) {
      const std::uint32_t value = srtt_us_ + std::max(1000U, 4 * rttvar_us_);
      base = std::chrono::microseconds(std::max(value, rto_min_us_));
    }
    return std::min<Duration>(base * (std::int64_t{1} << backoff_), kRtoMax);
  }
  void back_off() { backoff_ = static_cast<std::uint8_t>(std::min(backoff_ + 1, 12)); }  // (5.5)
  void clear_back_off() { backoff_ = 0; }
  // The handshake needed more than one SYN: until there is a sample, be patient (5.7).
  void syn_was_lost() { syn_was_lost_ = true; }
  unsigned back_offs() const { return backoff_; }

  bool has_sample() const { return srtt_us_ != 0; }
  Duration srtt() const { return std::chrono::microseconds(srtt_us_); }
  Duration rttvar() const { return std::chrono::microseconds(rttvar_us_); }
  Duration minimum() const { return std::chrono::microseconds(min_us_); }
  Duration latest() const { return std::chrono::microseconds(latest_us_); }

 private:
  std::uint32_t srtt_us_ = 0;  // 0: no sample yet
  std::uint32_t rttvar_us_ = 0;
  std::uint32_t min_us_ = 0;
  std::uint32_t latest_us_ = 0;
  std::uint32_t rto_min_us_ = 200'000;
  std::uint8_t backoff_ = 0;
  bool syn_was_lost_ = false;
};

}  // namespace sluice::tcp
