// BGP: UPDATE decode rate; a million routes from one neighbour; 5,000 neighbours; one virtual address told to all of
// them.
//
// Prints per case what issue 4 asks for; memory is the growth of the resident set (mallinfo would miss the allocator's
// own).
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdio>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/speaker.h"
#include "control/bgp/update.h"
#include "control/routing/routing_table.h"

namespace {

using namespace sluice;
using namespace sluice::bgp;

const Instant kStart = instant_ns(1'000'000'000);

double resident_mb() {
  long total = 0, resident = 0;
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%ld %ld", &total, &resident) != 2) resident = 0;
    std::fclose(f);
  }
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1e6;
}

Bytes block_update(Ipv4Address next_hop, std::span<const Nlri> routes) {
  PathAttributes a;
  a.origin = Origin::igp;
  a.next_hop = next_hop;
  a.local_pref = 100;
  Bytes out;
  encode_announcements(out, a, {}, routes, false, kMessageMax);
  return out;
}

std::vector<Nlri> many_routes(std::uint32_t count) {
  std::vector<Nlri> routes;
  routes.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) routes.push_back({Ipv4Prefix{Ipv4Address{0x0a000000 + i}, 32}, 0});
  return routes;
}

// One speaker, one routing table, and neighbours that are already up.
struct World {
  explicit World(unsigned peers) : speaker(table) {
    table.set_interface(0, "eth0", true);
    table.add_connected({Ipv4Address{0x0b000001}, 8}, 0, kStart);
    settings.local_as = 64512;
    settings.router_id = 0x0b000001;
    settings.self_ips = {{Ipv4Address{0x0b000001}, 8}};
    for (unsigned i = 0; i < peers; ++i) {
      NeighborSettings n;
      n.address = address(i);
      n.session.remote_as = 64512;
      n.session.passive = true;
      settings.neighbors.push_back(n);
    }
    speaker.configure(kStart, settings, out);
    out.clear();
  }
  static Ipv4Address address(unsigned i) { return Ipv4Address{0x0b010000 + i}; }
  void up(unsigned i) {
    OpenMessage open;
    open.as = 64512;
    open.hold_time_s = 240;
    open.identifier = address(i).value;
    open.capabilities.multiprotocol = {true, false};
    open.capabilities.four_octet_as = 64512;
    const ConnId conn = 2 * i + 1;
    step(input::Accepted{conn, {Ipv4Address{0x0b000001}, 179}, {address(i), 40000}});
    const auto bytes = encode_open(open);
    step(input::Received{conn, bytes});
    step(input::Received{conn, encode_keepalive()});
    step(input::Written{conn, 0});
  }
  void step(const Input& input) {
    speaker.step(kStart, input, out);
    drain();
    while (speaker.has_work()) {
      speaker.step(kStart, input::Tick{}, out);
      drain();
    }
  }
  void drain() {
    for (std::size_t i = 0; i < out.routes.size(); ++i) {
      const auto change = out.routes[i];
      gateways.clear();
      for (const auto& hop : change.next_hops) gateways.push_back(hop.v4());
      table.set_bgp(change.prefix.v4(), gateways, change.external, kStart);
    }
    out.clear();
    while (table.has_updates()) updates += table.take_updates(65536).size();
  }
  // As a transport reads it: 64 KiB at a time.
  void feed(ConnId conn, ByteSpan bytes) {
    while (!bytes.empty()) {
      const auto n = std::min<std::size_t>(bytes.size(), 65536);
      step(input::Received{conn, bytes.first(n)});
      bytes = bytes.subspan(n);
    }
  }

  routing::RoutingTable table;
  Speaker speaker;
  SpeakerSettings settings;
  Outputs out;
  std::vector<Ipv4Address> gateways;
  std::size_t updates = 0;
};

void decode_block(benchmark::State& state) {
  const Nlri route{Ipv4Prefix{Ipv4Address{0x0af40000}, 24}, 0};
  const auto bytes = block_update(Ipv4Address{0xac1028c7}, std::span(&route, 1));
  const auto body = ByteSpan(bytes).subspan(kHeaderSize);
  for (auto _ : state) benchmark::DoNotOptimize(decode_update(body, {}));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_block);

void decode_full_update(benchmark::State& state) {
  const auto bytes = block_update(Ipv4Address{0xac1028c7}, many_routes(800));
  const auto body = ByteSpan(bytes).subspan(kHeaderSize);
  std::size_t routes = 0;
  for (auto _ : state) {
    const auto update = decode_update(body, {});
    NlriReader reader(update.nlri, Family::ipv4, false);
    for (Nlri nlri; reader.next(nlri);) ++routes;
  }
  benchmark::DoNotOptimize(routes);
  state.SetItemsProcessed(static_cast<std::int64_t>(routes));
}
BENCHMARK(decode_full_update);

// Adj-RIB-In, decision, routing table and its updates; memory of all of it.
void one_million_routes(benchmark::State& state) {
  const auto routes = many_routes(1'000'000);
  const auto load = block_update(World::address(0), routes);
  Bytes unload;
  encode_withdrawals(unload, routes, false, kMessageMax);
  for (auto _ : state) {
    const auto before = resident_mb();
    World world(1);
    world.up(0);
    const auto t0 = std::chrono::steady_clock::now();
    world.feed(1, load);
    const auto t1 = std::chrono::steady_clock::now();
    const auto after = resident_mb();
    world.feed(1, unload);
    const auto t2 = std::chrono::steady_clock::now();
    state.counters["load_s"] = std::chrono::duration<double>(t1 - t0).count();
    state.counters["withdraw_s"] = std::chrono::duration<double>(t2 - t1).count();
    state.counters["MB"] = after - before;
    if (world.updates != 2'000'000 + 2) state.SkipWithError("routes were lost");
  }
}
BENCHMARK(one_million_routes)->Iterations(1)->Unit(benchmark::kMillisecond);

void five_thousand_peers(benchmark::State& state) {
  constexpr unsigned kPeers = 5000;
  for (auto _ : state) {
    const auto before = resident_mb();
    World world(kPeers);
    const auto t0 = std::chrono::steady_clock::now();
    for (unsigned i = 0; i < kPeers; ++i) {
      world.up(i);
      for (unsigned r = 0; r < 2; ++r) {
        const Nlri route{Ipv4Prefix{Ipv4Address{0x0a000000 + (2 * i + r) * 64}, 26}, 0};
        const auto bytes = block_update(World::address(i), std::span(&route, 1));
        world.step(input::Received{2 * i + 1, bytes});
      }
    }
    const auto t1 = std::chrono::steady_clock::now();
    const routing::IpPrefix address = Ipv4Prefix{Ipv4Address{0x0c000001}, 32};
    world.speaker.announce(kStart, address, {}, world.out);
    world.speaker.step(kStart, input::Tick{}, world.out);
    const auto t2 = std::chrono::steady_clock::now();
    std::size_t sends = 0;
    for (const auto& action : world.out.actions) sends += std::holds_alternative<output::Send>(action) ? 1 : 0;
    state.counters["up_s"] = std::chrono::duration<double>(t1 - t0).count();
    state.counters["flip_ms"] = std::chrono::duration<double, std::milli>(t2 - t1).count();
    state.counters["MB"] = resident_mb() - before;
    if (sends != kPeers || world.speaker.summary(kStart).prefixes != 2 * kPeers)
      state.SkipWithError("not all were told");
  }
}
BENCHMARK(five_thousand_peers)->Iterations(1)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
