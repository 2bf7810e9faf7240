// Status values as JSON; see json.h.
#include "control/admin/json.h"

#include <cmath>

namespace sluice::admin {
namespace {

Json optional_seconds(const std::optional<double>& value) { return value ? Json(round2(*value)) : Json(nullptr); }

void put_state(Json& out, const State& state) {
  out["availability"] = name_of(state.availability);
  out["state"] = state.enabled ? "enabled" : "disabled";
  out["reason"] = state.reason;
}

Json to_json(const BgpMessageCounts& value) {
  return {{"open", value.open},
          {"notification", value.notification},
          {"update", value.update},
          {"keepalive", value.keepalive},
          {"route_refresh", value.route_refresh},
          {"total", value.open + value.notification + value.update + value.keepalive + value.route_refresh}};
}

Json to_json(const NextHopStatus& value) { return {{"gateway", value.gateway}, {"port", value.port}}; }

Json to_json(const BgpCapability& value) {
  return {{"name", value.name}, {"advertised", value.advertised}, {"received", value.received}};
}

Json to_json(const MonitorInstanceStatus& value) {
  return {{"pool", value.pool},        {"member", value.member},           {"state", value.state},
          {"reason", value.reason},    {"since_s", round2(value.since_s)}, {"probes", value.probes},
          {"failures", value.failures}};
}

Json to_json(const DropStatus& value) {
  return {{"reason", value.reason}, {"meaning", value.meaning}, {"count", value.count}, {"rate", round2(value.rate)}};
}

template <typename T>
Json array_of(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(to_json(value));
  return array;
}

}  // namespace

double round2(double value) { return std::round(value * 100) / 100; }

std::string_view name_of(Availability availability) {
  switch (availability) {
    case Availability::available:
      return "available";
    case Availability::offline:
      return "offline";
    case Availability::unknown:
      return "unknown";
    case Availability::unavailable:
      return "unavailable";
  }
  return "unknown";
}

Json to_json(const Traffic& value) {
  return {{"bytes_in", value.bytes_in},
          {"bytes_out", value.bytes_out},
          {"packets_in", value.packets_in},
          {"packets_out", value.packets_out},
          {"connections_current", value.connections_current},
          {"connections_max", value.connections_max},
          {"connections_total", value.connections_total},
          {"bytes_in_rate", round2(value.bytes_in_rate)},
          {"bytes_out_rate", round2(value.bytes_out_rate)},
          {"packets_in_rate", round2(value.packets_in_rate)},
          {"packets_out_rate", round2(value.packets_out_rate)},
          {"connections_rate", round2(value.connections_rate)}};
}

Json to_json(const VirtualStatus& value) {
  Json out{{"name", value.name}, {"partition", value.partition}, {"destination", value.destination}};
  put_state(out, value.state);
  out["mode"] = value.mode;
  out["pool"] = value.pool;
  out["snat"] = value.snat;
  out["persistence"] = value.persistence;
  out["connection_limit"] = value.connection_limit;
  out["note"] = value.note;
  out["origin"] = value.origin;
  out["clientside"] = to_json(value.traffic);
  if (value.http) out["http"] = to_json(*value.http);
  return out;
}

Json to_json(const VirtualAddressStatus& value) {
  Json out{{"address", value.address}};
  put_state(out, value.state);
  out["arp"] = value.arp;
  out["icmp_echo"] = value.icmp_echo;
  out["route_advertisement"] = value.route_advertisement;
  out["announced"] = value.announced;
  out["announcement"] = value.announcement;
  out["communities"] = value.communities;
  out["med"] = value.med ? Json(*value.med) : Json(nullptr);
  out["prepend"] = value.prepend;
  out["local_preference"] = value.local_preference;
  out["draining"] = value.draining;
  out["virtual_servers"] = value.virtual_servers;
  return out;
}

Json to_json(const MemberStatus& value) {
  Json out{{"pool", value.pool}, {"partition", value.partition}, {"member", value.endpoint}};
  put_state(out, value.state);
  out["session"] = value.session;
  out["monitor_state"] = value.monitor_state;
  out["since_s"] = round2(value.since_s);
  out["ratio"] = value.ratio;
  out["priority_group"] = value.priority_group;
  out["connection_limit"] = value.connection_limit;
  out["serverside"] = to_json(value.traffic);
  return out;
}

Json to_json(const PoolStatus& value) {
  Json out{{"name", value.name}, {"partition", value.partition}};
  put_state(out, value.state);
  out["balance"] = value.balance;
  out["monitor"] = value.monitor;
  out["service_down_action"] = value.service_down_action;
  out["min_active_members"] = value.min_active_members;
  out["current_active_members"] = value.current_active_members;
  out["available_members"] = value.available_members;
  out["total_members"] = value.total_members;
  out["origin"] = value.origin;
  out["serverside"] = to_json(value.traffic);
  out["members"] = array_of(value.members);
  return out;
}

Json to_json(const NodeStatus& value) {
  Json out{{"address", value.address}};
  put_state(out, value.state);
  out["members"] = value.members;
  out["serverside"] = to_json(value.traffic);
  return out;
}

Json to_json(const MonitorStatus& value) {
  return {{"name", value.name},
          {"type", value.type},
          {"interval_s", round2(value.interval_s)},
          {"timeout_s", round2(value.timeout_s)},
          {"up_interval_s", round2(value.up_interval_s)},
          {"time_until_up_s", round2(value.time_until_up_s)},
          {"send", value.send},
          {"recv", value.recv},
          {"recv_disable", value.recv_disable},
          {"reverse", value.reverse},
          {"manual_resume", value.manual_resume},
          {"destination", value.destination},
          {"instances", array_of(value.instances)}};
}

Json to_json(const RouteStatus& value) {
  Json out{{"code", std::string(1, value.code)}, {"selected", value.selected}, {"prefix", value.prefix},
           {"distance", value.distance},         {"metric", value.metric},     {"blackhole", value.blackhole}};
  out["next_hops"] = array_of(value.next_hops);
  out["age_s"] = optional_seconds(value.age_s);
  return out;
}

Json to_json(const NeighborEntryStatus& value) {
  return {{"address", value.address},
          {"mac", value.mac},
          {"port", value.port},
          {"state", value.state},
          {"age_s", round2(value.age_s)}};
}

Json to_json(const BgpPathStatus& value) {
  Json out{{"prefix", value.prefix},
           {"next_hop", value.next_hop},
           {"from", value.from},
           {"valid", value.valid},
           {"best", value.best},
           {"multipath", value.multipath},
           {"internal", value.internal},
           {"stale", value.stale},
           {"local", value.local},
           {"rejected", value.rejected},
           {"path_id", value.path_id},
           {"weight", value.weight},
           {"as_path", value.as_path},
           {"origin", value.origin},
           {"reason", value.reason},
           {"age_s", round2(value.age_s)},
           {"communities", value.communities},
           {"advertised_to", value.advertised_to}};
  out["med"] = value.med ? Json(*value.med) : Json(nullptr);
  out["local_pref"] = value.local_pref ? Json(*value.local_pref) : Json(nullptr);
  return out;
}

Json to_json(const BgpNeighborStatus& value) {
  Json out{{"address", value.address},
           {"description", value.description},
           {"remote_as", value.remote_as},
           {"local_as", value.local_as},
           {"internal", value.internal},
           {"enabled", value.enabled},
           {"passive", value.passive},
           {"dynamic", value.dynamic},
           {"listen_range", value.listen_range},
           {"authenticated", value.authenticated},
           {"state", value.state},
           {"established", value.established},
           {"uptime_s", round2(value.uptime_s)},
           {"remote_router_id", value.remote_router_id},
           {"local_router_id", value.local_router_id},
           {"hold_time_s", value.hold_time_s},
           {"keepalive_s", value.keepalive_s},
           {"configured_hold_time_s", value.configured_hold_time_s},
           {"configured_keepalive_s", value.configured_keepalive_s}};
  out["last_read_s"] = optional_seconds(value.last_read_s);
  out["last_write_s"] = optional_seconds(value.last_write_s);
  out["capabilities"] = array_of(value.capabilities);
  out["messages_sent"] = to_json(value.sent);
  out["messages_received"] = to_json(value.received);
  out["bytes_sent"] = value.bytes_sent;
  out["bytes_received"] = value.bytes_received;
  out["out_queue"] = value.out_queue;
  out["table_version"] = value.table_version;
  out["neighbor_version"] = value.neighbor_version;
  out["graceful_restart"] = value.graceful_restart;
  out["remote_restart_time_s"] = value.remote_restart_time_s;
  out["received_prefixes"] = value.received_prefixes;
  out["accepted_prefixes"] = value.accepted_prefixes;
  out["rejected_prefixes"] = value.rejected_prefixes;
  out["stale_prefixes"] = value.stale_prefixes;
  out["announced_prefixes"] = value.announced_prefixes;
  out["import_policy"] = value.import_policy;
  out["export_policy"] = value.export_policy;
  out["end_of_rib_sent"] = value.end_of_rib_sent;
  out["end_of_rib_received"] = value.end_of_rib_received;
  out["treated_as_withdraw"] = value.treated_as_withdraw;
  out["discarded_attributes"] = value.discarded_attributes;
  out["last_update_error"] = value.last_update_error;
  out["connections_established"] = value.connections_established;
  out["connections_dropped"] = value.connections_dropped;
  out["last_reset_s"] = optional_seconds(value.last_reset_s);
  out["last_reset_reason"] = value.last_reset_reason;
  out["last_error"] = value.last_error;
  out["local_address"] = value.local_address;
  out["local_port"] = value.local_port;
  out["foreign_address"] = value.foreign_address;
  out["foreign_port"] = value.foreign_port;
  out["next_hop"] = value.next_hop;
  out["next_connect_s"] = round2(value.next_connect_s);
  return out;
}

Json to_json(const BgpStatus& value) {
  return {{"configured", value.configured},
          {"router_id", value.router_id},
          {"local_as", value.local_as},
          {"table_version", value.table_version},
          {"prefixes", value.prefixes},
          {"paths", value.paths},
          {"announced", value.announced},
          {"draining", value.draining},
          {"accept", value.accept},
          {"routes_reach", to_json(value.routes_reach)},
          {"route_task", to_json(value.route_task)},
          {"neighbors", array_of(value.neighbors)}};
}

Json to_json(const BfdStatus& value) {
  return {{"neighbor", value.neighbor},
          {"local_address", value.local_address},
          {"multihop", value.multihop},
          {"state", value.state},
          {"remote_state", value.remote_state},
          {"up", value.up},
          {"since_s", value.since_s},
          {"diagnostic", value.diagnostic},
          {"remote_diagnostic", value.remote_diagnostic},
          {"last_failure", value.last_failure},
          {"leaving", value.leaving},
          {"local_discriminator", value.local_discriminator},
          {"remote_discriminator", value.remote_discriminator},
          {"min_tx_ms", value.min_tx_ms},
          {"min_rx_ms", value.min_rx_ms},
          {"multiplier", value.multiplier},
          {"remote_min_tx_ms", value.remote_min_tx_ms},
          {"remote_min_rx_ms", value.remote_min_rx_ms},
          {"remote_multiplier", value.remote_multiplier},
          {"transmit_interval_ms", value.transmit_interval_ms},
          {"detection_time_ms", value.detection_time_ms},
          {"polling", value.polling},
          {"control_plane_independent", value.control_plane_independent},
          {"ups", value.ups},
          {"failures", value.failures},
          {"packets_in", value.packets_in},
          {"packets_out", value.packets_out},
          {"worker", value.worker}};
}

Json to_json(const WorkerStatus& value) {
  return {{"id", value.id},
          {"core", value.core},
          {"rx_packets", value.rx_packets},
          {"rx_bytes", value.rx_bytes},
          {"tx_packets", value.tx_packets},
          {"tx_bytes", value.tx_bytes},
          {"drops", value.drops},
          {"consumed", value.consumed},
          {"rx_rate", round2(value.rx_rate)},
          {"tx_rate", round2(value.tx_rate)},
          {"drop_rate", round2(value.drop_rate)},
          {"cycles_per_packet", round2(value.cycles_per_packet)},
          {"busy_percent", round2(value.busy_percent)},
          {"turns", value.turns},
          {"sleeps", value.sleeps},
          {"tasks", value.tasks},
          {"pool_in_use", value.pool_in_use},
          {"pool_size", value.pool_size},
          {"ring_drops", value.ring_drops},
          {"steer_miss", value.steer_miss},
          {"handovers_in", value.handovers_in},
          {"flows", value.flows},
          {"flows_max", value.flows_max},
          {"fragments_without_flow", value.fragments_without_flow}};
}

Json to_json(const PortStatus& value) {
  return {{"name", value.name},
          {"device", value.device},
          {"description", value.description},
          {"kind", value.kind},
          {"mac", value.mac},
          {"mtu", value.mtu},
          {"up", value.up},
          {"queues", value.queues},
          {"offloads", value.offloads},
          {"addresses", value.addresses},
          {"rx_packets", value.rx_packets},
          {"rx_bytes", value.rx_bytes},
          {"rx_missed", value.rx_missed},
          {"rx_errors", value.rx_errors},
          {"rx_no_buffer", value.rx_no_buffer},
          {"tx_packets", value.tx_packets},
          {"tx_bytes", value.tx_bytes},
          {"tx_errors", value.tx_errors},
          {"rx_rate", round2(value.rx_rate)},
          {"tx_rate", round2(value.tx_rate)},
          {"rx_bytes_rate", round2(value.rx_bytes_rate)},
          {"tx_bytes_rate", round2(value.tx_bytes_rate)}};
}

Json to_json(const DropsStatus& value) {
  return {{"rx", value.rx},
          {"tx", value.tx},
          {"consumed", value.consumed},
          {"total", value.total},
          {"reasons", array_of(value.reasons)}};
}

Json to_json(const FlowStatus& value) {
  return {{"protocol", value.protocol},
          {"client", value.client},
          {"destination", value.virtual_destination},
          {"snat", value.snat},
          {"member", value.member},
          {"virtual_server", value.virtual_server},
          {"pool", value.pool},
          {"state", value.state},
          {"age_s", round2(value.age_s)},
          {"idle_s", round2(value.idle_s)},
          {"bytes_in", value.bytes_in},
          {"bytes_out", value.bytes_out},
          {"packets_in", value.packets_in},
          {"packets_out", value.packets_out},
          {"worker", value.worker}};
}

Json to_json(const FlowsStatus& value) { return {{"matched", value.matched}, {"flows", array_of(value.flows)}}; }

Json to_json(const VersionStatus& value) {
  return {{"version", value.version},
          {"compiler", value.compiler},
          {"dpdk", value.dpdk},
          {"pid", value.pid},
          {"uptime_s", round2(value.uptime_s)},
          {"config_path", value.config_path},
          {"last_config_change", value.last_config_change},
          {"last_config_error", value.last_config_error}};
}

Json to_json(const Error& value) { return {{"place", value.place}, {"message", value.message}}; }

std::string dump(const Json& json, int indent) {
  return json.dump(indent, ' ', false, nlohmann::detail::error_handler_t::replace);
}

}  // namespace sluice::admin
