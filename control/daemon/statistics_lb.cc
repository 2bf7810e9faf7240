// Virtual servers, pools, members and nodes as status values; see statistics.h.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <optional>

#include "control/config/words.h"
#include "control/daemon/overrides.h"
#include "control/daemon/statistics.h"

namespace sluice::daemon {
namespace {

std::uint64_t key_of(const void* object) { return reinterpret_cast<std::uintptr_t>(object); }

std::array<std::uint64_t, 5> counts_of(const lb::ConnectionCount& connections, const lb::Traffic& traffic) {
  return {traffic.bytes_in, traffic.bytes_out, traffic.packets_in, traffic.packets_out, connections.total()};
}

admin::State to_state(lb::ObjectStatus status) {
  return {static_cast<admin::Availability>(status.availability), status.enabled, std::move(status.reason)};
}
static_assert(static_cast<int>(admin::Availability::unavailable) == static_cast<int>(lb::Availability::unavailable));

std::string monitor_text(const config::Pool& pool) {
  if (pool.monitors.empty()) return "";
  if (pool.monitors_min > 0) return fmt::format("min {} of {{{}}}", pool.monitors_min, fmt::join(pool.monitors, " "));
  return fmt::format("{}", fmt::join(pool.monitors, " and "));
}

std::string snat_text(const config::VirtualServer& server) {
  if (server.snat == config::SnatKind::pool) return "pool " + server.snat_pool;
  return std::string(config::name_of(server.snat));
}

std::string persist_text(const config::VirtualServer& server) {
  if (server.persist == config::PersistKind::none) return "none";
  return fmt::format("{}, {:g} s", config::name_of(server.persist), to_seconds(server.persist_timeout));
}

}  // namespace

void Statistics::sample(Instant now) {
  traffic_rates_.begin(now);
  http_rates_.begin(now);
  if (const lb::Snapshot* snapshot = balancing_.current()) {
    for (const lb::VirtualServer& server : snapshot->virtual_servers()) {
      const auto& runtime = *server.runtime;
      traffic_rates_.sample(key_of(&runtime), counts_of(runtime.connections, runtime.shares.traffic()));
      if (server.mode == lb::Mode::http) http_rates_.sample(runtime.id, {runtime.http.requests()});
    }
    for (const auto& pool : snapshot->pools()) {
      traffic_rates_.sample(key_of(pool->runtime.get()),
                            counts_of(pool->runtime->connections, balancing_.registry().pool_traffic(pool->spec.name)));
      for (const auto& member : pool->runtimes) {
        traffic_rates_.sample(key_of(member.get()), counts_of(member->connections, member->shares.traffic()));
      }
    }
  }
  traffic_rates_.end();
  http_rates_.end();

  worker_samples_before_ = std::move(worker_samples_);
  worker_samples_ = engine_.engine().statistics();
  worker_rates_.begin(now);
  for (const auto& w : worker_samples_) worker_rates_.sample(w.index, {w.rx_packets, w.tx_packets, w.drops});
  worker_rates_.end();
  port_rates_.begin(now);
  for (const packet::PortInfo& port : engine_.ports()) {
    const auto counts = engine_.engine().port(port.id).statistics();
    port_rates_.sample(port.id, {counts.rx_packets, counts.tx_packets, counts.rx_bytes, counts.tx_bytes});
  }
  port_rates_.end();
  drop_rates_.begin(now);
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    drop_rates_.sample(i, {drop_count(static_cast<DropReason>(i))});
  }
  drop_rates_.end();
}

admin::Traffic Statistics::traffic_of(const lb::ConnectionCount& connections, const lb::Traffic& traffic,
                                      const void* key) const {
  const auto rates = traffic_rates_.of(key_of(key));
  return {traffic.bytes_in,
          traffic.bytes_out,
          traffic.packets_in,
          traffic.packets_out,
          connections.current(),
          connections.max(),
          connections.total(),
          rates[0],
          rates[1],
          rates[2],
          rates[3],
          rates[4]};
}

