// Goodput of one conn by loss, round trip and congestion control, on the virtual clock, against a table kept as text.
//
// A change of the stack that changes these figures shows in the diff of tests/golden/tcp_goodput.txt; write it anew
// with UPDATE_GOLDEN=1. Called by: ./test. Follows: RFC 5681, 6582, 9438, 6937, 8985.
//
// What the timeouts at 10 % loss are (state dumped at each; CUBIC, 1 ms): windows of one to eight segments of which all
// that was still out was lost, or its ACKs were: a repair and all sent after it (6 of 12), what a timeout sent again
// (4), a tail loss probe (2). Nothing sent later had arrived, so that RACK has no evidence, and RFC 8985 section 7.2
// has no probe in recovery.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "tests/dataplane/tcp/world.h"

namespace sluice::tcp::test {
namespace {

constexpr std::uint64_t kRate = 100'000'000;  // bits per second: the bottleneck
constexpr double kLosses[] = {0, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1};
constexpr Duration kRoundTrips[] = {1ms, 10ms, 50ms, 200ms};
constexpr Duration kTime = 20s;
constexpr std::uint64_t kBytesMax = 4'000'000;

struct Result {
  double mbit_s = 0;                      // payload that arrived in order: until 4 MB did, or for 20 s
  std::uint64_t timeouts = 0, again = 0;  // retransmission timeouts, segments sent again
};

Result transfer(double loss, Duration round_trip, CongestionControl congestion) {
  WorldOptions options;
  options.link = {.seed = 1, .lose = loss, .delay = round_trip / 2, .bits_per_s = kRate, .queue_max = 200};
  options.tcp.congestion = congestion;
  options.tcp.receive_buffer_bytes = options.tcp.send_buffer_bytes = 4 << 20;
  options.limits = {.conns_max = 16, .chunks_max = 16384};
  options.buffers = 16383;
  World world(options);
  world.a.write_size = 1448;
  Conn* conn = world.connect();
  world.run_until([&] { return world.a.flow(conn).established && world.b.accepted != nullptr; }, 60s);
  const Instant begin = world.now;
  world.a.flow(conn).to_write = kBytesMax;
  world.run_until([&] { return world.b.flow(world.b.accepted).read >= kBytesMax; }, kTime);
  const double bits = static_cast<double>(world.b.flow(world.b.accepted).read) * 8;
  const Result result{bits / to_seconds(world.now - begin) / 1e6, world.a.stack->counters().timeouts.get(),
                      world.a.stack->counters().retransmitted_segments.get()};
  world.a.stack->abort(world.now, *conn);
  world.run_for(10s);
  return result;
}

std::string table() {
  std::string text =
      "# Mbit/s of payload over a line of 100 Mbit/s with room for 200 packets; one conn, 4 MB or 20 s, SACK and\n"
      "# timestamps, IW10; lost segments in both directions. `again`: segments sent more than once.\n"
      "# Made by tests/sim/tcp_goodput_test.cc (UPDATE_GOLDEN=1).\n"
      "loss       RTT      cubic RTOs again   newreno RTOs again\n";
  for (const double loss : kLosses) {
    for (const Duration round_trip : kRoundTrips) {
      const Result cubic = transfer(loss, round_trip, CongestionControl::cubic);
      const Result newreno = transfer(loss, round_trip, CongestionControl::newreno);
      text += fmt::format("{:<7}  {:>4} ms  {:>8.2f} {:>4} {:>5}  {:>8.2f} {:>4} {:>5}\n",
                          fmt::format("{}%", loss * 100), round_trip.count() / 1'000'000, cubic.mbit_s, cubic.timeouts,
                          cubic.again, newreno.mbit_s, newreno.timeouts, newreno.again);
    }
  }
  return text;
}

TEST(TcpGoodput, IsWhatTheGoldenFileSays) {
  const std::string text = table();
  const std::string path = GOLDEN_FILE;
  if (std::getenv("UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream in(path);
  std::stringstream golden;
  golden << in.rdbuf();
  EXPECT_EQ(text, golden.str()) << path;
}

}  // namespace
}  // namespace sluice::tcp::test
