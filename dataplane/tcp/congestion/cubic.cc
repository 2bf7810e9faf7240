// CUBIC: the window grows as a cubic of the time since the last loss. RFC 9438.
#include <cmath>

#include "dataplane/tcp/congestion/congestion.h"

namespace sluice::tcp {
namespace {

constexpr float kC = 0.4F;                                        // section 5
constexpr float kBeta = 0.7F;                                     // section 4.6
constexpr float kAlpha = 3.0F * (1.0F - kBeta) / (1.0F + kBeta);  // section 4.3

// Begins a congestion avoidance stage, section 4.2.
void start_epoch(CongestionState& state, Instant now) {
  state.stage.mark_us = mark_of(now);
  state.stage.epoch_us = 0;
  state.stage.w_est = static_cast<float>(state.cwnd);
  state.acked = 0;
  if (state.cwnd < state.w_max) {
    const float segments = static_cast<float>(state.w_max - state.cwnd) / static_cast<float>(state.mss);
    state.stage.k_s = std::cbrt(segments / kC);
  } else {
    state.stage.k_s = 0;
    state.w_max = state.cwnd;
  }
}

// W_cubic(t) in bytes, section 4.2 (Fig. 1).
float window_at(const CongestionState& state, float t_s) {
  const float d = t_s - state.stage.k_s;
  return kC * d * d * d * static_cast<float>(state.mss) + static_cast<float>(state.w_max);
}

void cubic_on_ack(CongestionState& state, Instant now, std::uint32_t bytes, Duration srtt) {
  if (state.in_slow_start()) {
    bytes = slow_start(state, bytes);
    if (bytes == 0 || state.in_slow_start()) return;
  }
  if (state.stage.mark_us == 0) start_epoch(state, now);
  const std::uint32_t mark_us = mark_of(now);
  state.stage.epoch_us += std::min(mark_us - state.stage.mark_us, UINT32_MAX - state.stage.epoch_us);
  state.stage.mark_us = mark_us;
  const auto cwnd = static_cast<float>(state.cwnd);
  const auto mss = static_cast<float>(state.mss);
  const auto acked = static_cast<float>(bytes);
  const float t_s = static_cast<float>(state.stage.epoch_us) * 1e-6F;

  // Reno-friendly region, section 4.3: alpha is 1 once the estimate has come back to where it was before the loss.
  const float alpha = state.stage.w_est >= static_cast<float>(state.cwnd_prior) ? 1.0F : kAlpha;
  state.stage.w_est += alpha * mss * acked / cwnd;

  if (window_at(state, t_s) < state.stage.w_est) {
    state.cwnd = std::max(state.cwnd, static_cast<std::uint32_t>(state.stage.w_est));
    return;
  }
  const float target =
      std::clamp(window_at(state, t_s + static_cast<float>(to_seconds(srtt))), cwnd, 1.5F * cwnd);  // section 4.2
  // (target - cwnd) / cwnd for each segment acknowledged; fractions of a byte are carried on in `acked`.
  const float growth = (target - cwnd) / cwnd * acked;
  state.acked += static_cast<std::uint32_t>(growth * 256.0F);
  state.cwnd += state.acked / 256;
  state.acked %= 256;
}

void cubic_on_loss(CongestionState& state, Instant, std::uint32_t in_flight, bool timeout) {
  hystart_end(state);
  state.stage.mark_us = 0;
  state.cwnd_prior = state.cwnd;
  // Fast convergence, section 4.7.
  state.w_max = state.cwnd < state.w_max
                    ? static_cast<std::uint32_t>(static_cast<float>(state.cwnd) * (1.0F + kBeta) / 2.0F)
                    : state.cwnd;
  // Section 4.8: after a timeout the next stage begins at its own plateau, with K = 0.
  if (timeout) state.w_max = 0;
  state.ssthresh =
      std::max(static_cast<std::uint32_t>(static_cast<float>(in_flight) * kBeta), 2U * state.mss);  // section 4.6
  state.acked = 0;
}

}  // namespace

const CongestionOps kCubic{"cubic", cubic_on_ack, cubic_on_loss};

}  // namespace sluice::tcp
