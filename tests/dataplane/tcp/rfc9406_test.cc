// RFC 9406: HyStart++ ends the first slow start when round trips grow; on the state alone, and over a line with a
// queue.
#include <gtest/gtest.h>

#include "tests/dataplane/tcp/world.h"

namespace sluice::tcp::test {
namespace {

constexpr std::uint32_t kSegmentBytes = 1000;

// A conn in its first slow start; every segment is acknowledged by itself.
struct FirstSlowStart {
  explicit FirstSlowStart(CongestionControl algorithm = CongestionControl::cubic)
      : state{.cwnd = 10 * kSegmentBytes, .mss = kSegmentBytes, .algorithm = algorithm} {
    hystart_begin(state, una);
    nxt = una + state.cwnd;
  }

  void ack(Duration rtt) {
    una += kSegmentBytes;
    now += 1ms;
    if (state.in_slow_start()) hystart_on_ack(state, una, nxt, rtt);
    ops_of(state).on_ack(state, now, kSegmentBytes, rtt);
    nxt = max(nxt, una + state.cwnd);  // what the window allows leaves
  }
  // A window's worth of ACKs: one round.
  void round(Duration rtt) {
    const Seq end = nxt;
    while (una < end) ack(rtt);
  }
  double segments() const { return static_cast<double>(state.cwnd) / kSegmentBytes; }

