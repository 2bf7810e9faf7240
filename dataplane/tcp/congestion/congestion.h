// Congestion control: how many bytes may be in flight; one file per algorithm, one table of them.
//
// An algorithm only moves cwnd and ssthresh; what counts as lost, and how recovery paces itself (PRR), is recovery.cc's
// work. Called by: tcp/recovery.cc, tcp/output.cc. Runs on: workers. Follows: RFC 5681 (slow start,
// avoidance), RFC 6582 (NewReno), RFC 9438 (CUBIC), RFC 9406 (HyStart++), RFC 6928 (initial window 10). Tested by:
// tests/dataplane/tcp/rfc9438_test.cc, rfc9406_test.cc, rfc6582_test.cc, rfc6937_test.cc
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "dataplane/base/time.h"
#include "dataplane/tcp/seq.h"

namespace sluice::tcp {

enum class CongestionControl : std::uint8_t { cubic, newreno };

// Both without initial values of their own: they share memory, see CongestionState. HyStart{} is all zero.
// The first slow start, RFC 9406 section 4.1: rounds, the least round trip of each, and the conservative stage (CSS).
struct HyStart {
  std::uint32_t last_min_us;     // of the round before; 0: not known
  std::uint32_t current_min_us;  // of this one; 0: no sample yet
  std::uint32_t baseline_us;     // what CSS began with
  std::uint32_t window_end;      // a Seq: the round is over when it is acknowledged
  std::uint8_t samples;          // in this round; saturates
  std::uint8_t css_rounds;       // rounds of CSS so far, this one included; 0: standard slow start
};

// A congestion avoidance stage of CUBIC, RFC 9438 section 4.1.2; windows in bytes.
struct CubicStage {
  float w_est;
  float k_s;               // K in seconds
  std::uint32_t epoch_us;  // t: how old the stage is, without the times in which cwnd was not the limit
  std::uint32_t mark_us;   // up to when t has been counted, see mark_of(); 0: no stage is running
};

// Lives in the conn: all sizes in bytes.
struct CongestionState {
  std::uint32_t cwnd = 0;
  std::uint32_t ssthresh = 0xffffffff;  // "arbitrarily high", RFC 5681 section 3.1
  std::uint32_t acked = 0;              // bytes acknowledged towards the next increase in avoidance
  std::uint16_t mss = 536;
  CongestionControl algorithm = CongestionControl::cubic;
  bool hystart_on = false;         // `start` is what counts, else `stage`
  std::uint32_t w_max = 0;         // CUBIC
  std::uint32_t w_max_before = 0;  // the last reduction, should it have to be taken back
  std::uint32_t cwnd_prior = 0;    // cwnd at the last reduction
  union {                          // the first slow start and avoidance never run at the same time
    CubicStage stage = {};
    HyStart start;
  };

  bool in_slow_start() const { return cwnd < ssthresh; }
  bool in_css() const { return hystart_on && start.css_rounds > 0; }
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

// RFC 5681 section 3.1 with L = 2 (RFC 3465): at most two segments of growth for each ACK, a quarter of it in CSS
// (RFC 9406 section 4.2). Returns bytes left over once ssthresh is reached.
std::uint32_t slow_start(CongestionState& state, std::uint32_t bytes);
// RFC 5681 (2): one segment for each cwnd of bytes acknowledged.
void avoid_congestion(CongestionState& state, std::uint32_t bytes);
// RFC 9406: the first slow start begins; what is sent next begins its first round.
void hystart_begin(CongestionState& state, Seq snd_nxt);
// An ACK in slow start, before it lets the window grow. `rtt`: what it measured; 0: nothing.
void hystart_on_ack(CongestionState& state, Seq snd_una, Seq snd_nxt, Duration rtt);
// A loss ends it for good.
inline void hystart_end(CongestionState& state) {
  if (!state.hystart_on) return;
  state.hystart_on = false;
  state.stage = CubicStage{};
}
// A moment in microseconds, never 0. It wraps after 71 minutes; no ACK that is counted takes so long.
constexpr std::uint32_t mark_of(Instant now) { return std::max(static_cast<std::uint32_t>(to_ns(now) / 1000), 1U); }
// For a time the application, not the window, was the limit: RFC 9438 section 4.2 does not let it count.
inline void note_limited(CongestionState& state, Instant now) {
  if (!state.hystart_on && state.stage.mark_us != 0) state.stage.mark_us = mark_of(now);
}
// The next increase begins a stage of its own.
inline void note_stage_over(CongestionState& state) {
  if (!state.hystart_on) state.stage.mark_us = 0;
}
// After idling longer than the RTO the window restarts: RFC 5681 section 4.1.
void restart_after_idle(CongestionState& state);

}  // namespace sluice::tcp
