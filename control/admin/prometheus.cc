// Prometheus metrics; see prometheus.h.
#include "control/admin/prometheus.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "control/admin/json.h"

namespace sluice::admin {
namespace {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// Backslash, quote and newline are escaped; bytes that are no UTF-8 never get here (names are checked by config).
std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
  return out;
}

// One metric family: its samples stand together under one HELP and one TYPE.
class Family {
 public:
  Family(std::string& out, std::string_view name, std::string_view type, std::string_view help)
      : out_(out), name_(name) {
    out_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void add(const Labels& labels, double value) { line(labels, fmt::format("{}", value)); }
  void add(const Labels& labels, std::uint64_t value) { line(labels, fmt::format("{}", value)); }
  void add(const Labels& labels, bool value) { line(labels, value ? "1" : "0"); }

 private:
  void line(const Labels& labels, std::string_view value) {
    out_ += name_;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      out_ += fmt::format("{}{}=\"{}\"", i == 0 ? "{" : ",", labels[i].first, escape(labels[i].second));
    }
    out_ += fmt::format("{} {}\n", labels.empty() ? "" : "}", value);
  }
  std::string& out_;
  std::string_view name_;
};

// A family of histograms: the buckets, sum and count of each under its labels.
void histograms(std::string& out, std::string_view name, std::string_view help,
                const std::vector<std::pair<Labels, const LatencyStatus*>>& samples) {
  out += fmt::format("# HELP {} {}\n# TYPE {} histogram\n", name, help, name);
  for (const auto& [labels, latency] : samples) {
    std::string inside;
    for (const auto& [label, value] : labels) inside += fmt::format("{}=\"{}\",", label, escape(value));
    for (const auto& [bound_s, count] : latency->buckets) {
      out += fmt::format("{}_bucket{{{}le=\"{}\"}} {}\n", name, inside, bound_s, count);
    }
    out += fmt::format("{}_bucket{{{}le=\"+Inf\"}} {}\n", name, inside, latency->count);
    if (!inside.empty()) inside = "{" + inside.substr(0, inside.size() - 1) + "}";
    out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, inside, latency->sum_s, name, inside, latency->count);
  }
}

template <typename T>
struct Column {
  const char* name;
  const char* type;
  const char* help;
  std::uint64_t (*value)(const T&);
};

template <typename T, typename LabelsOf, std::size_t N>
void columns(std::string& out, const std::vector<T>& things, LabelsOf labels_of, const Column<T> (&table)[N]) {
  for (const Column<T>& column : table) {
    Family family(out, column.name, column.type, column.help);
    for (const T& thing : things) family.add(labels_of(thing), column.value(thing));
  }
}

// The traffic of virtual servers, pools or members under a common prefix.
template <typename T, typename LabelsOf>
void traffic(std::string& out, std::string_view thing, std::string_view from_where, const std::vector<T>& things,
             LabelsOf labels_of) {
  struct Part {
    const char* name;
    const char* type;
    const char* help;
    std::uint64_t Traffic::*field;
  };
  static constexpr Part kParts[] = {
      {"bytes_in_total", "counter", "Bytes received", &Traffic::bytes_in},
      {"bytes_out_total", "counter", "Bytes sent", &Traffic::bytes_out},
      {"packets_in_total", "counter", "Packets received", &Traffic::packets_in},
      {"packets_out_total", "counter", "Packets sent", &Traffic::packets_out},
      {"connections", "gauge", "Connections now", &Traffic::connections_current},
      {"connections_max", "gauge", "Most connections at one time", &Traffic::connections_max},
      {"connections_total", "counter", "Connections opened", &Traffic::connections_total},
  };
  for (const Part& part : kParts) {
    const std::string name = fmt::format("sluice_{}_{}", thing, part.name);
    Family family(out, name, part.type, fmt::format("{} ({}).", part.help, from_where));
    for (const T& one : things) family.add(labels_of(one), one.traffic.*part.field);
  }
}

template <typename T, typename LabelsOf>
void availability(std::string& out, std::string_view thing, const std::vector<T>& things, LabelsOf labels_of) {
  const std::string up = fmt::format("sluice_{}_available", thing), on = fmt::format("sluice_{}_enabled", thing);
  {
    Family family(out, up, "gauge", "1 while available.");
    for (const T& one : things) family.add(labels_of(one), one.state.availability == Availability::available);
  }
  Family family(out, on, "gauge", "1 while enabled.");
  for (const T& one : things) family.add(labels_of(one), one.state.enabled);
}

