// Cost of a lookup in the flow table, alone and in staged bursts, at 1 k to 1 M flows; of making and ending a flow.
#include <benchmark/benchmark.h>

#include <array>

#include "dataplane/flow/flow_table.h"

namespace {

using namespace sluice;
using namespace sluice::flow;

struct alignas(64) TestFlow : Entry {
  std::uint64_t rest[10]{};
};
using Table = FlowTable<TestFlow>;
constexpr Instant kNow = instant_ns(1'000'000'000);

FlowKey client_key(std::uint64_t i) {
  return {{static_cast<std::uint32_t>(0x0a000000 + i / 60000)},
          {0xac102850},
          static_cast<std::uint16_t>(i % 60000),
          80,
          6,
          {}};
}
FlowKey server_key(std::uint64_t i) {
  return {{static_cast<std::uint32_t>(0x0af40000 + i / 60000)},
          {0xac1028ca},
          80,
          static_cast<std::uint16_t>(i % 60000),
          6,
          {}};
}
TestFlow* add(Table& table, std::uint64_t i) {
  TestFlow* flow = table.allocate();
  flow->keys[0] = client_key(i);
  flow->keys[1] = server_key(i);
  table.insert(*flow, kNow, kNow + 300s);
  return flow;
}
void fill(Table& table, std::uint64_t flows) {
  for (std::uint64_t i = 0; i < flows; ++i) add(table, i);
}

void find_one(benchmark::State& state) {
  const auto flows = static_cast<std::uint64_t>(state.range(0));
  Table table(static_cast<std::uint32_t>(flows), {}, kNow);
  fill(table, flows);
  std::uint64_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table.find(client_key(i = (i + 7368787) % flows)).flow);
}
BENCHMARK(find_one)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

void find_burst_of_32(benchmark::State& state) {
  const auto flows = static_cast<std::uint64_t>(state.range(0));
  Table table(static_cast<std::uint32_t>(flows), {}, kNow);
  fill(table, flows);
  std::uint64_t i = 0;
  std::array<FlowKey, 32> keys;
  std::array<std::uint64_t, 32> hashes;
  for (auto _ : state) {
    for (auto& key : keys) key = client_key(i = (i + 7368787) % flows);
    for (std::size_t k = 0; k < 32; ++k) hashes[k] = table.prefetch(keys[k]);
    for (const std::uint64_t hash : hashes) table.prefetch_entry(hash);
    for (std::size_t k = 0; k < 32; ++k) benchmark::DoNotOptimize(table.find(keys[k], hashes[k]).flow);
  }
  state.SetItemsProcessed(state.iterations() * 32);
}
BENCHMARK(find_burst_of_32)->Arg(1000)->Arg(100'000)->Arg(1'000'000);

void miss(benchmark::State& state) {
  const auto flows = static_cast<std::uint64_t>(state.range(0));
  Table table(static_cast<std::uint32_t>(flows), {}, kNow);
  fill(table, flows);
  std::uint64_t i = 1u << 31;
  for (auto _ : state) benchmark::DoNotOptimize(table.find(client_key(i += 7368787)).flow);
}
BENCHMARK(miss)->Arg(1000)->Arg(1'000'000);

void make_and_end(benchmark::State& state) {
  const auto flows = static_cast<std::uint64_t>(state.range(0));
  Table table(static_cast<std::uint32_t>(flows + 1), {}, kNow);
  fill(table, flows);
  std::uint64_t i = flows;
  for (auto _ : state) table.erase(*add(table, ++i));
}
BENCHMARK(make_and_end)->Arg(1000)->Arg(1'000'000);

}  // namespace

BENCHMARK_MAIN();
