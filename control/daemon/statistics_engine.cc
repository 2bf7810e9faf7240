// Workers, ports, drops and routes as status values; see statistics.h.
#include "control/daemon/statistics.h"
#include "control/io/loop.h"

namespace sluice::daemon {
namespace {

std::vector<std::string> offloads_of(const packet::PortInfo& port) {
  std::vector<std::string> out;
  if (port.tx_ipv4_checksum) out.push_back("tx IPv4 checksum");
  if (port.tx_l4_checksum) out.push_back("tx TCP/UDP checksum");
  if (port.rx_checksum_flags) out.push_back("rx checksum");
  return out;
}

}  // namespace

std::uint64_t Statistics::drop_count(DropReason reason) const {
  std::uint64_t sum = 0;
  for (unsigned worker = 0; worker < engine_.workers(); ++worker) sum += engine_.engine().drops(worker).get(reason);
  return sum;
}

std::string Statistics::port_name(packet::PortId id) const {
  return id < engine_.ports().size() ? engine_.ports()[id].name : std::string();
}

std::vector<admin::WorkerStatus> Statistics::workers() const {
  std::vector<admin::WorkerStatus> out;
  for (const worker::WorkerStatistics& now : engine_.engine().statistics()) {
    // Of the last interval, as the rates are; since start until there are two samples.
    worker::WorkerStatistics recent = now;
    if (now.index < worker_samples_before_.size() && now.index < worker_samples_.size()) {
      recent = worker_samples_[now.index] - worker_samples_before_[now.index];
    }
    const auto rates = worker_rates_.of(now.index);
    const lb::Datapath& datapath = engine_.datapath(now.index);
    admin::WorkerStatus status;
    status.id = now.index;
    status.core = now.core;
    status.rx_packets = now.rx_packets;
    status.tx_packets = now.tx_packets;
    status.rx_bytes = now.rx_bytes;
    status.tx_bytes = now.tx_bytes;
    status.drops = now.drops;
    status.consumed = now.consumed;
    status.rx_rate = rates[0];
    status.tx_rate = rates[1];
    status.drop_rate = rates[2];
    status.cycles_per_packet = recent.cycles_per_packet();
    status.busy_percent = recent.busy_percent();
    status.turns = now.turns;
    status.sleeps = now.sleeps;
    status.tasks = now.tasks;
    status.pool_in_use = now.pool_in_use;
    status.pool_size = now.pool_size;
    status.ring_drops = now.ring_drops;
    status.steer_miss = now.handover_out;
    status.handovers_in = now.handover_in;
    status.flows = datapath.flow_count();
    status.flows_max = datapath.flow_capacity();
    status.fragments_without_flow = datapath.counters().fragments_without_flow.get();
    out.push_back(std::move(status));
  }
  return out;
}

std::vector<admin::PortStatus> Statistics::ports(const config::Config& config) const {
  std::vector<admin::PortStatus> out;
  for (const packet::PortInfo& info : engine_.ports()) {
    port::Port& port = engine_.engine().port(info.id);
    const port::PortStatistics counts = port.statistics();
    const auto rates = port_rates_.of(info.id);
    admin::PortStatus status;
    status.name = info.name;
    status.kind = info.kind == packet::PortKind::host ? "host" : "network";
    status.description = port.description();
    status.mac = info.mac.text();
    status.mtu = info.mtu;
    status.queues = port.queue_count();
    status.up = port.is_link_up();
    status.offloads = offloads_of(info);
    for (const config::Port& configured : config.ports) {
      if (configured.name == info.name && info.kind == packet::PortKind::network) status.device = configured.device;
    }
    for (const config::SelfIp& self : config.self_ips) {
      if (self.port == info.name || info.kind == packet::PortKind::host)
        status.addresses.push_back(self.address.text());
    }
    status.rx_packets = counts.rx_packets;
    status.tx_packets = counts.tx_packets;
    status.rx_bytes = counts.rx_bytes;
    status.tx_bytes = counts.tx_bytes;
    status.rx_missed = counts.rx_missed;
    status.rx_errors = counts.rx_errors;
    status.tx_errors = counts.tx_errors;
    status.rx_no_buffer = counts.rx_no_buffers;
    status.rx_rate = rates[0];
    status.tx_rate = rates[1];
    status.rx_bytes_rate = rates[2];
    status.tx_bytes_rate = rates[3];
    out.push_back(std::move(status));
  }
  return out;
}

admin::DropsStatus Statistics::drops() const {
  admin::DropsStatus out;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const std::uint64_t count = drop_count(static_cast<DropReason>(i));
    out.reasons.push_back(
        {std::string(kDropReasonTexts[i].name), std::string(kDropReasonTexts[i].meaning), count, drop_rates_.of(i)[0]});
    out.total += count;
  }
  for (const auto& worker : engine_.engine().statistics()) {
    out.rx += worker.rx_packets;
    out.tx += worker.tx_packets;
    out.consumed += worker.consumed;
  }
  return out;
}

std::vector<admin::RouteStatus> Statistics::routes() const {
  std::vector<admin::RouteStatus> out;
  for (const routing::RouteInfo& info : routes_.table().show(io::now(), false)) {
    admin::RouteStatus status;
    status.code = routing::code_of(info.source);
    status.selected = info.selected;
    status.prefix = info.prefix.text();
    status.distance = info.distance;
    status.metric = info.metric;
    status.blackhole = info.blackhole;
    for (const auto& hop : info.hops) {
      admin::NextHopStatus next{hop.gateway.is_zero() ? std::string() : hop.gateway.text(), hop.interface};
      if (hop.recursive && !hop.via.is_zero()) next.gateway += " (via " + hop.via.text() + ")";
      status.next_hops.push_back(std::move(next));
    }
    const bool ours = info.source == routing::Source::local || info.source == routing::Source::virtual_address;
    if (status.next_hops.empty() && ours) status.next_hops.push_back({"", "sluice"});
    const bool learned = info.source == routing::Source::ebgp || info.source == routing::Source::ibgp;
    if (learned) status.age_s = to_seconds(info.age);
    out.push_back(std::move(status));
  }
  return out;
}

}  // namespace sluice::daemon
