// ConfigMaps to pools, virtual servers and monitors, with clashes kept out; see model.h.
#include "control/k8s/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "control/config/normalise.h"
#include "control/config/schema.h"
#include "control/config/validate.h"

namespace sluice::k8s {
namespace {

// What a virtual server may not take because it is taken.
class Taken {
 public:
  explicit Taken(const config::Config& base) : base_(base) {
    for (const auto& server : base.virtual_servers) {
      servers_.insert(server.name);
      destinations_.emplace(std::pair(server.destination, server.mode == config::Mode::udp),
                            fmt::format("{} ({})", server.name, server.origin.text));
    }
    for (const auto& pool : base.pools) pools_.insert(pool.name), members_ += pool.members.size();
    for (const auto& monitor : base.monitors) monitors_.insert(monitor.name);
    for (const auto& pool : base.snat_pools)
      for (const auto address : pool.addresses) snat_.emplace(address, pool.name);
  }

  // Why this cannot join the Config; empty if it can.
  std::string why_not(const config::Pool& pool, const std::vector<config::Monitor>& monitors,
                      const config::VirtualServer* server) const {
    if (pools_.contains(pool.name)) return fmt::format("there is a pool {} already", config::in_quotes(pool.name));
    for (const auto& monitor : monitors)
      if (monitors_.contains(monitor.name))
        return fmt::format("there is a monitor {} already", config::in_quotes(monitor.name));
    if (pools_.size() >= config::kPoolsMax) return fmt::format("more than {} pools", config::kPoolsMax);
    if (monitors_.size() + monitors.size() > config::kMonitorsMax)
      return fmt::format("more than {} monitors", config::kMonitorsMax);
    if (pool.members.size() > config::kMembersMax)
      return fmt::format("{} members in one pool: at most {} are possible", pool.members.size(), config::kMembersMax);
    if (members_ + pool.members.size() > config::kMembersTotalMax)
      return fmt::format("more than {} members in all pools", config::kMembersTotalMax);
    return server == nullptr ? "" : why_not(*server);
  }

  void take(const config::Pool& pool, const std::vector<config::Monitor>& monitors,
            const config::VirtualServer* server) {
    pools_.insert(pool.name);
    members_ += pool.members.size();
    for (const auto& monitor : monitors) monitors_.insert(monitor.name);
    if (server == nullptr) return;
    servers_.insert(server->name);
    destinations_.emplace(std::pair(server->destination, server->mode == config::Mode::udp), server->origin.text);
  }

 private:
  std::string why_not(const config::VirtualServer& server) const {
    if (servers_.contains(server.name))
      return fmt::format("there is a virtual server {} already", config::in_quotes(server.name));
    if (servers_.size() >= config::kVirtualServersMax)
      return fmt::format("more than {} virtual servers", config::kVirtualServersMax);
    const auto other = destinations_.find(std::pair(server.destination, server.mode == config::Mode::udp));
    if (other != destinations_.end())
      return fmt::format("{} is already the destination of {}", server.destination.text(), other->second);
    if (const auto found = snat_.find(server.destination.address); found != snat_.end())
      return fmt::format("{} is an address of SNAT pool {}", found->first.text(), config::in_quotes(found->second));
    return config::check_virtual_address(base_, server.destination.address).value_or("");
  }

  const config::Config& base_;
  std::unordered_set<std::string> servers_, pools_, monitors_;
  std::map<std::pair<Ipv4Endpoint, bool>, std::string> destinations_;
  std::map<Ipv4Address, std::string> snat_;
  std::size_t members_ = 0;
};

class ModelBuilder {
 public:
  ModelBuilder(const config::Config& base, const Cluster& cluster, ModelOutcome& out)
      : base_(base), cluster_(cluster), out_(out), taken_(base) {}

