// Cost of a pick, at 2, 100 and 10,000 members, of each algorithm; connections end in the order in which they began.
#include <benchmark/benchmark.h>

#include <deque>
#include <memory>

#include "lb/balance/balance.h"

namespace {

using namespace sluice;
using namespace sluice::lb;

struct Bench {
  Bench(Balance balance, std::uint32_t members) : registry(1) {
    Builder builder(registry, balance::state_factory(1));
    PoolSpec spec;
    spec.name = "pool";
    spec.balance = balance;
    for (std::uint32_t i = 0; i < members; ++i) {
      MemberSpec member;
      member.endpoint = {{0x0af40000 + i}, 80};
      member.verdict.status = MonitorStatus::up;
      member.ratio = 1 + i % 3;
      member.connection_limit = 1'000'000;
      spec.members.push_back(member);
    }
    builder.add_pool(std::move(spec));
    snapshot = *builder.build(Instant{}, nullptr);
  }
  Registry registry;
  std::shared_ptr<const Snapshot> snapshot;
};

void pick_and_release(benchmark::State& state, Balance balance) {
  const auto members = static_cast<std::uint32_t>(state.range(0));
  Bench bench(balance, members);
  const Pool& pool = *bench.snapshot->pools()[0];
  // A steady state: three connections a member are open, and the oldest ends when one begins.
  std::vector<const Member*> open(members * 3);
  std::uint32_t client = 0;
  for (auto& slot : open) slot = balance::pick(pool, {.client = {client += 7919}}).member;
  std::size_t oldest = 0;
  for (auto _ : state) {
    open[oldest]->runtime->release();
    open[oldest] = balance::pick(pool, {.client = {client += 7919}}).member;
    benchmark::DoNotOptimize(open[oldest]);
    oldest = oldest + 1 < open.size() ? oldest + 1 : 0;
  }
}

#define SLUICE_PICK(algorithm) \
  BENCHMARK_CAPTURE(pick_and_release, algorithm, Balance::algorithm)->Arg(2)->Arg(100)->Arg(10000)
SLUICE_PICK(round_robin);
SLUICE_PICK(ratio_member);
SLUICE_PICK(least_connections_member);
SLUICE_PICK(ratio_least_connections_member);
SLUICE_PICK(weighted_least_connections_member);
SLUICE_PICK(least_connections_node);
SLUICE_PICK(maglev);

}  // namespace

BENCHMARK_MAIN();
