// NewReno: additive increase, halving; and the slow start that every algorithm shares. RFC 5681, RFC 6582.
#include "dataplane/tcp/congestion/congestion.h"

namespace sluice::tcp {

namespace {
constexpr std::uint32_t kCssGrowthDivisor = 4;  // RFC 9406 section 4.3
}

std::uint32_t slow_start(CongestionState& state, std::uint32_t bytes) {
  std::uint32_t growth = std::min(bytes, 2U * state.mss);
  if (state.in_css()) growth /= kCssGrowthDivisor;
  growth = std::min(growth, state.ssthresh - state.cwnd);
  state.cwnd += growth;
  return state.in_slow_start() ? 0 : bytes - growth;
}

void avoid_congestion(CongestionState& state, std::uint32_t bytes) {
  state.acked += bytes;
  if (state.acked < state.cwnd) return;
  state.acked -= state.cwnd;
  state.cwnd += state.mss;
}

void restart_after_idle(CongestionState& state) {
  state.cwnd = std::min(state.cwnd, initial_window(state.mss));
  state.acked = 0;
  note_stage_over(state);
}

namespace {

void newreno_on_ack(CongestionState& state, Instant, std::uint32_t bytes, Duration) {
  if (state.in_slow_start()) bytes = slow_start(state, bytes);
  if (bytes > 0 && !state.in_slow_start()) avoid_congestion(state, bytes);
}

void newreno_on_loss(CongestionState& state, Instant, std::uint32_t in_flight, bool) {
  hystart_end(state);
  state.ssthresh = std::max(in_flight / 2, 2U * state.mss);  // RFC 5681 (4)
  state.acked = 0;
}

}  // namespace

const CongestionOps kNewReno{"newreno", newreno_on_ack, newreno_on_loss};

}  // namespace sluice::tcp
