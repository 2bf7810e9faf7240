// HyStart++: the first slow start ends when round trips grow, before the bottleneck's queue overflows. RFC 9406.
#include <algorithm>

#include "dataplane/tcp/congestion/congestion.h"

namespace sluice::tcp {
namespace {

// Section 4.3.
constexpr std::uint32_t kThresholdMin_us = 4'000;
constexpr std::uint32_t kThresholdMax_us = 16'000;
constexpr std::uint32_t kRttDivisor = 8;
constexpr std::uint8_t kSamplesMin = 8;
constexpr std::uint8_t kCssRounds = 5;

// The window stays as it is: congestion avoidance from here.
void leave_slow_start(CongestionState& state) {
  hystart_end(state);
  state.ssthresh = state.cwnd;
}

}  // namespace

void hystart_begin(CongestionState& state, Seq snd_nxt) {
  state.hystart_on = true;
  state.start = HyStart{};
  state.start.window_end = snd_nxt.value;
}

void hystart_on_ack(CongestionState& state, Seq snd_una, Seq snd_nxt, Duration rtt) {
  if (!state.hystart_on) return;
  HyStart& start = state.start;
  if (snd_una > Seq{start.window_end}) {  // a new round
    if (start.css_rounds >= kCssRounds) return leave_slow_start(state);
    if (start.css_rounds > 0) ++start.css_rounds;
    start.window_end = snd_nxt.value;
    start.last_min_us = start.current_min_us;
    start.current_min_us = 0;
    start.samples = 0;
  }
  if (rtt <= Duration::zero()) return;
  const auto rtt_us = static_cast<std::uint32_t>(std::clamp<std::int64_t>(rtt.count() / 1000, 1, UINT32_MAX));
  start.current_min_us = start.current_min_us == 0 ? rtt_us : std::min(start.current_min_us, rtt_us);
  if (start.samples < UINT8_MAX) ++start.samples;
  if (start.samples < kSamplesMin) return;
  if (start.css_rounds > 0) {
    // They are as short again as before: it was jitter, and slow start goes on.
    if (start.current_min_us < start.baseline_us) start.css_rounds = 0;
    return;
  }
  if (start.last_min_us == 0) return;
  const std::uint32_t threshold = std::clamp(start.last_min_us / kRttDivisor, kThresholdMin_us, kThresholdMax_us);
  if (start.current_min_us < start.last_min_us + threshold) return;
  start.baseline_us = start.current_min_us;
  start.css_rounds = 1;  // what is left of this round counts as one
}

}  // namespace sluice::tcp
