// What the daemon can tell about itself, as plain values: one struct for each thing that `sluicectl show` shows.
//
// The daemon fills them in from the configuration, the workers' counters and the machines; json.h writes them as JSON,
// prometheus.h as metrics; sluicectl renders that JSON as text. Counters are totals since start; *_rate is per second
// over the daemon's last sampling interval. Words and reasons are BIG-IP's.
//
// Called by: control/daemon (fills), admin/json, admin/prometheus (read). Runs on: control thread.
// Tested by: tests/control/admin/json_test.cc, tests/golden/show
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::admin {

// ---- load balancing ----

struct Traffic {
  std::uint64_t bytes_in = 0, bytes_out = 0, packets_in = 0, packets_out = 0;
  std::uint64_t connections_current = 0, connections_max = 0, connections_total = 0;
  double bytes_in_rate = 0, bytes_out_rate = 0, packets_in_rate = 0, packets_out_rate = 0, connections_rate = 0;
};

enum class Availability : std::uint8_t { available, offline, unknown, unavailable };

struct State {
  Availability availability = Availability::unknown;
  bool enabled = true;
  std::string reason;  // "The children pool member(s) are down"
};

// How long something took, over all of its occurrences since start.
struct LatencyStatus {
  std::uint64_t count = 0;
  double sum_s = 0;
  double p50_ms = 0, p90_ms = 0, p99_ms = 0, max_ms = 0;
  // Prometheus' histogram: how many took at most so many seconds; without +Inf, which is `count`.
  std::vector<std::pair<double, std::uint64_t>> buckets;
};

// What a virtual server in mode http did. `errors` are requests that ended otherwise than by a member's response, or
// connections that were not let in, by reason.
struct HttpStatus {
  std::uint64_t requests = 0, upgrades = 0, retries = 0;
  double requests_rate = 0;
  std::array<std::uint64_t, 5> responses{};  // 1xx .. 5xx, of members
  std::uint64_t own_answers = 0;             // pages and redirects of ours
  std::uint64_t server_connects = 0, server_reuse = 0;
  std::uint64_t server_idle = 0;  // now, of all members of its pools
  struct Reason {
    std::string_view name, meaning;
    std::uint64_t count = 0;
  };
  std::vector<Reason> errors;
  LatencyStatus connect, first_byte, total;
};

struct VirtualStatus {
  std::string name, partition, destination, mode, pool, snat, persistence;
  State state;
  std::string note;    // what the user should know
  std::string origin;  // where it is configured
  std::uint32_t connection_limit = 0;
  Traffic traffic;                 // client side
  std::optional<HttpStatus> http;  // mode http
};

// A request or response that the proxy refused or gave up.
struct HttpErrorStatus {
  std::string time;  // "2026-11-25T10:15:30.123Z"
  double age_s = 0;
  std::string side;     // whose fault: "request" | "response" | "connect" | "policy"
  unsigned status = 0;  // what the client was answered; 0: its connection was reset
  std::string client, destination, virtual_server;
  std::string member;        // empty: none was chosen
  std::uint64_t offset = 0;  // bytes of the message before the one at fault
  std::string reason;
  unsigned worker = 0;
};

struct HttpErrorsStatus {
  std::vector<HttpErrorStatus> errors;  // newest first
  std::uint64_t total = 0;              // since start, of all virtual servers
};

struct AccessLogStatus {
  std::string file;
  bool open = false;  // false also while no virtual server logs
  std::string error;  // why lines cannot be written, now
  std::uint64_t written = 0, bytes = 0;
  std::uint64_t lost = 0;  // no room in a worker's ring, or not written
};

struct VirtualAddressStatus {
  std::string address, icmp_echo, route_advertisement;
  State state;
  bool arp = true;
  bool announced = false;  // by BGP, now
  std::vector<std::string> virtual_servers;
  std::string announcement;  // why, or why not: "1 of 2 virtual servers can serve; hold-up: announced in 3.0 s"
  std::vector<std::string> communities;
  std::optional<std::uint32_t> med;
  std::uint32_t prepend = 0, local_preference = 100;
  bool draining = false;  // RFC 8326
};

struct MemberStatus {
  std::string pool, partition, endpoint;
  State state;
  std::string session;        // "monitor-enabled" | "user-disabled" | "user-enabled"
  std::string monitor_state;  // "up" | "down" | "unchecked" | "checking" | "user-down"
  std::uint32_t ratio = 1, priority_group = 0, connection_limit = 0;
  double since_s = 0;  // in this state
  Traffic traffic;     // server side
};

struct PoolStatus {
  std::string name, partition, balance, monitor, service_down_action, origin;
  State state;
  std::uint32_t min_active_members = 0, current_active_members = 0, available_members = 0, total_members = 0;
  Traffic traffic;  // server side
  std::vector<MemberStatus> members;
};

struct NodeStatus {
  std::string address;
  State state;
  std::vector<std::string> members;  // "pool endpoint"
  Traffic traffic;
};

struct MonitorInstanceStatus {
  std::string pool, member, state, reason;
  double since_s = 0;
  std::uint64_t probes = 0, failures = 0;
};

struct MonitorStatus {
  std::string name, type, send, recv, recv_disable, destination;
  double interval_s = 0, timeout_s = 0, up_interval_s = 0, time_until_up_s = 0;
  bool reverse = false, manual_resume = false;
  std::vector<MonitorInstanceStatus> instances;
};

// ---- routing ----

struct NextHopStatus {
  std::string gateway;  // empty: directly connected
  std::string port;     // empty: not resolved
};

struct RouteStatus {
  char code = 'K';  // K kernel (virtual address, static), C connected, S static, B BGP
  bool selected = true;
  std::string prefix;
  unsigned distance = 0, metric = 0;
  bool blackhole = false;
  std::vector<NextHopStatus> next_hops;
  std::optional<double> age_s;  // learned routes
};

struct NeighborEntryStatus {
  std::string address, mac, port, state;
  double age_s = 0;
};

struct BgpPathStatus {
  std::string prefix, next_hop, from, origin, as_path;  // origin: "igp" | "egp" | "incomplete"
  bool valid = true, best = false, multipath = false, internal = true, stale = false, local = false;
  bool rejected = false;  // received and not taken; `reason` says why
  std::optional<std::uint32_t> med, local_pref;
  std::uint32_t weight = 0, path_id = 0;
  std::string reason;  // why it is not valid or not best
  double age_s = 0;
  std::vector<std::string> communities;
  std::vector<std::string> advertised_to;
};

struct BgpMessageCounts {
  std::uint64_t open = 0, notification = 0, update = 0, keepalive = 0, route_refresh = 0;
};

struct BgpCapability {
  std::string name;  // "route refresh (old and new)"
  bool advertised = false, received = false;
};

struct BgpNeighborStatus {
  std::string address, description, state, remote_router_id, local_router_id, local_address, foreign_address, next_hop;
  std::uint32_t remote_as = 0, local_as = 0;
  bool internal = true, enabled = true, passive = false, authenticated = false, established = false;
  bool dynamic = false;                      // came by a listen range
  std::string listen_range;                  // that one
  std::string import_policy, export_policy;  // "none", "2 rules", "missing (RFC 8212)"
  double uptime_s = 0;                       // Established for, or else since it was
  std::optional<double> last_read_s, last_write_s;
  double hold_time_s = 0, keepalive_s = 0, configured_hold_time_s = 0, configured_keepalive_s = 0;
  std::vector<BgpCapability> capabilities;
  BgpMessageCounts sent, received;
  std::uint64_t bytes_sent = 0, bytes_received = 0, out_queue = 0;
  std::uint64_t table_version = 0, neighbor_version = 0;
  std::string graceful_restart;  // "remote restart-time 120 s, ..."
  double remote_restart_time_s = 0;
  std::uint64_t accepted_prefixes = 0, received_prefixes = 0, announced_prefixes = 0;
  std::uint64_t rejected_prefixes = 0, stale_prefixes = 0, treated_as_withdraw = 0, discarded_attributes = 0;
  std::string last_update_error;  // what RFC 7606 was applied to last
  bool end_of_rib_sent = false, end_of_rib_received = false;
  std::uint64_t connections_established = 0, connections_dropped = 0;
  std::optional<double> last_reset_s;  // how long ago
  std::string last_reset_reason;       // "BGP Notification received: Cease/Peer Unconfigured (6/3)"
  std::string last_error;              // why it does not come up
  std::uint16_t local_port = 0, foreign_port = 0;
  double next_connect_s = 0;
};

struct BgpStatus {
  bool configured = false, draining = false;
  std::string router_id;
  std::uint32_t local_as = 0;
  std::uint64_t table_version = 0, paths = 0, prefixes = 0, announced = 0;
  // From the reading of a change until the last worker's FIB has it; what one task of changes takes of a worker.
  LatencyStatus routes_reach, route_task;
  std::vector<std::string> accept;  // learned routes lie inside one of these; empty: any but default and our own
  std::vector<BgpNeighborStatus> neighbors;
};

struct BfdStatus {
  std::string neighbor, local_address, state, remote_state, diagnostic, remote_diagnostic;
  std::string last_failure;  // empty: none since the session was made
  bool up = false, multihop = false, polling = false, leaving = false;
  bool control_plane_independent = false;  // the neighbour's C bit
  double since_s = 0;                      // in this state
  std::uint32_t local_discriminator = 0, remote_discriminator = 0;
  double min_tx_ms = 0, min_rx_ms = 0, remote_min_tx_ms = 0, remote_min_rx_ms = 0;
  double transmit_interval_ms = 0, detection_time_ms = 0;  // negotiated
  unsigned multiplier = 0, remote_multiplier = 0, worker = 0;
  std::uint64_t ups = 0, failures = 0, packets_in = 0, packets_out = 0;
};

// ---- engine ----

struct WorkerStatus {
  unsigned id = 0, core = 0;
  std::uint64_t rx_packets = 0, tx_packets = 0, rx_bytes = 0, tx_bytes = 0;
  std::uint64_t drops = 0, consumed = 0;
  double rx_rate = 0, tx_rate = 0, drop_rate = 0;
  double cycles_per_packet = 0, busy_percent = 0;
  std::uint64_t turns = 0, sleeps = 0, tasks = 0;
  std::uint64_t pool_in_use = 0, pool_size = 0;
  std::uint64_t ring_drops = 0, steer_miss = 0, handovers_in = 0;
  std::uint64_t flows = 0, flows_max = 0, fragments_without_flow = 0;
};

// The TCP endpoints of ours (mode http), a worker's or all workers'.
struct TcpCounterStatus {
  std::string_view name, meaning;
  std::uint64_t count = 0;
};

struct TcpWorkerStatus {
  unsigned id = 0;
  std::uint64_t conns = 0, half_open = 0;  // now
  std::uint64_t sessions = 0, idle_servers = 0;
  std::vector<TcpCounterStatus> counters;
};

struct PortStatus {
  std::string name, device, description, kind, mac;
  unsigned mtu = 1500, queues = 1;
  bool up = true;
  std::vector<std::string> addresses;
  std::vector<std::string> offloads;
  std::uint64_t rx_packets = 0, tx_packets = 0, rx_bytes = 0, tx_bytes = 0;
  std::uint64_t rx_missed = 0, rx_errors = 0, tx_errors = 0, rx_no_buffer = 0;
  double rx_rate = 0, tx_rate = 0, rx_bytes_rate = 0, tx_bytes_rate = 0;
};

struct DropStatus {
  std::string reason, meaning;
  std::uint64_t count = 0;
  double rate = 0;
};

struct DropsStatus {
  std::vector<DropStatus> reasons;
  std::uint64_t total = 0, rx = 0, tx = 0, consumed = 0;
};

struct FlowStatus {
  std::string protocol, client, virtual_destination, snat, member, virtual_server, pool, state;
  double age_s = 0, idle_s = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0, packets_in = 0, packets_out = 0;
  unsigned worker = 0;
};

struct FlowsStatus {
  std::vector<FlowStatus> flows;
  std::uint64_t matched = 0;  // more than flows.size() when the list was cut
};

struct VersionStatus {
  std::string version, compiler, dpdk, config_path;
  double uptime_s = 0;
  int pid = 0;
  std::string last_config_change;  // "2026-11-22 17:05:01 UTC: 2 changes"
  std::string last_config_error;   // of a change that was rejected since
};

}  // namespace sluice::admin
