// Mode http as status values: what a virtual server did and how long it took, and the workers' TCP; see statistics.h.
#include "control/daemon/statistics.h"
#include "lb/l7/proxy.h"

namespace sluice::daemon {
namespace {

// From whole microseconds, all in the same way: equal times are equal numbers.
double to_ms(std::uint64_t us) { return static_cast<double>(us) / 1e3; }
double to_ms(Duration time) {
  return to_ms(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count()));
}

}  // namespace

admin::LatencyStatus to_status(const lb::Latency& latency) {
  admin::LatencyStatus out;
  out.count = latency.count();
  out.sum_s = static_cast<double>(latency.sum_us) / 1e6;
  out.p50_ms = to_ms(latency.quantile(0.50));
  out.p90_ms = to_ms(latency.quantile(0.90));
  out.p99_ms = to_ms(latency.quantile(0.99));
  out.max_ms = to_ms(latency.max_us);
  // A bound for each doubling is enough for a page that is fetched every few seconds.
  std::uint64_t seen = 0;
  for (unsigned bucket = 0; bucket + 1 < lb::LatencyHistogram::kBuckets; ++bucket) {
    seen += latency.counts[bucket];
    if (bucket % lb::LatencyHistogram::kSteps == lb::LatencyHistogram::kSteps - 1) {
      out.buckets.emplace_back(to_seconds(lb::LatencyHistogram::bound(bucket)), seen);
    }
  }
  return out;
}

namespace {

struct ErrorName {
  std::string_view name, meaning;
  std::uint64_t lb::HttpTotals::*count;
};
constexpr ErrorName kErrorNames[] = {
    {"bad_requests", "refused for what they said", &lb::HttpTotals::bad_requests},
    {"bad_responses", "refused for what they said", &lb::HttpTotals::bad_responses},
    {"client_timeouts", "the client was too slow", &lb::HttpTotals::client_timeouts},
    {"connect_failures", "the member refused or cannot be reached", &lb::HttpTotals::connect_failures},
    {"connect_timeouts", "the member did not answer the SYN", &lb::HttpTotals::connect_timeouts},
    {"response_timeouts", "the member did not answer the request", &lb::HttpTotals::response_timeouts},
    {"no_member", "no member was available", &lb::HttpTotals::no_member},
    {"limited", "over a limit on connections or rate", &lb::HttpTotals::limited},
    {"aborted_by_client", "the client ended its connection within an exchange", &lb::HttpTotals::aborted_by_client},
    {"aborted_by_server", "the member ended its connection within an exchange", &lb::HttpTotals::aborted_by_server},
    {"no_memory", "the worker's packet buffers ran out", &lb::HttpTotals::no_memory},
};

struct TcpName {
  std::string_view name, meaning;
  Counter tcp::Counters::*count;
};
constexpr TcpName kTcpNames[] = {
    {"segments_in", "Segments received", &tcp::Counters::segments_in},
    {"segments_out", "Segments sent", &tcp::Counters::segments_out},
    {"bytes_in", "Bytes received in order", &tcp::Counters::bytes_in},
    {"bytes_out", "Bytes sent", &tcp::Counters::bytes_out},
    {"accepts", "Conns opened by clients", &tcp::Counters::accepts},
    {"connects", "Conns opened to members", &tcp::Counters::connects},
    {"established", "Handshakes completed", &tcp::Counters::established},
    {"refused", "Connects that were refused", &tcp::Counters::refused},
    {"resets_sent", "RSTs sent", &tcp::Counters::resets_sent},
    {"resets_received", "RSTs received and accepted", &tcp::Counters::resets_received},
    {"retransmitted_segments", "Segments sent again", &tcp::Counters::retransmitted_segments},
    {"fast_recoveries", "Losses found by SACK or RACK", &tcp::Counters::fast_recoveries},
    {"timeouts", "Retransmission timeouts", &tcp::Counters::timeouts},
    {"tail_loss_probes", "Tail loss probes sent", &tcp::Counters::tail_loss_probes},
    {"spurious_probes", "Tail loss probes that were not needed", &tcp::Counters::spurious_probes},
    {"window_probes", "Zero window probes sent", &tcp::Counters::window_probes},
    {"dsacks", "Duplicates that the peer reported", &tcp::Counters::dsacks},
    {"out_of_order", "Segments received out of order", &tcp::Counters::out_of_order},
    {"duplicate_segments", "Segments received twice", &tcp::Counters::duplicate_segments},
    {"paws_rejected", "Segments with an old timestamp", &tcp::Counters::paws_rejected},
    {"out_of_window", "Segments outside of the window", &tcp::Counters::out_of_window},
    {"challenge_acks", "Challenge ACKs sent", &tcp::Counters::challenge_acks},
    {"bad_acks", "ACKs of what was never sent", &tcp::Counters::bad_acks},
    {"cookies_sent", "SYN cookies sent", &tcp::Counters::cookies_sent},
    {"cookies_accepted", "SYN cookies that came back", &tcp::Counters::cookies_accepted},
    {"cookies_rejected", "ACKs that carry no cookie of ours", &tcp::Counters::cookies_rejected},
    {"no_conn_slot", "Conns refused because none was free", &tcp::Counters::no_conn_slot},
    {"no_chunk", "Segments dropped for want of a chunk", &tcp::Counters::no_chunk},
    {"no_packet", "Segments not sent for want of a packet", &tcp::Counters::no_packet},
    {"keepalives", "Keepalives sent", &tcp::Counters::keepalives},
    {"delayed_acks", "ACKs sent by the delayed-ACK timer", &tcp::Counters::delayed_acks},
    {"time_waits_evicted", "TIME-WAITs cut short to free a slot", &tcp::Counters::time_waits_evicted},
    {"half_open_evicted", "Unfinished handshakes cut short to free a slot", &tcp::Counters::half_open_evicted},
    {"recoveries_undone", "Window reductions taken back: nothing was lost", &tcp::Counters::recoveries_undone},
};
static_assert(sizeof(tcp::Counters) == std::size(kTcpNames) * sizeof(Counter), "a counter has no name here");

}  // namespace

