// What one HTTP head costs: scanned, judged, read by llhttp, written anew; and a chunked body's framing.
//
// Runs on: one core. Covers: lb/l7 (the pure half). The counter `cycles` is TSC ticks of CPU time a message.
#include <benchmark/benchmark.h>

#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "lb/l7/head_agree.h"
#include "lb/l7/head_judge.h"
#include "lb/l7/head_scan.h"
#include "lb/l7/head_writer.h"
#include "lb/l7/message_reader.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace sluice::lb::http {
namespace {

// TSC ticks a nanosecond; 0 where there is no TSC.
double ticks_per_ns() {
#if defined(__x86_64__)
  const auto begun = std::chrono::steady_clock::now();
  const std::uint64_t start = __rdtsc();
  while (std::chrono::steady_clock::now() - begun < std::chrono::milliseconds(20)) {
  }
  const std::uint64_t passed = __rdtsc() - start;
  return static_cast<double>(passed) /
         static_cast<double>(std::chrono::nanoseconds(std::chrono::steady_clock::now() - begun).count());
#else
  return 0;
#endif
}

// CPU time of this process, so that a shared core does not count.
double cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// 0: what wrk sends; 1: a small API call; 2: a browser's.
const std::vector<std::string> kRequests = {
    "GET / HTTP/1.1\r\nHost: 172.16.40.80\r\n\r\n",
    "GET /api/v1/items?id=42 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
    "Authorization: Bearer abcdefghijklmn\r\n\r\n",
    "GET /index.html?a=b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    "Accept: text/html,application/xhtml+xml\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n"
    "Connection: keep-alive\r\nCookie: a=bcdefghijkl; d=e\r\nUpgrade-Insecure-Requests: 1\r\n\r\n",
};
const std::string kResponse =
    "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 18:00:00 GMT\r\nContent-Type: text/html\r\n"
    "Content-Length: 1024\r\nLast-Modified: Sun, 22 Nov 2026 17:00:00 GMT\r\nConnection: keep-alive\r\n"
    "ETag: \"6921e5f0-400\"\r\nAccept-Ranges: bytes\r\n\r\n";

void finish(benchmark::State& state, double start, std::size_t bytes) {
  static const double ticks = ticks_per_ns();
  const double passed = cpu_ns() - start;
  state.counters["cycles"] = passed * ticks / static_cast<double>(state.iterations());
  state.counters["bytes"] = static_cast<double>(bytes);
}

// As a session does it: read the head in place, write the one that goes out, read the end.
void request_read_and_written(benchmark::State& state) {
  const std::string& text = kRequests[static_cast<std::size_t>(state.range(0))];
  HttpOptions options;
  options.forwarded.x_forwarded_for = state.range(1) != 0;
  ReadScratch scratch;
  MessageReader reader(MessageReader::Kind::request);
  std::vector<char> out(4096);
  const RequestRewrite rewrite{.options = &options, .client = {0x0a000001}, .destination = {{0x0a000002}, 80}};
  const double start = cpu_ns();
  for (auto _ : state) {
    Step step = reader.read(text, false, options, scratch);
    benchmark::DoNotOptimize(write_request_head(scratch.head, rewrite, out));
    step = reader.read({}, false, options, scratch);
    if (step.kind != StepKind::end) state.SkipWithError("the request did not end");
  }
  finish(state, start, text.size());
}
BENCHMARK(request_read_and_written)->ArgsProduct({{0, 1, 2}, {0, 1}})->ArgNames({"request", "xff"});

void response_read_and_written(benchmark::State& state) {
  HttpOptions options;
  ReadScratch scratch;
  std::vector<char> out(4096);
  const double start = cpu_ns();
  for (auto _ : state) {
    MessageReader reader(MessageReader::Kind::response);
    reader.expect_response_to(Method::get);
    const Step step = reader.read(kResponse, false, options, scratch);
    if (step.kind != StepKind::head) state.SkipWithError("no head");
    benchmark::DoNotOptimize(write_response_head(scratch.head, {.options = &options}, out));
  }
  finish(state, start, kResponse.size());
}
BENCHMARK(response_read_and_written);

void scan_alone(benchmark::State& state) {
  const std::string& text = kRequests[static_cast<std::size_t>(state.range(0))];
  const HttpLimits limits;
  Head head;
  const double start = cpu_ns();
  for (auto _ : state) benchmark::DoNotOptimize(scan_head(text, true, limits, head));
  finish(state, start, text.size());
}
BENCHMARK(scan_alone)->Arg(0)->Arg(1)->Arg(2);

void judge_alone(benchmark::State& state) {
  const HttpOptions options;
  Head head;
  scan_head(kRequests[2], true, options.limits, head);
  const double start = cpu_ns();
  for (auto _ : state) benchmark::DoNotOptimize(judge_request(head, options));
  finish(state, start, kRequests[2].size());
}
BENCHMARK(judge_alone);

void llhttp_alone(benchmark::State& state) {
  const std::string& text = kRequests[static_cast<std::size_t>(state.range(0))];
  const HttpOptions options;
  Head head;
  scan_head(text, true, options.limits, head);
  judge_request(head, options);
  const double start = cpu_ns();
  for (auto _ : state)
    if (check_agreement(head)) state.SkipWithError("llhttp does not agree");
  finish(state, start, text.size());
}
BENCHMARK(llhttp_alone)->Arg(0)->Arg(1)->Arg(2);

// A body of 1,400-byte pieces in chunks of 1,024 bytes, passed on as chunks.
void chunked_body(benchmark::State& state) {
  std::string body;
  for (int i = 0; i < 64; ++i) body += "400\r\n" + std::string(1024, 'x') + "\r\n";
  const HttpOptions options;
  ReadScratch scratch;
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  const double start = cpu_ns();
  std::uint64_t steps = 0;
  for (auto _ : state) {
    MessageReader reader(MessageReader::Kind::request);
    reader.read(head, false, options, scratch);
    for (std::size_t at = 0; at < body.size(); at += 1400) {
      std::span<const char> piece(body.data() + at, std::min<std::size_t>(1400, body.size() - at));
      while (!piece.empty()) {
        const Step step = reader.read(piece, false, options, scratch);
        piece = piece.subspan(step.consumed);
        ++steps;
      }
    }
  }
  finish(state, start, body.size());
  state.counters["steps"] = static_cast<double>(steps) / static_cast<double>(state.iterations());
}
BENCHMARK(chunked_body);

}  // namespace
}  // namespace sluice::lb::http

BENCHMARK_MAIN();
