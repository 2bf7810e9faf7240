// HttpCounters: what a virtual server in mode http did on one worker, and how long it took.
//
// Called by: lb/l7 (counts), control (reads the sum). Runs on: the worker writes, any thread reads.
// Tested by: tests/lb/snapshot/http_statistics_test.cc
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "dataplane/base/counter.h"
#include "dataplane/base/time.h"

namespace sluice::lb {

// Fixed buckets, four to a doubling, so that a bound is at most a quarter off: 4, 8, 12, 16 us; 20, 24, 28, 32 us; 40,
// 48, 56, 64 us; ... The last one holds all longer times (from 33 s on).
class LatencyHistogram {
 public:
  static constexpr unsigned kSteps = 4;  // to a doubling
  static constexpr unsigned kBuckets = 22 * kSteps;
  // The longest time in a bucket; the last one has none.
  static constexpr Duration bound(unsigned bucket) {
    const unsigned step = bucket % kSteps + 1, doubling = bucket / kSteps;
    if (doubling == 0) return std::chrono::microseconds(4 * step);
    return std::chrono::microseconds(std::int64_t{4 * (kSteps + step)} << (doubling - 1));
  }
  static constexpr unsigned bucket_of(std::uint64_t us) {
    if (us <= 16) return us == 0 ? 0 : static_cast<unsigned>((us - 1) / 4);
    const auto doubling = static_cast<unsigned>(std::bit_width(us - 1)) - 4;  // us is in (8, 16] << doubling
    const auto step = static_cast<unsigned>((us - 1) >> (doubling + 1)) - kSteps;
    return std::min(doubling * kSteps + step, kBuckets - 1);
  }

  void add(Duration time) {
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count() / 1000, 0));
    counts_[bucket_of(us)].add();
    sum_us_.add(us);
    if (us > max_us_.get()) max_us_.set(us);
  }
  std::uint64_t count_in(unsigned bucket) const { return counts_[bucket].get(); }
  std::uint64_t sum_us() const { return sum_us_.get(); }
  std::uint64_t max_us() const { return max_us_.get(); }

 private:
  std::array<Counter, kBuckets> counts_;
  Counter sum_us_, max_us_;
};

struct alignas(64) HttpCounters {
  Counter requests;
  Counter responses_1xx, responses_2xx, responses_3xx, responses_4xx, responses_5xx;  // of members, passed on
  Counter own_answers;                                                                // pages and redirects of ours
  Counter bad_requests, bad_responses;                                                // refused for what they said
  Counter connect_failures, connect_timeouts, response_timeouts, client_timeouts;
  Counter no_member, limited;             // nobody to ask; over a limit on connections or rate
  Counter server_connects, server_reuse;  // server conns opened; requests that found one open
  Counter retries;                        // requests sent once more, their reused conn having died
  Counter aborted_by_client, aborted_by_server;
  Counter no_memory;  // ended because the worker's packet buffers ran out
  Counter upgrades;
  LatencyHistogram connect;     // SYN to SYN-ACK, server side
  LatencyHistogram first_byte;  // request head complete to response head complete
  LatencyHistogram total;       // first byte of the request to last byte of the response handed to TCP
};

// A sum of LatencyHistograms at one moment.
struct Latency {
  std::array<std::uint64_t, LatencyHistogram::kBuckets> counts{};
  std::uint64_t sum_us = 0, max_us = 0;
  std::uint64_t count() const;
  // The bound of the bucket in which the given share (0..1) of all lies, or the maximum if that is less; 0 without any.
  Duration quantile(double share) const;
  void add(const LatencyHistogram& other);
};

// A sum of HttpCounters at one moment.
struct HttpTotals {
  std::uint64_t requests = 0;
  std::uint64_t responses_1xx = 0, responses_2xx = 0, responses_3xx = 0, responses_4xx = 0, responses_5xx = 0;
  std::uint64_t own_answers = 0, bad_requests = 0, bad_responses = 0;
  std::uint64_t connect_failures = 0, connect_timeouts = 0, response_timeouts = 0, client_timeouts = 0;
  std::uint64_t no_member = 0, limited = 0, server_connects = 0, server_reuse = 0, retries = 0;
  std::uint64_t aborted_by_client = 0, aborted_by_server = 0, no_memory = 0, upgrades = 0;
  Latency connect, first_byte, total;
};

// HttpCounters of all workers.
class HttpTable {
 public:
  explicit HttpTable(unsigned workers) : counters_(workers) {}
  HttpCounters& of(unsigned worker) { return counters_[worker]; }
  HttpTotals sum() const;
  std::uint64_t requests() const;

 private:
  std::vector<HttpCounters> counters_;
};

}  // namespace sluice::lb
