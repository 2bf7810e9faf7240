// What the small structures of dataplane/base cost: hash, timer wheel, token bucket.
#include <benchmark/benchmark.h>

#include <memory>

#include "dataplane/base/hash.h"
#include "dataplane/base/rng.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/base/token_bucket.h"

namespace sluice {
namespace {

void hash_of_a_tuple(benchmark::State& state) {
  const HashSeed seed = HashSeed::random();
  std::uint64_t last = 1;
  for (auto _ : state) {
    last = hash_tuple(seed, {static_cast<std::uint32_t>(last)}, {0xac102850}, 1234, 80, 6);  // latency, not throughput
    benchmark::DoNotOptimize(last);
  }
}
BENCHMARK(hash_of_a_tuple);

// What a flow does at each packet: put its timer off.
void timer_reschedule(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  TimerWheel wheel(instant_ns(0), 1ms);
  const auto timers = std::make_unique<Timer[]>(count);
  Rng rng(1);
  Instant now = instant_ns(0);
  for (std::size_t i = 0; i < count; ++i) wheel.schedule(timers[i], now + Duration(rng.below(300'000'000'000)));
  for (auto _ : state) {
    now += 100ns;
    wheel.schedule(timers[rng.below(count)], now + 300s);
  }
  for (std::size_t i = 0; i < count; ++i) wheel.cancel(timers[i]);
}
BENCHMARK(timer_reschedule)->Arg(1000)->Arg(100000)->Arg(1000000);

// The whole life of a timer, moves between levels included.
void timer_schedule_and_expire(benchmark::State& state) {
  TimerWheel wheel(instant_ns(0), 1ms);
  constexpr std::size_t kCount = 65536;
  const auto timers = std::make_unique<Timer[]>(kCount);
  Instant now = instant_ns(0);
  std::size_t next = 0;
  for (auto _ : state) {
    now += 10us;
    Timer& timer = timers[next++ % kCount];
    if (!timer.is_scheduled()) wheel.schedule(timer, now + 300ms);
    wheel.expire(now, 64, [](Timer&) {});
  }
  for (std::size_t i = 0; i < kCount; ++i) wheel.cancel(timers[i]);
}
BENCHMARK(timer_schedule_and_expire);

void timer_next_deadline(benchmark::State& state) {
  TimerWheel wheel(instant_ns(0), 1ms);
  Timer timer;
  wheel.schedule(timer, instant_ns(0) + 300s);
  for (auto _ : state) benchmark::DoNotOptimize(wheel.next_deadline());
  wheel.cancel(timer);
}
BENCHMARK(timer_next_deadline);

void token_bucket(benchmark::State& state) {
  TokenBucket bucket(1000, 100);
  Instant now = instant_ns(0);
  for (auto _ : state) benchmark::DoNotOptimize(bucket.take(now += 100ns));
}
BENCHMARK(token_bucket);

}  // namespace
}  // namespace sluice

BENCHMARK_MAIN();
