// Sums of HttpCounters; see http_statistics.h.
#include "lb/snapshot/http_statistics.h"

#include <numeric>

namespace sluice::lb {

std::uint64_t Latency::count() const { return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0}); }

Duration Latency::quantile(double share) const {
  const std::uint64_t all = count();
  if (all == 0) return Duration::zero();
  const auto wanted = std::max<std::uint64_t>(static_cast<std::uint64_t>(share * static_cast<double>(all) + 0.5), 1);
  const Duration max = std::chrono::microseconds(max_us);
  std::uint64_t seen = 0;
  for (unsigned bucket = 0; bucket + 1 < counts.size(); ++bucket) {
    seen += counts[bucket];
    if (seen >= wanted) return std::min(LatencyHistogram::bound(bucket), max);
  }
  return max;
}

void Latency::add(const LatencyHistogram& other) {
  for (unsigned bucket = 0; bucket < counts.size(); ++bucket) counts[bucket] += other.count_in(bucket);
  sum_us += other.sum_us();
  max_us = std::max(max_us, other.max_us());
}

std::uint64_t HttpTable::requests() const {
  std::uint64_t sum = 0;
  for (const HttpCounters& c : counters_) sum += c.requests.get();
  return sum;
}

HttpTotals HttpTable::sum() const {
  HttpTotals sum;
  for (const HttpCounters& c : counters_) {
    sum.requests += c.requests.get();
    sum.responses_1xx += c.responses_1xx.get();
    sum.responses_2xx += c.responses_2xx.get();
    sum.responses_3xx += c.responses_3xx.get();
    sum.responses_4xx += c.responses_4xx.get();
    sum.responses_5xx += c.responses_5xx.get();
    sum.own_answers += c.own_answers.get();
    sum.bad_requests += c.bad_requests.get();
    sum.bad_responses += c.bad_responses.get();
    sum.connect_failures += c.connect_failures.get();
    sum.connect_timeouts += c.connect_timeouts.get();
    sum.response_timeouts += c.response_timeouts.get();
    sum.client_timeouts += c.client_timeouts.get();
    sum.no_member += c.no_member.get();
    sum.limited += c.limited.get();
    sum.server_connects += c.server_connects.get();
    sum.server_reuse += c.server_reuse.get();
    sum.retries += c.retries.get();
    sum.aborted_by_client += c.aborted_by_client.get();
    sum.aborted_by_server += c.aborted_by_server.get();
    sum.no_memory += c.no_memory.get();
    sum.upgrades += c.upgrades.get();
    sum.connect.add(c.connect);
    sum.first_byte.add(c.first_byte);
    sum.total.add(c.total);
  }
  return sum;
}

}  // namespace sluice::lb