void load_balancing(std::string& out, Backend& backend) {
  const auto virtuals = backend.virtuals();
  const auto virtual_labels = [](const VirtualStatus& v) {
    return Labels{{"virtual", v.name}, {"partition", v.partition}, {"destination", v.destination}};
  };
  availability(out, "virtual", virtuals, virtual_labels);
  traffic(out, "virtual", "client side", virtuals, virtual_labels);

  const auto pools = backend.pools();
  const auto pool_labels = [](const PoolStatus& p) { return Labels{{"pool", p.name}, {"partition", p.partition}}; };
  availability(out, "pool", pools, pool_labels);
  traffic(out, "pool", "server side", pools, pool_labels);
  static constexpr Column<PoolStatus> kPool[] = {
      {"sluice_pool_members", "gauge", "Members of the pool.",
       [](const PoolStatus& p) { return std::uint64_t{p.total_members}; }},
      {"sluice_pool_members_available", "gauge", "Members that are available.",
       [](const PoolStatus& p) { return std::uint64_t{p.available_members}; }}};
  columns(out, pools, pool_labels, kPool);

  std::vector<MemberStatus> members;
  for (const PoolStatus& pool : pools) members.insert(members.end(), pool.members.begin(), pool.members.end());
  const auto member_labels = [](const MemberStatus& m) {
    return Labels{{"pool", m.pool}, {"partition", m.partition}, {"member", m.endpoint}};
  };
  availability(out, "member", members, member_labels);
  traffic(out, "member", "server side", members, member_labels);
}

void http(std::string& out, Backend& backend) {
  auto virtuals = backend.virtuals();
  std::erase_if(virtuals, [](const VirtualStatus& v) { return !v.http; });
  if (virtuals.empty()) return;
  const auto labels = [](const VirtualStatus& v) { return Labels{{"virtual", v.name}, {"partition", v.partition}}; };
  using V = VirtualStatus;
  static constexpr Column<V> kColumns[] = {
      {"sluice_http_requests_total", "counter", "Requests whose head was read.",
       [](const V& v) { return v.http->requests; }},
      {"sluice_http_own_answers_total", "counter", "Pages and redirects of Sluice itself.",
       [](const V& v) { return v.http->own_answers; }},
      {"sluice_http_retries_total", "counter", "Requests sent once more, the reused connection having died.",
       [](const V& v) { return v.http->retries; }},
      {"sluice_http_upgrades_total", "counter", "Connections that became tunnels.",
       [](const V& v) { return v.http->upgrades; }},
      {"sluice_http_server_connects_total", "counter", "Connections opened to members.",
       [](const V& v) { return v.http->server_connects; }},
      {"sluice_http_server_reuse_total", "counter", "Requests that found a connection open.",
       [](const V& v) { return v.http->server_reuse; }},
      {"sluice_http_server_idle", "gauge", "Idle connections to members of its pools.",
       [](const V& v) { return v.http->server_idle; }}};
  columns(out, virtuals, labels, kColumns);
  const auto with = [&](const V& v, std::string_view label, std::string_view value) {
    Labels all = labels(v);
    all.emplace_back(label, value);
    return all;
  };
  {
    Family family(out, "sluice_http_responses_total", "counter", "Responses of members, by class.");
    static constexpr std::string_view kClasses[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};
    for (const V& v : virtuals) {
      for (std::size_t i = 0; i < 5; ++i) family.add(with(v, "class", kClasses[i]), v.http->responses[i]);
    }
  }
  {
    Family family(out, "sluice_http_errors_total", "counter",
                  "Requests that ended otherwise, and connections not let in, by reason.");
    for (const V& v : virtuals) {
      for (const HttpStatus::Reason& reason : v.http->errors) family.add(with(v, "reason", reason.name), reason.count);
    }
  }
  struct Part {
    const char* name;
    const char* help;
    LatencyStatus HttpStatus::*field;
  };
  static constexpr Part kParts[] = {
      {"sluice_http_connect_seconds", "From SYN to SYN-ACK of a member.", &HttpStatus::connect},
      {"sluice_http_first_byte_seconds", "From the request's head to the response's.", &HttpStatus::first_byte},
      {"sluice_http_total_seconds", "From the request's first byte to the response's last.", &HttpStatus::total}};
  for (const Part& part : kParts) {
    std::vector<std::pair<Labels, const LatencyStatus*>> samples;
    for (const V& v : virtuals) samples.emplace_back(labels(v), &((*v.http).*part.field));
    histograms(out, part.name, part.help, samples);
  }
}

