// Config to Snapshot; see compile.h.
#include "control/daemon/compile.h"

#include <fmt/format.h>

#include "lb/balance/balance.h"

namespace sluice::daemon {
namespace {

lb::PoolSpec spec_of(const config::Pool& pool, const CompileContext& context) {
  lb::PoolSpec spec;
  spec.name = pool.name;
  spec.partition = pool.partition;
  spec.balance = pool.balance;
  spec.min_active_members = pool.min_active_members;
  spec.slow_ramp = pool.slow_ramp;
  spec.service_down = pool.service_down;
  for (const config::Member& member : pool.members) {
    lb::MemberSpec out;
    out.endpoint = member.endpoint;
    out.ratio = member.ratio;
    out.connection_limit = member.connection_limit;
    out.priority_group = member.priority_group;
    out.state = member.state;
    out.verdict = context.verdict_of(pool.name, member.endpoint);
    spec.members.push_back(std::move(out));
  }
  return spec;
}

lb::VirtualServerSpec spec_of(const config::VirtualServer& server) {
  lb::VirtualServerSpec spec;
  spec.name = server.name;
  spec.partition = server.partition;
  spec.destination = server.destination;
  spec.mode = server.mode;
  spec.enabled = server.enabled;
  spec.pool = server.pool;
  spec.snat = server.snat;
  spec.snat_pool = server.snat_pool;
  spec.persist = server.persist;
  spec.persist_timeout = server.persist_timeout;
  spec.connection_limit = server.connection_limit;
  spec.idle = server.idle;
  return spec;
}

}  // namespace

Result<std::shared_ptr<const lb::Snapshot>> compile(Instant now, const config::Config& config,
                                                    const CompileContext& context, const lb::Snapshot* previous) {
  lb::Builder builder(context.registry, lb::balance::state_factory(context.registry.workers()));
  for (const config::SelfIp& self : config.self_ips) {
    const packet::PortId port = context.port_id_of(self.port);
    if (port == packet::kNoPort) return fail("self-ips." + self.name, fmt::format("no port \"{}\"", self.port));
    builder.add_self_ip({self.address, port});
  }
  for (const config::SnatPool& pool : config.snat_pools) builder.add_snat_pool({pool.name, pool.addresses});
  for (const config::VirtualAddress& address : config.virtual_addresses) {
    builder.add_virtual_address({address.address, address.icmp_echo, address.arp});
  }
  for (const config::Pool& pool : config.pools) builder.add_pool(spec_of(pool, context));
  for (const config::VirtualServer& server : config.virtual_servers) builder.add_virtual_server(spec_of(server));
  return builder.build(now, previous);
}

}  // namespace sluice::daemon
