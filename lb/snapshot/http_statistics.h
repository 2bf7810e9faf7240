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

// Fixed buckets: bucket i holds times up to 16 us * 2^i, the last one all longer ones (from 34 s on).
class LatencyHistogram {
 public:
  static constexpr unsigned kBuckets = 22;
  // The upper bound of a bucket; the last one has none.
  static constexpr Duration bound(unsigned bucket) { return std::chrono::microseconds(std::int64_t{16} << bucket); }

  void add(Duration time) {
    const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count() / 1000, 0));
    const auto bucket = us == 0 ? 0U : static_cast<unsigned>(std::bit_width((us - 1) / 16));
    counts_[std::min(bucket, kBuckets - 1)].add();
    sum_us_.add(us);
  }
  std::uint64_t count_in(unsigned bucket) const { return counts_[bucket].get(); }
  std::uint64_t sum_us() const { return sum_us_.get(); }

 private:
  std::array<Counter, kBuckets> counts_;
  Counter sum_us_;
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
  Counter upgrades;
  LatencyHistogram connect;     // SYN to SYN-ACK, server side
  LatencyHistogram first_byte;  // request head complete to response head complete
  LatencyHistogram total;       // first byte of the request to last byte of the response handed to TCP
};

// A sum of LatencyHistograms at one moment.
struct Latency {
  std::array<std::uint64_t, LatencyHistogram::kBuckets> counts{};
  std::uint64_t sum_us = 0;
  std::uint64_t count() const;
  // The bound of the bucket in which the given share (0..1) of all lies; 0 without any.
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
  std::uint64_t aborted_by_client = 0, aborted_by_server = 0, upgrades = 0;
  Latency connect, first_byte, total;
};

// HttpCounters of all workers.
class HttpTable {
 public:
  explicit HttpTable(unsigned workers) : counters_(workers) {}
  HttpCounters& of(unsigned worker) { return counters_[worker]; }
  HttpTotals sum() const;

 private:
  std::vector<HttpCounters> counters_;
};

}  // namespace sluice::lb