lb::ObjectStatus Statistics::status_of(const lb::Pool& pool, std::size_t member) const {
  const lb::MemberSpec& spec = pool.spec.members[member];
  // The words of the verdict are today's: the snapshot keeps those of its last change of state.
  return lb::member_status(spec.state, health_.verdict(pool.spec.name, spec.endpoint),
                           pool.runtimes[member]->connections.current(), spec.connection_limit);
}

lb::ObjectStatus Statistics::status_of(const lb::Pool& pool) const {
  std::vector<lb::ObjectStatus> members;
  for (std::size_t i = 0; i < pool.members.size(); ++i) members.push_back(status_of(pool, i));
  return lb::pool_status(members);
}

std::set<const lb::Pool*> Statistics::pools_of(const lb::VirtualServer& server) {
  std::set<const lb::Pool*> pools(server.http_pools.begin(), server.http_pools.end());
  if (server.pool != nullptr) pools.insert(server.pool);
  return pools;
}

lb::ObjectStatus Statistics::status_of(const lb::VirtualServer& server) const {
  std::optional<lb::ObjectStatus> best;
  const auto rank = [](const lb::ObjectStatus& status) {
    constexpr int kRanks[] = {3, 0, 2, 1};  // available, offline, unknown, unavailable
    return kRanks[static_cast<std::size_t>(status.availability)];
  };
  for (const lb::Pool* pool : pools_of(server)) {
    lb::ObjectStatus status = status_of(*pool);
    if (!best || rank(status) > rank(*best)) best = std::move(status);
  }
  return lb::virtual_server_status(server.enabled, best ? &*best : nullptr, server.runtime->connections.current(),
                                   server.connection_limit);
}

std::vector<admin::VirtualStatus> Statistics::virtuals(const config::Config& config) const {
  std::vector<admin::VirtualStatus> out;
  if (balancing_.current() == nullptr) return out;
  for (const lb::VirtualServer& server : balancing_.current()->virtual_servers()) {
    const config::VirtualServer* configured = find_virtual(config, server.name);
    if (configured == nullptr) continue;
    admin::VirtualStatus status;
    status.name = server.name;
    status.partition = server.partition;
    status.destination = server.destination.text();
    status.mode = config::name_of(server.mode);
    status.pool = configured->pool;
    status.snat = snat_text(*configured);
    status.persistence = persist_text(*configured);
    status.state = to_state(status_of(server));
    status.origin = configured->origin.text;
    status.connection_limit = server.connection_limit;
    status.traffic = traffic_of(server.runtime->connections, server.runtime->shares.traffic(), server.runtime.get());
    if (server.mode == lb::Mode::http) status.http = http_of(server);
    out.push_back(std::move(status));
  }
  return out;
}

std::vector<admin::VirtualAddressStatus> Statistics::virtual_addresses(const config::Config& config,
                                                                       const RouteHealth& health, bool bgp) const {
  const Instant now = io::now();
  std::map<Ipv4Address, std::vector<const lb::VirtualServer*>> servers;
  if (balancing_.current() != nullptr) {
    for (const auto& server : balancing_.current()->virtual_servers()) {
      servers[server.destination.address].push_back(&server);
    }
  }
  std::vector<admin::VirtualAddressStatus> out;
  for (const config::VirtualAddress& address : config.virtual_addresses) {
    admin::VirtualAddressStatus status;
    status.address = address.address.text();
    status.icmp_echo = config::name_of(address.icmp_echo);
    status.route_advertisement = config::name_of(address.route_advertisement);
    status.arp = address.arp;
    const RouteHealth::State state = health.state(now, address.address);
    status.announced = bgp && state.announced;
    status.announcement = bgp ? state.reason : "BGP is not configured";
    status.communities = address.announcement.communities;
    status.med = address.announcement.med;
    status.prepend = address.announcement.prepend;
    status.local_preference = address.announcement.local_preference;
    status.draining =
        address.announcement.graceful_shutdown || config.bgp.graceful_shutdown || health.draining(address.address);
    std::vector<lb::ObjectStatus> states;
    for (const lb::VirtualServer* server : servers[address.address]) {
      states.push_back(status_of(*server));
      status.virtual_servers.push_back(server->name);
    }
    status.state = to_state(lb::virtual_address_status(states));
    out.push_back(std::move(status));
  }
  return out;
}

