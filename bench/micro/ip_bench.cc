// What the IP layer costs per packet: FIB, neighbor, output with and without a remembered hop, checksum in full.
#include <benchmark/benchmark.h>

#include "dataplane/base/rng.h"
#include "dataplane/ip/output.h"
#include "dataplane/packet/chain.h"
#include "tests/support/eal.h"
#include "tests/support/packets.h"

namespace sluice::ip {
namespace {

using test::Frame;

// Forgets what it is given, as a port that has no end.
class NullSink : public packet::TxSink {
 public:
  void flush(packet::PortId port) override { batches_[port].count = 0; }
};

struct Setup {
  Setup() {
    ports[0] = {"bench", 0, packet::PortKind::network, test::kOwnMac, 1500};
    std::vector<LocalAddress> added;
    (void)local.replace({{test::ip("10.0.0.1"), 16, 0, true, true, true}}, added);
    (void)fib->apply({test::prefix("10.0.0.0/16"), {NextHop::connected(0)}});
    for (std::uint32_t i = 0; i < 1000; ++i) {
      (void)fib->apply({Ipv4Prefix::of({0x0af40000 + i * 64}, 26), {NextHop::via(0, {0x0a000100 + i % 64})}});
    }
    for (std::uint32_t i = 0; i < 64; ++i) (void)neighbors.set_permanent(now, 0, {0x0a000100 + i}, test::kPeerMac);
    for (auto& packet : packets) packet = test::to_packet(pool, Frame().tcp(1, 2).payload("x").bytes());
  }
  ~Setup() {
    sink.flush(0);
    for (auto& packet : packets) packet::discard(packet);
  }

  Instant now = instant_ns(0);
  test::TestPool pool;
  std::vector<packet::PortInfo> ports = std::vector<packet::PortInfo>(1);
  LocalAddresses local;
  NullSink sink;
  packet::Drops drops;
  ForwardingEpoch epoch;
  std::unique_ptr<Fib> fib = *Fib::create("bench", {}, -1, epoch);
  NeighborTable neighbors{now, {}, {}, {ports, local, pool, sink, drops, epoch}};
  IpOutput output{{ports, *fib, neighbors, local, pool, sink, drops, epoch}};
  std::array<packet::Packet, 32> packets;
};

Setup& setup() {
  static Setup instance;
  return instance;
}

Ipv4Address destination(std::uint64_t i) { return {static_cast<std::uint32_t>(0x0af40000 + i % 64000)}; }

void fib_lookup(benchmark::State& state) {
  Setup& s = setup();
  Rng rng(1);
  for (auto _ : state) benchmark::DoNotOptimize(s.fib->lookup(destination(rng()), 7));
}
BENCHMARK(fib_lookup);

// What a worker pays for a route that comes and goes, among 1,000 others, by the prefix's length.
void fib_apply(benchmark::State& state) {
  Setup& s = setup();
  const auto length = static_cast<unsigned>(state.range(0));
  std::uint32_t i = 0;
  for (auto _ : state) {
    const auto prefix = Ipv4Prefix::of({0x14000000 + (i++ % 256 << 12)}, length);
    benchmark::DoNotOptimize(s.fib->apply({prefix, {NextHop::via(0, {0x0a000101})}}));
    benchmark::DoNotOptimize(s.fib->apply({prefix, {}}));
  }
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(fib_apply)->Arg(32)->Arg(26)->Arg(24)->Arg(16);

void route_by_lookup(benchmark::State& state) {
  Setup& s = setup();
  Rng rng(1);
  for (auto _ : state) benchmark::DoNotOptimize(s.output.route(s.now, destination(rng()), 7));
}
BENCHMARK(route_by_lookup);

void route_remembered(benchmark::State& state) {
  Setup& s = setup();
  CachedHop cache;
  for (auto _ : state) benchmark::DoNotOptimize(s.output.route(s.now, destination(1), 7, cache));
}
BENCHMARK(route_remembered);

void route_and_transmit(benchmark::State& state, bool remembered, L4Checksum l4) {
  Setup& s = setup();
  std::array<CachedHop, 32> caches{};
  std::size_t i = 0;
  for (auto _ : state) {
    CachedHop& cache = caches[i % caches.size()];
    if (!remembered) cache.epoch = 0;
    const Hop hop = s.output.route(s.now, destination(i * 64), 7, cache);
    s.output.transmit(s.now, s.packets[i++ % s.packets.size()], hop, {.l4 = l4});
  }
}
BENCHMARK_CAPTURE(route_and_transmit, remembered, true, L4Checksum::right);
BENCHMARK_CAPTURE(route_and_transmit, by_lookup, false, L4Checksum::right);
BENCHMARK_CAPTURE(route_and_transmit, remembered_checksum_in_full, true, L4Checksum::recompute);

}  // namespace
}  // namespace sluice::ip

BENCHMARK_MAIN();
