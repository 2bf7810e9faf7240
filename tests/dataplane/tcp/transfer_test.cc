// Two of our stacks over a bad link: every byte arrives, in order, once; both sides end; nothing leaks. From printed
// seeds.
#include "tests/dataplane/tcp/world.h"

namespace sluice::tcp::test {
namespace {

struct LinkFaults {
  const char* name;
  LinkOptions link;
};

// Both directions carry `bytes` at once; then both close.
void transfer(const WorldOptions& options, std::uint64_t bytes, Duration limit) {
  SCOPED_TRACE("seed " + std::to_string(options.link.seed));
  World world(options);
  Conn* conn = world.connect();
  ASSERT_TRUE(conn);
  world.a.flow(conn).to_write = bytes;
  world.a.flow(conn).close_when_written = true;
  ASSERT_TRUE(world.run_until([&] { return world.b.accepted != nullptr; }, limit));
  Conn* server = world.b.accepted;
  world.b.flow(server).to_write = bytes;
  EXPECT_TRUE(world.run_until([&] { return world.a.flow(conn).closed && world.b.flow(server).closed; }, limit))
      << "a " << name_of(conn->state) << " read " << world.a.flow(conn).read << ", b " << name_of(server->state)
      << " read " << world.b.flow(server).read << " of " << bytes;
  EXPECT_EQ(world.a.flow(conn).read, bytes);
  EXPECT_EQ(world.b.flow(server).read, bytes);
  EXPECT_EQ(name_of(world.a.flow(conn).reason), name_of(CloseReason::finished));
  EXPECT_EQ(name_of(world.b.flow(server).reason), name_of(CloseReason::finished));
  EXPECT_EQ(world.a.stack->chunks_in_use(), 0u);
  EXPECT_EQ(world.b.stack->chunks_in_use(), 0u);
  EXPECT_EQ(world.a.stack->conns_in_use(), 0u);
  EXPECT_EQ(world.b.stack->conns_in_use(), 0u);
}

TEST(Transfer, CleanLink) { transfer({}, 3'000'000, 60s); }

TEST(Transfer, OneByte) { transfer({}, 1, 60s); }

TEST(Transfer, NothingButHandshakeAndClose) { transfer({}, 0, 60s); }

// A queue that overflows keeps the order: what was sent again had been lost, and no reduction of the window was wrong,
// however the repairs of one recovery reach into the next (RFC 3522 compares with the first of them).
TEST(Transfer, OverflowingQueueIsNotMistakenForReordering) {
  for (const CongestionControl congestion : {CongestionControl::cubic, CongestionControl::newreno}) {
    for (const Duration delay : {500us, 5000us, 25000us}) {
      WorldOptions options;
      options.link = {.delay = delay, .bits_per_s = 100'000'000, .queue_max = 200};
      options.tcp.congestion = congestion;
      options.tcp.receive_buffer_bytes = options.tcp.send_buffer_bytes = 4 << 20;
      options.limits = {.conns_max = 16, .chunks_max = 16384};
      options.buffers = 16383;
      World world(options);
      Conn* conn = world.connect();
      world.a.flow(conn).to_write = 4'000'000;
      world.a.write_size = 1448;
      ASSERT_TRUE(world.run_until(
          [&] { return world.b.accepted != nullptr && world.b.flow(world.b.accepted).read == 4'000'000; }, 20s));
      EXPECT_GT(world.a.stack->counters().fast_recoveries.get(), 0u);
      EXPECT_EQ(world.a.stack->counters().recoveries_undone.get(), 0u);
    }
  }
}

class BadLink : public ::testing::TestWithParam<std::tuple<LinkFaults, std::uint64_t, bool, CongestionControl>> {};

TEST_P(BadLink, EveryByteArrives) {
  const auto& [faults, seed, sack, congestion] = GetParam();
  WorldOptions options;
  options.link = faults.link;
  options.link.seed = seed;
  options.tcp.sack = sack;
  options.tcp.timestamps = seed % 2 == 0;
  options.tcp.window_scale = seed % 3 != 0;
  options.tcp.congestion = congestion;
  options.tcp.retries_max = 20;
  options.tcp.syn_retries_max = 20;
  options.tcp.connect_timeout = 300s;
  options.tcp.fin_wait_timeout = 600s;
  options.tcp.time_wait = 120s;  // long enough that a lost last ACK is always repaired
  options.tcp.idle_timeout = 0s;
  transfer(options, 300'000, 1800s);
}

INSTANTIATE_TEST_SUITE_P(
    Seeds, BadLink,
    ::testing::Combine(
        ::testing::Values(LinkFaults{"loss", {.lose = 0.03}}, LinkFaults{"heavy_loss", {.lose = 0.2}},
                          LinkFaults{"reorder", {.reorder = 0.3}}, LinkFaults{"duplicate", {.duplicate = 0.2}},
                          LinkFaults{"corrupt", {.corrupt = 0.05}},
                          LinkFaults{"slow", {.lose = 0.01, .delay = 100ms, .bits_per_s = 10'000'000, .queue_max = 50}},
                          LinkFaults{"all", {.lose = 0.05, .duplicate = 0.05, .corrupt = 0.03, .reorder = 0.2}}),
        ::testing::Range<std::uint64_t>(1, 7), ::testing::Bool(),
        ::testing::Values(CongestionControl::cubic, CongestionControl::newreno)),
    [](const auto& parameters) {
      return std::string(std::get<0>(parameters.param).name) + "_" + std::to_string(std::get<1>(parameters.param)) +
             (std::get<2>(parameters.param) ? "_sack_" : "_nosack_") +
             (std::get<3>(parameters.param) == CongestionControl::cubic ? "cubic" : "newreno");
    });

}  // namespace
}  // namespace sluice::tcp::test
