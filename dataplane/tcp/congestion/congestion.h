// Congestion control: how many bytes may be in flight; one file per algorithm, one table of them.
//
// An algorithm only moves cwnd and ssthresh; what counts as lost, and how recovery paces itself (PRR), is recovery.cc's
// work. Called by: tcp/recovery.cc, tcp/output.cc. Runs on: workers. Follows: RFC 5681 (slow start,
// avoidance), RFC 6582 (NewReno), RFC 9438 (CUBIC), RFC 6928 (initial window 10). Tested by:
// tests/dataplane/tcp/rfc9438_test.cc, rfc6582_test.cc, rfc6937_test.cc
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "dataplane/base/time.h"

namespace sluice::tcp {

enum class CongestionControl : std::uint8_t { cubic, newreno };

// Lives in the conn: all sizes in bytes.
struct CongestionState {
  std::uint32_t cwnd = 0;
  std::uint32_t ssthresh = 0xffffffff;  // "arbitrarily high", RFC 5681 section 3.1
  std::uint32_t acked = 0;              // bytes acknowledged towards the next increase in avoidance
  std::uint16_t mss = 536;
  CongestionControl algorithm = CongestionControl::cubic;
  // CUBIC, RFC 9438 section 4.1.2; windows in bytes.
  std::uint32_t w_max = 0;
  std::uint32_t w_max_before = 0;  // the last reduction, should it have to be taken back
  std::uint32_t cwnd_prior = 0;    // cwnd at the last reduction
  float w_est = 0;
  float k_s = 0;               // K in seconds
  std::uint32_t epoch_us = 0;  // t: how old the present stage is, without the times in which cwnd was not the limit
  Instant epoch_mark{};        // up to when t has been counted; zero: no stage is running

  bool in_slow_start() const { return cwnd < ssthresh; }
};

struct CongestionOps {
  std::string_view name;
  // `bytes` newly acknowledged while not in recovery; the caller has checked that the window was in use (RFC 7661
  // spirit).
  void (*on_ack)(CongestionState&, Instant now, std::uint32_t bytes, Duration srtt);
  // A loss was found: sets ssthresh from what was in flight. cwnd is then PRR's or, at a timeout, one segment.
  void (*on_loss)(CongestionState&, Instant now, std::uint32_t in_flight, bool timeout);
};

extern const CongestionOps kNewReno;
extern const CongestionOps kCubic;

inline const CongestionOps& ops_of(const CongestionState& state) {
  return state.algorithm == CongestionControl::newreno ? kNewReno : kCubic;
}

// RFC 6928: min(10 MSS, max(2 MSS, 14600)).
constexpr std::uint32_t initial_window(std::uint32_t mss) {
  return std::min(10 * mss, std::max(2 * mss, std::uint32_t{14600}));
}

// RFC 5681 section 3.1 with L = 2 (RFC 3465): at most two segments of growth for each ACK. Returns bytes left over once
// ssthresh is reached.
std::uint32_t slow_start(CongestionState& state, std::uint32_t bytes);
// RFC 5681 (2): one segment for each cwnd of bytes acknowledged.
void avoid_congestion(CongestionState& state, std::uint32_t bytes);
// For a time the application, not the window, was the limit: RFC 9438 section 4.2 does not let it count.
inline void note_limited(CongestionState& state, Instant now) {
  if (state.epoch_mark != Instant{}) state.epoch_mark = now;
}
// The next increase begins a stage of its own.
inline void note_stage_over(CongestionState& state) { state.epoch_mark = {}; }
// After idling longer than the RTO the window restarts: RFC 5681 section 4.1.
void restart_after_idle(CongestionState& state);

}  // namespace sluice::tcp
