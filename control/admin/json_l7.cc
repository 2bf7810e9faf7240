// What mode http did, as JSON: requests, latency, errors, TCP endpoints, the access log; see json.h.
#include "control/admin/json.h"

namespace sluice::admin {
namespace {

constexpr const char* kClasses[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

}  // namespace

Json to_json(const LatencyStatus& value) {
  Json buckets = Json::array();
  for (const auto& [bound_s, count] : value.buckets) buckets.push_back({{"le_s", bound_s}, {"count", count}});
  return {{"count", value.count},   {"sum_s", value.sum_s},   {"p50_ms", value.p50_ms}, {"p90_ms", value.p90_ms},
          {"p99_ms", value.p99_ms}, {"max_ms", value.max_ms}, {"buckets", buckets}};
}

Json to_json(const HttpStatus& value) {
  Json out{{"requests", value.requests}, {"requests_rate", round2(value.requests_rate)}};
  for (std::size_t i = 0; i < value.responses.size(); ++i) out["responses"][kClasses[i]] = value.responses[i];
  out["own_answers"] = value.own_answers;
  out["errors"] = Json::object();
  for (const HttpStatus::Reason& reason : value.errors) out["errors"][std::string(reason.name)] = reason.count;
  out["retries"] = value.retries;
  out["upgrades"] = value.upgrades;
  out["server_connects"] = value.server_connects;
  out["server_reuse"] = value.server_reuse;
  out["server_idle"] = value.server_idle;
  out["latency"] = {
      {"connect", to_json(value.connect)}, {"first_byte", to_json(value.first_byte)}, {"total", to_json(value.total)}};
  return out;
}

Json to_json(const HttpErrorStatus& value) {
  Json out{{"time", value.time},     {"age_s", round2(value.age_s)},
           {"side", value.side},     {"status", value.status},
           {"client", value.client}, {"destination", value.destination},
           {"member", value.member}, {"virtual_server", value.virtual_server},
           {"offset", value.offset}, {"reason", value.reason},
           {"worker", value.worker}};
  if (value.member.empty()) out["member"] = nullptr;
  return out;
}

Json to_json(const HttpErrorsStatus& value) { return {{"total", value.total}, {"errors", to_json(value.errors)}}; }

Json to_json(const TcpWorkerStatus& value) {
  Json counters = Json::object();
  for (const TcpCounterStatus& counter : value.counters) counters[std::string(counter.name)] = counter.count;
  return {{"worker", value.id},
          {"conns", value.conns},
          {"half_open", value.half_open},
          {"sessions", value.sessions},
          {"idle_servers", value.idle_servers},
          {"counters", counters}};
}

Json to_json(const AccessLogStatus& value) {
  return {{"file", value.file},       {"open", value.open},   {"error", value.error},
          {"written", value.written}, {"bytes", value.bytes}, {"lost", value.lost}};
}

}  // namespace sluice::admin
