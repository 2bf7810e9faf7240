// What the monitors' pure machine costs by itself: a probe's whole life, and following a plan, at 10,000 members.
//
// Runs on: one core, no sockets. See bench/monitors for the cost with the kernel's part.
#include <benchmark/benchmark.h>

#include <vector>

#include "monitors/engine.h"

namespace {

using namespace sluice;
using namespace sluice::monitors;

constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\nContent-Length: 42\r\nConnection: "
    "close\r\n\r\n"
    "<html><body>hello from cka 76</body></html>";

Plan plan_of(std::uint32_t members) {
  Plan plan;
  Monitor m;
  m.name = "http";
  m.send = "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n";
  m.recv = "cka";
  plan.monitors = {m};
  plan.groups = {{{0}, 0}};
  for (std::uint32_t i = 0; i < members; ++i) plan.targets.push_back({i, {Ipv4Address{0x0a000000 + i}, 80}, 0});
  return plan;
}

// One iteration: one probe, opened, connected, answered, judged, closed.
void BM_Probe(benchmark::State& state) {
  Engine engine;
  Instant now = instant_ns(0);
  if (!engine.configure(now, plan_of(static_cast<std::uint32_t>(state.range(0)))).empty()) state.SkipWithError("plan");
  Outputs ticked, answered;
  std::vector<AttemptId> opened;
  for (auto _ : state) {
    while (opened.empty()) {
      now = std::max(now, engine.next_deadline());
      engine.step(now, Input::tick(), ticked);
      for (const Command& c : ticked.commands) opened.push_back(c.attempt);
      ticked.clear();
    }
    engine.step(now, Input::connected(opened.back()), answered);
    engine.step(now, Input::received(opened.back(), kAnswer), answered);
    answered.clear();
    opened.pop_back();
  }
  if (engine.stats().failures != 0) state.SkipWithError("a probe failed");
  state.counters["members"] = static_cast<double>(state.range(0));
}
BENCHMARK(BM_Probe)->Arg(10)->Arg(10000);

// One member of 10,000 comes and goes: what each change of endpoints costs.
void BM_ConfigureOneMore(benchmark::State& state) {
  Engine engine;
  const Instant now = instant_ns(0);
  const Plan less = plan_of(9999), more = plan_of(10000);
  bool toggle = false;
  for (auto _ : state) benchmark::DoNotOptimize(engine.configure(now, (toggle = !toggle) ? more : less));
}
BENCHMARK(BM_ConfigureOneMore)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
