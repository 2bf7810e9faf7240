// From the model's values to the Builder's specs; see compile.h.
#include "control/config/compile.h"

#include <fmt/format.h>

#include <algorithm>

#include "lb/balance/balance.h"
#include "lb/l7/profile.h"

namespace sluice::config {
namespace {

lb::MonitorVerdict verdict_of(const CompileInput& input, const Pool& pool, const Member& member) {
  if (input.verdict) return input.verdict(pool, member);
  return {pool.monitors.empty() ? lb::MonitorStatus::unchecked : lb::MonitorStatus::checking, false, {}};
}

lb::PoolSpec pool_spec(const CompileInput& input, const Pool& pool) {
  lb::PoolSpec spec;
  spec.name = pool.name;
  spec.partition = pool.partition;
  spec.balance = pool.balance;
  spec.min_active_members = pool.min_active_members;
  spec.slow_ramp = pool.slow_ramp;
  spec.service_down = pool.service_down;
  spec.members.reserve(pool.members.size());
  for (const Member& member : pool.members) {
    spec.members.push_back({.endpoint = member.endpoint,
                            .ratio = member.ratio,
                            .connection_limit = member.connection_limit,
                            .priority_group = member.priority_group,
                            .state = member.state,
                            .verdict = verdict_of(input, pool, member)});
  }
  return spec;
}

// The options of mode http as workers read them, null when all are at their default. The profile of the snapshot before
// is used again while nothing has changed: its rate limits go on counting.
std::shared_ptr<const lb::Retained> http_profile(const CompileInput& input, const VirtualServer& vs,
                                                 const lb::Snapshot* previous) {
  if (vs.mode != Mode::http) return nullptr;
  lb::HttpOptions options = vs.http;
  options.oneconnect.enabled = vs.oneconnect;
  if (options == lb::HttpOptions{}) return nullptr;
  if (previous != nullptr) {
    const auto servers = previous->virtual_servers();
    const auto before = std::ranges::find(servers, vs.name, &lb::VirtualServer::name);
    if (before != servers.end() && before->http != nullptr) {
      const auto* profile = static_cast<const lb::HttpProfile*>(before->http);
      if (profile->options == options) return profile->shared_from_this();
    }
  }
  return std::make_shared<lb::HttpProfile>(std::move(options), input.registry.workers());
}

std::vector<std::string> route_pools(const VirtualServer& vs) {
  std::vector<std::string> pools;
  if (vs.mode == Mode::http)
    for (const lb::HttpRoute& route : vs.http.routes) pools.push_back(route.pool);
  return pools;
}

lb::VirtualServerSpec virtual_server_spec(const CompileInput& input, const VirtualServer& vs,
                                          const lb::Snapshot* previous) {
  return {.name = vs.name,
          .partition = vs.partition,
          .destination = vs.destination,
          .mode = vs.mode,
          .enabled = vs.enabled,
          .pool = vs.pool,
          .snat = vs.snat,
          .snat_pool = vs.snat_pool,
          .persist = vs.persist,
          .persist_timeout = vs.persist_timeout,
          .connection_limit = vs.connection_limit,
          .idle = vs.idle,
          .http = http_profile(input, vs, previous),
          .http_pools = route_pools(vs),
          .answers_itself = vs.mode == Mode::http && vs.http.redirect.status != 0};
}

}  // namespace

Result<std::shared_ptr<const lb::Snapshot>> compile(Instant now, const Config& config, const CompileInput& input,
                                                    const lb::Snapshot* previous) {
  lb::Builder builder(input.registry, lb::balance::state_factory(input.registry.workers()));
  for (const SelfIp& self_ip : config.self_ips) {
    const auto port = input.port_id(self_ip.port);
    if (!port) return fail("self IP " + self_ip.name, fmt::format("there is no port \"{}\"", self_ip.port));
    builder.add_self_ip({self_ip.address, *port});
  }
  for (const SnatPool& pool : config.snat_pools) builder.add_snat_pool({pool.name, pool.addresses});
  for (const VirtualAddress& va : config.virtual_addresses) {
    builder.add_virtual_address({.address = va.address, .icmp_echo = va.icmp_echo, .arp = va.arp});
  }
  for (const Pool& pool : config.pools) builder.add_pool(pool_spec(input, pool));
  for (const VirtualServer& vs : config.virtual_servers)
    builder.add_virtual_server(virtual_server_spec(input, vs, previous));
  return builder.build(now, previous);
}

}  // namespace sluice::config