  CongestionState state;
  Seq una{0xffff0000}, nxt{0xffff0000};  // wraps soon
  Instant now = instant_ns(1'000'000'000);
};

TEST(Rfc9406, SteadyRoundTripsDoubleTheWindow) {
  for (const auto algorithm : {CongestionControl::cubic, CongestionControl::newreno}) {
    FirstSlowStart flow(algorithm);
    for (int i = 0; i < 6; ++i) {
      const double before = flow.segments();
      flow.round(50ms + Duration(1ms) * (i % 3));  // less than an eighth
      EXPECT_NEAR(flow.segments(), 2 * before, 2) << i;
    }
    EXPECT_FALSE(flow.state.in_css());
    EXPECT_EQ(flow.state.ssthresh, 0xffffffffU);
  }
}

TEST(Rfc9406, EightLongerRoundTripsBeginTheConservativeStage) {
  FirstSlowStart flow;
  flow.round(40ms);
  flow.round(40ms);
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(flow.state.in_css()) << "sample " << i;
    flow.ack(45ms);
  }
  EXPECT_TRUE(flow.state.in_css());
  const std::uint32_t before = flow.state.cwnd;
  for (int i = 0; i < 8; ++i) flow.ack(45ms);
  EXPECT_EQ(flow.state.cwnd, before + 8 * kSegmentBytes / 4) << "section 4.2: a quarter";
}

TEST(Rfc9406, ThresholdIsAnEighthBetween4And16Milliseconds) {
  const auto begins_css = [](Duration first, Duration second) {
    FirstSlowStart flow;
    flow.round(first);
    flow.round(first);
    flow.round(second);
    return flow.state.in_css() || !flow.state.in_slow_start();
  };
  EXPECT_FALSE(begins_css(1ms, 4900us));
  EXPECT_TRUE(begins_css(1ms, 5ms));
  EXPECT_FALSE(begins_css(80ms, 89ms));
  EXPECT_TRUE(begins_css(80ms, 90ms));
  EXPECT_FALSE(begins_css(400ms, 415ms));
  EXPECT_TRUE(begins_css(400ms, 416ms));
}

TEST(Rfc9406, JitterThatPassesResumesSlowStart) {
  FirstSlowStart flow;
  flow.round(40ms);
  flow.round(40ms);
  for (int i = 0; i < 8; ++i) flow.ack(60ms);
  ASSERT_TRUE(flow.state.in_css());
  flow.round(60ms);
  flow.round(41ms);
  EXPECT_FALSE(flow.state.in_css());
  const double before = flow.segments();
  flow.round(41ms);
  EXPECT_NEAR(flow.segments(), 2 * before, 2);
}

TEST(Rfc9406, FiveConservativeRoundsEndSlowStart) {
  for (const auto algorithm : {CongestionControl::cubic, CongestionControl::newreno}) {
    FirstSlowStart flow(algorithm);
    flow.round(40ms);
    flow.round(40ms);
    for (int i = 0; i < 8; ++i) flow.ack(60ms);
    ASSERT_TRUE(flow.state.in_css());
    for (int i = 1; i <= 5; ++i) {
      EXPECT_TRUE(flow.state.in_slow_start()) << i;
      flow.round(60ms);
    }
    flow.ack(60ms);
    EXPECT_FALSE(flow.state.in_slow_start());
    EXPECT_FALSE(flow.state.hystart_on);
    const double before = flow.segments();
    flow.round(60ms);
    EXPECT_LE(flow.segments(), before + 2) << "avoidance from where it was";
    EXPECT_GE(flow.segments(), before);
  }
}

TEST(Rfc9406, ALossEndsItForGood) {
  FirstSlowStart flow;
  flow.round(40ms);
  kCubic.on_loss(flow.state, flow.now, flow.state.cwnd, true);
  EXPECT_FALSE(flow.state.hystart_on);
  flow.state.cwnd = kSegmentBytes;
  for (int i = 0; i < 3; ++i) flow.round(40ms);
  for (int i = 0; i < 20 && flow.state.in_slow_start(); ++i) flow.ack(90ms);
  EXPECT_FALSE(flow.state.in_css()) << "section 4.3: only the first slow start";
}

TEST(Rfc9406, FewSamplesSayNothing) {
  FirstSlowStart flow;
  flow.state.cwnd = 6 * kSegmentBytes;  // rounds of six
  for (int i = 0; i < 20; ++i) {
    flow.una += kSegmentBytes;
    flow.nxt = flow.una + 6 * kSegmentBytes;
    hystart_on_ack(flow.state, flow.una, flow.nxt, i < 10 ? 40ms : 400ms);
  }
  EXPECT_FALSE(flow.state.in_css());
}

// 100 Mbit/s with a queue of 200 packets, and buffers that are not what limits.
WorldOptions line(Duration delay, CongestionControl congestion) {
  WorldOptions options;
  options.link = {.delay = delay, .bits_per_s = 100'000'000, .queue_max = 200};
  options.tcp.congestion = congestion;
  options.tcp.receive_buffer_bytes = options.tcp.send_buffer_bytes = 4 << 20;
  options.limits = {.conns_max = 16, .chunks_max = 16384};
  options.buffers = 16383;
  return options;
}

// What it is for: a line with a queue is filled without being flooded.
TEST(Rfc9406, SlowStartOverALineLosesLittle) {
  for (const auto algorithm : {CongestionControl::cubic, CongestionControl::newreno}) {
    World world(line(5ms, algorithm));
    world.a.write_size = 1448;
    Conn* conn = world.connect();
    world.a.flow(conn).to_write = 8'000'000;
    const Instant begin = world.now;
    EXPECT_TRUE(
        world.run_until([&] { return world.b.accepted && world.b.flow(world.b.accepted).read == 8'000'000; }, 5s));
    EXPECT_LT(world.a.stack->counters().retransmitted_segments.get(), 150u);
    EXPECT_GT(8'000'000 * 8 / to_seconds(world.now - begin), 75e6);
    world.a.stack->abort(world.now, *conn);
    world.run_for(1s);
  }
}

// A reduction begins from the window, not from all that is not yet acknowledged cumulatively: behind a hole that is
// mostly what the peer already holds, and the window would grow with each loss.
TEST(Rfc5681, ReductionsInARowNeverEndHigher) {
  World world(line(10ms, CongestionControl::cubic));
  world.a.write_size = 1448;
  Conn* conn = world.connect();
  world.a.flow(conn).to_write = 8'000'000;
  std::uint32_t before = 0xffffffff;
  unsigned reductions = 0;
  const auto is_done = [&] {
    const std::uint32_t ssthresh = conn->congestion.ssthresh;
    EXPECT_LE(ssthresh, before);
    reductions += ssthresh < before ? 1 : 0;
    before = ssthresh;
    return world.b.accepted && world.b.flow(world.b.accepted).read == 8'000'000;
  };
  EXPECT_TRUE(world.run_until(is_done, 5s));
  EXPECT_GE(reductions, 2u);
  EXPECT_LT(world.a.stack->counters().retransmitted_segments.get(), 800u) << "a third of all, when it was wrong";
  world.a.stack->abort(world.now, *conn);
  world.run_for(1s);
}

}  // namespace
}  // namespace sluice::tcp::test