void tcp(std::string& out, Backend& backend) {
  const auto workers = backend.tcp();
  if (workers.empty()) return;
  const auto labels = [](const TcpWorkerStatus& w) { return Labels{{"worker", std::to_string(w.id)}}; };
  using W = TcpWorkerStatus;
  static constexpr Column<W> kColumns[] = {
      {"sluice_tcp_conns", "gauge", "TCP endpoints of Sluice.", [](const W& w) { return w.conns; }},
      {"sluice_tcp_half_open", "gauge", "Client handshakes not complete.", [](const W& w) { return w.half_open; }},
      {"sluice_http_sessions", "gauge", "Client connections.", [](const W& w) { return w.sessions; }},
      {"sluice_http_idle_servers", "gauge", "Idle connections to members.", [](const W& w) { return w.idle_servers; }}};
  columns(out, workers, labels, kColumns);
  for (std::size_t i = 0; i < workers[0].counters.size(); ++i) {
    const TcpCounterStatus& counter = workers[0].counters[i];
    const std::string name = fmt::format("sluice_tcp_{}_total", counter.name);
    Family family(out, name, "counter", fmt::format("{}.", counter.meaning));
    for (const W& worker : workers) family.add(labels(worker), worker.counters[i].count);
  }
}

void access_log(std::string& out, const AccessLogStatus& log) {
  Family(out, "sluice_access_log_written_total", "counter", "Lines written.").add({}, log.written);
  Family(out, "sluice_access_log_lost_total", "counter", "Lines lost: no room, or not written.").add({}, log.lost);
}

void monitors(std::string& out, Backend& backend) {
  struct Row {
    std::string monitor;
    MonitorInstanceStatus instance;
  };
  std::vector<Row> rows;
  for (const MonitorStatus& monitor : backend.monitors()) {
    for (const auto& instance : monitor.instances) rows.push_back({monitor.name, instance});
  }
  const auto labels = [](const Row& row) {
    return Labels{{"monitor", row.monitor}, {"pool", row.instance.pool}, {"member", row.instance.member}};
  };
  static constexpr Column<Row> kColumns[] = {
      {"sluice_monitor_up", "gauge", "1 while the monitor finds the member up.",
       [](const Row& row) { return std::uint64_t{row.instance.state == "up"}; }},
      {"sluice_monitor_probes_total", "counter", "Probes sent.", [](const Row& row) { return row.instance.probes; }},
      {"sluice_monitor_failures_total", "counter", "Probes without a good answer.",
       [](const Row& row) { return row.instance.failures; }}};
  columns(out, rows, labels, kColumns);
}

std::uint64_t total(const BgpMessageCounts& c) {
  return c.open + c.notification + c.update + c.keepalive + c.route_refresh;
}

std::uint64_t state_number(std::string_view name) {
  constexpr std::string_view kStates[] = {"Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"};
  return static_cast<std::uint64_t>(std::find(std::begin(kStates), std::end(kStates), name) - std::begin(kStates));
}