admin::MemberStatus Statistics::member_of(const lb::Pool& pool, std::size_t member) const {
  const lb::MemberSpec& spec = pool.spec.members[member];
  const lb::MemberRuntime& runtime = *pool.runtimes[member];
  const lb::MonitorVerdict verdict = health_.verdict(pool.spec.name, spec.endpoint);
  admin::MemberStatus status;
  status.pool = pool.spec.name;
  status.partition = pool.spec.partition;
  status.endpoint = spec.endpoint.text();
  status.state = to_state(status_of(pool, member));
  const bool user_disabled = spec.state != lb::MemberState::enabled;
  status.session = user_disabled ? "user-disabled" : verdict.session_disabled ? "monitor-disabled" : "monitor-enabled";
  status.monitor_state = spec.state == lb::MemberState::forced_offline ? "user-down" : lb::name_of(verdict.status);
  status.ratio = spec.ratio;
  status.priority_group = spec.priority_group;
  status.connection_limit = spec.connection_limit;
  status.since_s = health_.since_s(pool.spec.name, spec.endpoint);
  status.traffic = traffic_of(runtime.connections, runtime.shares.traffic(), &runtime);
  return status;
}

std::vector<admin::PoolStatus> Statistics::pools(const config::Config& config) const {
  std::vector<admin::PoolStatus> out;
  if (balancing_.current() == nullptr) return out;
  for (const auto& pool : balancing_.current()->pools()) {
    const config::Pool* configured = find_pool(config, pool->spec.name);
    if (configured == nullptr) continue;
    admin::PoolStatus status;
    status.name = pool->spec.name;
    status.partition = pool->spec.partition;
    status.balance = config::name_of(pool->spec.balance);
    status.monitor = monitor_text(*configured);
    status.service_down_action = config::name_of(pool->spec.service_down);
    status.origin = configured->origin.text;
    status.state = to_state(status_of(*pool));
    status.min_active_members = pool->spec.min_active_members;
    status.total_members = static_cast<std::uint32_t>(pool->members.size());
    for (std::size_t i = 0; i < pool->members.size(); ++i) {
      status.members.push_back(member_of(*pool, i));
      const bool available = status.members.back().state.availability == admin::Availability::available;
      status.available_members += available ? 1 : 0;
      status.current_active_members += pool->members[i].takes_new ? 1 : 0;
    }
    status.traffic = traffic_of(pool->runtime->connections, balancing_.registry().pool_traffic(pool->spec.name),
                                pool->runtime.get());
    out.push_back(std::move(status));
  }
  return out;
}

std::vector<admin::NodeStatus> Statistics::nodes(const config::Config& config) const {
  struct Node {
    admin::NodeStatus status;
    const lb::NodeRuntime* runtime = nullptr;
    lb::Traffic traffic;
    TrafficRates::PerSecond rates{};
  };
  std::map<Ipv4Address, Node> nodes;
  if (balancing_.current() == nullptr) return {};
  for (const auto& pool : balancing_.current()->pools()) {
    if (find_pool(config, pool->spec.name) == nullptr) continue;
    for (const auto& member : pool->runtimes) {
      Node& node = nodes[member->endpoint.address];
      node.runtime = member->node.get();
      node.traffic += member->shares.traffic();
      const auto rates = traffic_rates_.of(key_of(member.get()));
      for (std::size_t i = 0; i < rates.size(); ++i) node.rates[i] += rates[i];
      node.status.members.push_back(pool->spec.name + " " + member->endpoint.text());
    }
  }
  std::vector<admin::NodeStatus> out;
  for (auto& [address, node] : nodes) {
    node.status.address = address.text();
    node.status.state = {admin::Availability::unknown, true, "Node address does not have service checking enabled"};
    node.status.traffic = traffic_of(node.runtime->connections, node.traffic, node.runtime);
    node.status.traffic.bytes_in_rate = node.rates[0];
    node.status.traffic.bytes_out_rate = node.rates[1];
    node.status.traffic.packets_in_rate = node.rates[2];
    node.status.traffic.packets_out_rate = node.rates[3];
    node.status.traffic.connections_rate = node.rates[4];
    out.push_back(std::move(node.status));
  }
  return out;
}

}  // namespace sluice::daemon
