// From the model's values to the Builder's specs; see compile.h.
#include "control/config/compile.h"

#include <fmt/format.h>

#include "lb/balance/balance.h"

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

lb::VirtualServerSpec virtual_server_spec(const VirtualServer& vs) {
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
          .idle = vs.idle};
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
  for (const VirtualServer& vs : config.virtual_servers) builder.add_virtual_server(virtual_server_spec(vs));
  return builder.build(now, previous);
}

}  // namespace sluice::config