  // Whether the ConfigMap is one that this load balancer was told to serve.
  bool is_ours(const ObjectKey& key, const VirtualServerSpec& spec) {
    const auto& wanted = base_.kubernetes.namespaces;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), key.space) == wanted.end()) {
      notice(spec, fmt::format("is left alone: kubernetes.namespaces does not name {}", key.space));
      return false;
    }
    if (!base_.kubernetes.partition.empty() && base_.kubernetes.partition != spec.partition) {
      notice(spec, fmt::format("is left alone: its partition is {}, ours is {}", config::in_quotes(spec.partition),
                               config::in_quotes(base_.kubernetes.partition)));
      return false;
    }
    return true;
  }

  // Adds it if nothing is in its way; otherwise says what is.
  std::string add(const ObjectKey& key, const VirtualServerSpec& spec) {
    const auto type = base_.kubernetes.pool_member_type;
    config::Pool pool{.name = fmt::format("cfgmap_{}_{}_{}", key.space, key.name, spec.service),
                      .partition = spec.partition,
                      .balance = spec.balance,
                      .origin = {spec.origin}};
    std::string said;
    pool.members = members_of(cluster_, key.space, spec, type, said);
    std::vector<config::Monitor> monitors = monitors_of(spec, pool);
    config::VirtualServer server{.name = fmt::format("{}_{}", key.space, key.name), .partition = spec.partition};
    if (spec.destination) server.destination = *spec.destination;
    server.mode = spec.mode;
    server.pool = pool.name;
    if (server.mode == config::Mode::http) {
      server.oneconnect = base_.kubernetes.oneconnect;
      server.http = base_.kubernetes.http;
    }
    server.origin = {spec.origin};
    const auto* listening = spec.destination ? &server : nullptr;

    if (auto why = taken_.why_not(pool, monitors, listening); !why.empty()) return why;
    taken_.take(pool, monitors, listening);
    if (!said.empty()) notice(spec, said);
    out_.config.monitors.insert(out_.config.monitors.end(), monitors.begin(), monitors.end());
    out_.config.pools.push_back(std::move(pool));
    if (listening != nullptr) out_.config.virtual_servers.push_back(std::move(server));
    return "";
  }

  void error(const VirtualServerSpec& spec, std::string message) {
    out_.errors.push_back({spec.place, std::move(message)});
  }
  void notice(const VirtualServerSpec& spec, std::string message) {
    out_.notices.push_back({spec.place, std::move(message)});
  }

 private:
  static std::vector<config::Monitor> monitors_of(const VirtualServerSpec& spec, config::Pool& pool) {
    std::vector<config::Monitor> out;
    for (std::size_t i = 0; i < spec.monitors.size(); ++i) {
      const auto& from = spec.monitors[i];
      config::Monitor monitor{.name = fmt::format("{}_{}_{}", pool.name, i, from.protocol)};
      monitor.type = config::value_of<config::MonitorType>(from.protocol).value_or(config::MonitorType::tcp);
      monitor.interval = std::chrono::seconds(from.interval_s);
      monitor.timeout = std::chrono::seconds(from.timeout_s);
      monitor.send_written = from.send;
      monitor.recv = from.recv;
      pool.monitors.push_back(monitor.name);
      out.push_back(std::move(monitor));
    }
    return out;
  }

  const config::Config& base_;
  const Cluster& cluster_;
  ModelOutcome& out_;
  Taken taken_;
};

}  // namespace

void Cluster::add(const ObjectKey& key, const Object& object) {
  const Name name{key.space, key.name};
  if (const auto* spec = std::get_if<VirtualServerSpec>(&object))
    servers.insert_or_assign(key, spec);
  else if (const auto* service = std::get_if<Service>(&object))
    services.emplace(name, service);
  else if (const auto* some = std::get_if<Endpoints>(&object))
    endpoints.emplace(name, some);
  else if (const auto* slice = std::get_if<EndpointSlice>(&object))
    slices[{key.space, slice->service}].push_back(slice);
  else if (const auto* pool = std::get_if<IpPool>(&object))
    ip_pools.push_back(pool);
  else if (const auto* block = std::get_if<BlockAffinity>(&object))
    block_affinities.push_back(block);
  else
    nodes.push_back(nodes_by_name.emplace(key.name, &std::get<ClusterNode>(object)).first->second);
}

// Unchanged objects come first, so that a new one never pushes out one that already serves.
void build_model(const config::Config& base, const Cluster& cluster, Accepted& accepted, ModelOutcome& out) {
  out.config = base;
  ModelBuilder builder(base, cluster, out);
  Accepted now;
  std::vector<std::pair<const ObjectKey*, const VirtualServerSpec*>> first, then;
  for (const auto& [key, spec] : cluster.servers) {
    if (!builder.is_ours(key, *spec)) continue;
    const auto before = accepted.find(key);
    (before != accepted.end() && before->second == *spec ? first : then).emplace_back(&key, spec);
  }
  first.insert(first.end(), then.begin(), then.end());
  for (const auto& [key, spec] : first) {
    const std::string why = builder.add(*key, *spec);
    if (why.empty()) {
      now.emplace(*key, *spec);
      continue;
    }
    const auto good = accepted.find(*key);
    const bool keep = good != accepted.end() && !(good->second == *spec) && builder.add(*key, good->second).empty();
    if (keep) now.emplace(*key, good->second);
    builder.error(*spec, why + (keep ? "; its last good version stays in force" : ""));
  }
  accepted = std::move(now);
  if (out.config.bgp.local_as != 0) learn_calico(cluster, out.config.bgp);
  config::normalise(out.config);
}

}  // namespace sluice::k8s