void bgp(std::string& out, Backend& backend) {
  const BgpStatus status = backend.bgp();
  if (!status.configured) return;
  Family(out, "sluice_bgp_prefixes", "gauge", "Prefixes in the BGP table.").add({}, status.prefixes);
  Family(out, "sluice_bgp_announced", "gauge", "Prefixes that Sluice originates.").add({}, status.announced);
  histograms(out, "sluice_bgp_route_reach_seconds", "From the reading of a route until the last worker's FIB has it.",
             {{{}, &status.routes_reach}});
  Family(out, "sluice_bgp_paths", "gauge", "Paths in the BGP table.").add({}, status.paths);
  const auto labels = [](const BgpNeighborStatus& n) {
    return Labels{{"neighbor", n.address}, {"remote_as", std::to_string(n.remote_as)}};
  };
  static constexpr Column<BgpNeighborStatus> kColumns[] = {
      {"sluice_bgp_neighbor_established", "gauge", "1 while the session is Established.",
       [](const BgpNeighborStatus& n) { return std::uint64_t{n.established}; }},
      {"sluice_bgp_neighbor_accepted_prefixes", "gauge", "Prefixes accepted from the neighbor.",
       [](const BgpNeighborStatus& n) { return n.accepted_prefixes; }},
      {"sluice_bgp_neighbor_announced_prefixes", "gauge", "Prefixes announced to the neighbor.",
       [](const BgpNeighborStatus& n) { return n.announced_prefixes; }},
      {"sluice_bgp_neighbor_connections_established_total", "counter", "Sessions that came up.",
       [](const BgpNeighborStatus& n) { return n.connections_established; }},
      {"sluice_bgp_neighbor_connections_dropped_total", "counter", "Sessions that went down.",
       [](const BgpNeighborStatus& n) { return n.connections_dropped; }},
      {"sluice_bgp_neighbor_updates_received_total", "counter", "UPDATE messages received.",
       [](const BgpNeighborStatus& n) { return n.received.update; }},
      {"sluice_bgp_neighbor_updates_sent_total", "counter", "UPDATE messages sent.",
       [](const BgpNeighborStatus& n) { return n.sent.update; }},
      {"sluice_bgp_neighbor_messages_received_total", "counter", "Messages of every type received.",
       [](const BgpNeighborStatus& n) { return total(n.received); }},
      {"sluice_bgp_neighbor_messages_sent_total", "counter", "Messages of every type sent.",
       [](const BgpNeighborStatus& n) { return total(n.sent); }},
      {"sluice_bgp_neighbor_notifications_received_total", "counter", "NOTIFICATION messages received.",
       [](const BgpNeighborStatus& n) { return n.received.notification; }},
      {"sluice_bgp_neighbor_notifications_sent_total", "counter", "NOTIFICATION messages sent.",
       [](const BgpNeighborStatus& n) { return n.sent.notification; }},
      {"sluice_bgp_neighbor_stale_prefixes", "gauge", "Prefixes kept while the neighbor restarts.",
       [](const BgpNeighborStatus& n) { return n.stale_prefixes; }},
      {"sluice_bgp_neighbor_rejected_prefixes", "gauge", "Announcements rejected in this session.",
       [](const BgpNeighborStatus& n) { return n.rejected_prefixes; }},
      {"sluice_bgp_neighbor_treated_as_withdraw_total", "counter", "UPDATEs treated as withdraw (RFC 7606).",
       [](const BgpNeighborStatus& n) { return n.treated_as_withdraw; }},
      {"sluice_bgp_neighbor_out_queue_bytes", "gauge", "Bytes that the neighbor has not read yet.",
       [](const BgpNeighborStatus& n) { return n.out_queue; }}};
  columns(out, status.neighbors, labels, kColumns);
  {
    Family family(out, "sluice_bgp_neighbor_state", "gauge",
                  "State of RFC 4271: 0 Idle, 1 Connect, 2 Active, 3 OpenSent, 4 OpenConfirm, 5 Established.");
    for (const BgpNeighborStatus& n : status.neighbors) family.add(labels(n), state_number(n.state));
  }
  Family uptime(out, "sluice_bgp_neighbor_uptime_seconds", "gauge", "How long the session has been Established.");
  for (const BgpNeighborStatus& n : status.neighbors) uptime.add(labels(n), n.established ? n.uptime_s : 0.0);
}

void announcements(std::string& out, Backend& backend) {
  Family family(out, "sluice_virtual_address_announced", "gauge", "1 while BGP announces the virtual address.");
  for (const VirtualAddressStatus& address : backend.virtual_addresses()) {
    family.add({{"address", address.address}}, address.announced);
  }
}

void bfd(std::string& out, Backend& backend) {
  const auto sessions = backend.bfd();
  if (sessions.empty()) return;
  const auto labels = [](const BfdStatus& s) {
    return Labels{{"neighbor", s.neighbor}, {"hops", s.multihop ? "multi" : "single"}};
  };
  using S = BfdStatus;
  static constexpr Column<S> kColumns[] = {
      {"sluice_bfd_up", "gauge", "1 while the session is Up.", [](const S& s) { return std::uint64_t{s.up}; }},
      {"sluice_bfd_ups_total", "counter", "Times the session came up.", [](const S& s) { return s.ups; }},
      {"sluice_bfd_failures_total", "counter", "Times the session failed.", [](const S& s) { return s.failures; }},
      {"sluice_bfd_packets_in_total", "counter", "Control packets taken.", [](const S& s) { return s.packets_in; }},
      {"sluice_bfd_packets_out_total", "counter", "Control packets sent.", [](const S& s) { return s.packets_out; }}};
  columns(out, sessions, labels, kColumns);
}

void drops(std::string& out, const DropsStatus& status) {
  Family reasons(out, "sluice_drops_total", "counter", "Packets dropped, by reason.");
  for (const DropStatus& drop : status.reasons) reasons.add({{"reason", drop.reason}}, drop.count);
}

