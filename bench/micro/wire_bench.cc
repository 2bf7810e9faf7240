// What the wire layer costs per packet: the one parse, checksums of usual sizes, deltas.
#include <benchmark/benchmark.h>

#include "dataplane/wire/parse.h"
#include "tests/support/packets.h"

namespace sluice::wire {
namespace {

using test::Frame;

void parse_frame(benchmark::State& state, const test::Bytes& frame, bool verify) {
  // Many copies, as in a burst: the branch predictor sees one kind, the cache more than one line.
  std::vector<test::Bytes> frames(32, frame);
  const ParseOptions options{test::kOwnMac, verify};
  Layers layers;
  std::size_t i = 0;
  for (auto _ : state) {
    const auto& bytes = frames[i++ % frames.size()];
    benchmark::DoNotOptimize(parse(bytes, static_cast<std::uint32_t>(bytes.size()), options, layers));
    benchmark::DoNotOptimize(layers);
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(parse_frame, tcp, Frame().tcp(1, 2).payload("x").bytes(), true);
BENCHMARK_CAPTURE(parse_frame, tcp_checksum_by_port, Frame().tcp(1, 2).payload("x").bytes(), false);
BENCHMARK_CAPTURE(parse_frame, udp, Frame().udp(1, 2).payload("x").bytes(), true);
BENCHMARK_CAPTURE(parse_frame, icmp, Frame().echo(1, 2).payload("x").bytes(), true);

void checksum_in_full(benchmark::State& state) {
  const test::Bytes bytes(static_cast<std::size_t>(state.range(0)), 0x5a);
  for (auto _ : state) benchmark::DoNotOptimize(internet_checksum(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum_in_full)->Arg(20)->Arg(40)->Arg(64)->Arg(191)->Arg(192)->Arg(576)->Arg(1480)->Arg(8960);

void checksum_by_delta(benchmark::State& state) {
  ChecksumDelta delta;
  delta.replace32(0x0a000001, 0xac102850);
  std::uint16_t checksum = 0x1234;
  for (auto _ : state) {
    benchmark::DoNotOptimize(delta);
    checksum = delta.apply(checksum);
    benchmark::DoNotOptimize(checksum);
  }
}
BENCHMARK(checksum_by_delta);

}  // namespace
}  // namespace sluice::wire

BENCHMARK_MAIN();
