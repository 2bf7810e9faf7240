// RFC 9438: CUBIC's curve, its Reno-friendly region, fast convergence, timeouts and idle times; on the state alone.
#include <gtest/gtest.h>

#include <cmath>

#include "dataplane/tcp/congestion/congestion.h"

namespace sluice::tcp::test {
namespace {

constexpr std::uint32_t kMss = 1000;

// A conn in congestion avoidance whose every window is acknowledged within a round trip, one segment at a time.
struct CubicFlow {
  CongestionState state{.cwnd = 10 * kMss, .mss = kMss, .algorithm = CongestionControl::cubic};
  Instant now = instant_ns(1'000'000'000);
  Duration rtt = 100ms;

  void lose(bool timeout = false) {
    kCubic.on_loss(state, now, state.cwnd, timeout);
    state.cwnd = timeout ? kMss : state.ssthresh;
  }
  void round_trip() {
    const std::uint32_t segments = std::max(state.cwnd / kMss, 1U);
    for (std::uint32_t i = 0; i < segments; ++i) {
      now += rtt / segments;
      kCubic.on_ack(state, now, kMss, rtt);
    }
  }
  double segments() const { return static_cast<double>(state.cwnd) / kMss; }
};

TEST(Rfc9438, WindowFollowsTheCubicOfTheTimeSinceTheLoss) {
  CubicFlow flow;
  flow.state.cwnd = 1000 * kMss;
  flow.lose();
  EXPECT_EQ(flow.segments(), 700) << "section 4.6";
  const double k = std::cbrt(300 / 0.4);  // (Fig. 2): 9.08 s
  const Instant begin = flow.now;
  double before = flow.segments();
  for (int i = 0; i < 150; ++i) {
    flow.round_trip();
    const double t = to_seconds(flow.now - begin);
    const double cubic = 0.4 * std::pow(t - k, 3) + 1000;
    // It aims at where the curve will be a round trip later, so it is a little ahead; never by more than that.
    const double next = 0.4 * std::pow(t + 0.1 - k, 3) + 1000;
    EXPECT_GE(flow.segments(), std::min(cubic, next) - 10) << t;
    EXPECT_LE(flow.segments(), std::max(cubic, next) + 10) << t;
    EXPECT_GE(flow.segments(), before) << "never down without a loss";
    before = flow.segments();
  }
  EXPECT_GT(flow.segments(), 1050) << "beyond the plateau it probes";
}

TEST(Rfc9438, GrowsAtMostByHalfInARoundTrip) {
  CubicFlow flow;
  flow.state.cwnd = 1000 * kMss;
  flow.lose();
  flow.round_trip();
  flow.state.cwnd = flow.state.ssthresh = 100 * kMss;  // far below the curve
  flow.state.stage.w_est = 100 * kMss;
  const double before = flow.segments();
  flow.round_trip();
  EXPECT_LE(flow.segments(), 1.66 * before);
}

TEST(Rfc9438, SmallWindowsAreNoWorseThanReno) {
  CubicFlow flow;
  flow.state.cwnd = 20 * kMss;
  flow.rtt = 10ms;  // K is much longer than what Reno needs
  flow.lose();
  const double k = std::cbrt(6 / 0.4);
  EXPECT_GT(k, 2.4);
  const double alpha = 3 * (1 - 0.7) / (1 + 0.7);
  for (int i = 0; i < 11; ++i) flow.round_trip();
  EXPECT_NEAR(flow.segments(), 14 + 11 * alpha, 1.0) << "section 4.3: alpha segments a round trip";
  while (flow.segments() < 20) flow.round_trip();
  const double before = flow.segments();
  for (int i = 0; i < 10; ++i) flow.round_trip();
  EXPECT_NEAR(flow.segments(), before + 10, 1.2) << "then one, once it is where it was before the loss";
}

TEST(Rfc9438, FastConvergenceLeavesRoomForNewcomers) {
  CubicFlow flow;
  flow.state.cwnd = 100 * kMss;
  flow.lose();
  EXPECT_EQ(flow.state.w_max, 100 * kMss);
  flow.round_trip();
  const std::uint32_t cwnd = flow.state.cwnd;
  ASSERT_LT(cwnd, 100 * kMss);
  flow.lose();  // before it came back to where it had been
  EXPECT_NEAR(flow.state.w_max, cwnd * 0.85, kMss) << "section 4.7: (1 + beta) / 2";
  EXPECT_EQ(flow.state.cwnd_prior, cwnd) << "section 4.3 compares with the window itself";
}

TEST(Rfc9438, AfterATimeoutTheStageBeginsAtItsOwnPlateau) {
  CubicFlow flow;
  flow.state.cwnd = 100 * kMss;
  flow.lose(true);
  EXPECT_EQ(flow.state.ssthresh, 70 * kMss);
  while (flow.state.in_slow_start()) flow.round_trip();
  flow.round_trip();
  EXPECT_EQ(flow.state.stage.k_s, 0) << "section 4.8";
  EXPECT_LE(flow.state.w_max, 75 * kMss);
}

TEST(Rfc9438, TimeInWhichTheApplicationWasTheLimitDoesNotCount) {
  CubicFlow busy, idle;
  for (CubicFlow* flow : {&busy, &idle}) {
    flow->state.cwnd = 1000 * kMss;
    flow->lose();
    for (int i = 0; i < 5; ++i) flow->round_trip();
  }
  idle.now += 60s;
  note_limited(idle.state, idle.now);
  busy.round_trip();
  idle.round_trip();
  EXPECT_NEAR(idle.segments(), busy.segments(), 2) << "a minute of silence is no reason to send more";
}

TEST(Rfc9438, NeverBelowTwoSegments) {
  CubicFlow flow;
  flow.state.cwnd = kMss;
  kCubic.on_loss(flow.state, flow.now, 100, true);
  EXPECT_EQ(flow.state.ssthresh, 2 * kMss);
}

}  // namespace
}  // namespace sluice::tcp::test