void workers(std::string& out, Backend& backend) {
  const auto labels = [](const WorkerStatus& w) {
    return Labels{{"worker", std::to_string(w.id)}, {"core", std::to_string(w.core)}};
  };
  using W = WorkerStatus;
  static constexpr Column<W> kColumns[] = {
      {"sluice_worker_rx_packets_total", "counter", "Packets received.", [](const W& w) { return w.rx_packets; }},
      {"sluice_worker_tx_packets_total", "counter", "Packets sent.", [](const W& w) { return w.tx_packets; }},
      {"sluice_worker_drops_total", "counter", "Packets dropped.", [](const W& w) { return w.drops; }},
      {"sluice_worker_consumed_total", "counter", "Packets consumed here.", [](const W& w) { return w.consumed; }},
      {"sluice_worker_turns_total", "counter", "Turns of the duty cycle.", [](const W& w) { return w.turns; }},
      {"sluice_worker_sleeps_total", "counter", "Turns that slept.", [](const W& w) { return w.sleeps; }},
      {"sluice_worker_buffers_in_use", "gauge", "Packet buffers in use.", [](const W& w) { return w.pool_in_use; }},
      {"sluice_worker_buffers", "gauge", "Packet buffers.", [](const W& w) { return w.pool_size; }},
      {"sluice_worker_ring_drops_total", "counter", "Drops at full rings.", [](const W& w) { return w.ring_drops; }},
      {"sluice_worker_steer_miss_total", "counter", "Packets that reached another worker than their flow's.",
       [](const W& w) { return w.steer_miss; }},
      {"sluice_worker_fragments_without_flow_total", "counter",
       "Reassembled packets to a virtual server of which no worker knew the flow.",
       [](const W& w) { return w.fragments_without_flow; }},
      {"sluice_worker_flows", "gauge", "Flows in the table.", [](const W& w) { return w.flows; }},
      {"sluice_worker_flows_max", "gauge", "Flows that fit the table.", [](const W& w) { return w.flows_max; }}};
  const auto all = backend.workers();
  columns(out, all, labels, kColumns);
  Family busy(out, "sluice_worker_busy_ratio", "gauge", "Share of time spent on packets and tasks.");
  for (const W& worker : all) busy.add(labels(worker), worker.busy_percent / 100);
}

void ports(std::string& out, Backend& backend) {
  const auto labels = [](const PortStatus& p) { return Labels{{"port", p.name}}; };
  using P = PortStatus;
  static constexpr Column<P> kColumns[] = {
      {"sluice_port_up", "gauge", "1 while the link is up.", [](const P& p) { return std::uint64_t{p.up}; }},
      {"sluice_port_rx_packets_total", "counter", "Packets received.", [](const P& p) { return p.rx_packets; }},
      {"sluice_port_rx_bytes_total", "counter", "Bytes received.", [](const P& p) { return p.rx_bytes; }},
      {"sluice_port_rx_missed_total", "counter", "Packets the port had no room for.",
       [](const P& p) { return p.rx_missed; }},
      {"sluice_port_rx_errors_total", "counter", "Packets received broken.", [](const P& p) { return p.rx_errors; }},
      {"sluice_port_rx_no_buffer_total", "counter", "Packets lost for want of a buffer.",
       [](const P& p) { return p.rx_no_buffer; }},
      {"sluice_port_tx_packets_total", "counter", "Packets sent.", [](const P& p) { return p.tx_packets; }},
      {"sluice_port_tx_bytes_total", "counter", "Bytes sent.", [](const P& p) { return p.tx_bytes; }},
      {"sluice_port_tx_errors_total", "counter", "Packets that could not be sent.",
       [](const P& p) { return p.tx_errors; }}};
  columns(out, backend.ports(), labels, kColumns);
}

}  // namespace

std::string prometheus_text(Backend& backend) {
  std::string out;
  const VersionStatus version = backend.version();
  Family(out, "sluice_build_info", "gauge", "Version; the value is always 1.")
      .add({{"version", version.version}, {"dpdk", version.dpdk}}, std::uint64_t{1});
  Family(out, "sluice_uptime_seconds", "gauge", "Seconds since start.").add({}, version.uptime_s);
  load_balancing(out, backend);
  http(out, backend);
  tcp(out, backend);
  access_log(out, backend.access_log());
  monitors(out, backend);
  bgp(out, backend);
  bfd(out, backend);
  announcements(out, backend);
  drops(out, backend.drops());
  workers(out, backend);
  ports(out, backend);
  return out;
}

}  // namespace sluice::admin