admin::HttpStatus Statistics::http_of(const lb::VirtualServer& server) const {
  const lb::HttpTotals totals = server.runtime->http.sum();
  admin::HttpStatus out;
  out.requests = totals.requests;
  out.requests_rate = http_rates_.of(server.runtime->id)[0];
  out.responses = {totals.responses_1xx, totals.responses_2xx, totals.responses_3xx, totals.responses_4xx,
                   totals.responses_5xx};
  out.own_answers = totals.own_answers;
  out.retries = totals.retries;
  out.upgrades = totals.upgrades;
  out.server_connects = totals.server_connects;
  out.server_reuse = totals.server_reuse;
  for (const lb::Pool* pool : pools_of(server)) {
    for (const auto& member : pool->runtimes) out.server_idle += member->idle_conns.load(std::memory_order_relaxed);
  }
  for (const ErrorName& error : kErrorNames) out.errors.push_back({error.name, error.meaning, totals.*error.count});
  out.connect = to_status(totals.connect);
  out.first_byte = to_status(totals.first_byte);
  out.total = to_status(totals.total);
  return out;
}

std::vector<admin::TcpWorkerStatus> Statistics::tcp() const {
  std::vector<admin::TcpWorkerStatus> out;
  for (unsigned worker = 0; worker < engine_.workers(); ++worker) {
    const lb::Proxy& proxy = engine_.datapath(worker).proxy();
    admin::TcpWorkerStatus status;
    status.id = worker;
    status.conns = proxy.counters().conns.get();
    status.half_open = proxy.counters().half_open.get();
    status.sessions = proxy.counters().sessions_open.get();
    status.idle_servers = proxy.counters().idle_servers.get();
    for (const TcpName& name : kTcpNames) {
      status.counters.push_back({name.name, name.meaning, (proxy.tcp_counters().*name.count).get()});
    }
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace sluice::daemon
