// New flows: the member, the source address and port, the place in the table; see l4.h.
#include "lb/balance/balance.h"
#include "lb/l4/l4.h"
#include "lb/l4/pass.h"

namespace sluice::lb {
namespace {

std::uint8_t protocol_number(Protocol protocol) {
  return protocol == Protocol::tcp ? wire::kProtocolTcp : wire::kProtocolUdp;
}

// Spreads clients over the addresses of a SNAT pool.
std::uint32_t hash_of(Ipv4Address address) { return address.value * 0x9e3779b9u; }

}  // namespace

std::optional<DropReason> L4::choose_member(Instant now, const wire::Layers& layers, const VirtualServer& vs,
                                            const Member*& member) {
  if (vs.pool == nullptr) return DropReason::no_available_member;
  const bool persists = vs.persist == PersistKind::source_address;
  if (persists) {
    const std::uint32_t id = context_.persistence->use(now, vs.runtime->id, layers.source, vs.persist_timeout);
    const Member* known = id == kNoPersistentMember ? nullptr : vs.pool->member_by_id(id);
    if (known != nullptr && known->takes_persistent && known->runtime->acquire(known->connection_limit)) {
      member = known;
      return std::nullopt;
    }
  }
  const balance::Picked picked = balance::pick(*vs.pool, {now, options_.worker, layers.source});
  if (picked.member == nullptr) {
    return picked.at_limit ? DropReason::connection_limit : DropReason::no_available_member;
  }
  member = picked.member;
  if (persists) context_.persistence->put(now, vs.runtime->id, layers.source, member->runtime->id);
  return std::nullopt;
}

// The way to the member (remembered in `hop`) and the address of ours on the server side. `server` gets it, and the
// client's port as the one to try first: its place in the table is on the way to the cache when choose_port() looks.
std::optional<DropReason> L4::choose_address(Instant now, const VirtualServer& vs, const flow::FlowKey& client,
                                             flow::FlowKey& server, ip::CachedHop& cached) {
  const ip::Hop hop = context_.output.route(now, server.source, route_hash(client), cached);
  if (hop.status == ip::HopStatus::local) return DropReason::looped_to_self;
  if (!hop.can_transmit()) return ip::drop_reason_of(hop.status);
  switch (vs.snat) {
    case SnatKind::none:
      server.destination = client.source;
      break;
    case SnatKind::automap:
      server.destination = context_.local.source_for(hop.port, server.source);
      if (server.destination.is_zero()) return DropReason::snat_port_exhausted;
      break;
    case SnatKind::pool: {
      // By the client, so that one client is one address to the member.
      const auto& addresses = vs.snat_pool->addresses;
      server.destination = addresses[hash_of(client.source) % addresses.size()];
      break;
    }
  }
  server.dst_port = client.src_port;
  table_.prefetch(server);
  return std::nullopt;
}

// False: there is none.
bool L4::choose_port(const VirtualServer& vs, const flow::FlowKey& client, flow::FlowKey& server) {
  if (vs.snat == SnatKind::none) return true;
  if (ports_.allocate(table_, server, client.src_port)) return true;
  if (vs.snat == SnatKind::automap) return false;
  // The other addresses of the pool, each once.
  const auto& addresses = vs.snat_pool->addresses;
  const std::size_t first = hash_of(client.source) % addresses.size();
  for (std::size_t i = 1; i < addresses.size(); ++i) {
    server.destination = addresses[(first + i) % addresses.size()];
    if (ports_.allocate(table_, server, client.src_port)) return true;
  }
  return false;
}

L4Flow* L4::allocate_flow() {
  if (L4Flow* flow = table_.allocate()) return flow;
  L4Flow* oldest = table_.oldest_embryonic();
  if (oldest == nullptr) return nullptr;
  context_.counters.flows_evicted.add();
  end(*oldest);
  return table_.allocate();
}

std::optional<DropReason> L4::make_flow(Instant now, packet::Packet packet, const wire::Layers& layers,
                                        const VirtualServer& vs, std::uint64_t hash, L4Flow*& made) {
  const Member* member = nullptr;
  if (const auto refused = choose_member(now, layers, vs, member)) return refused;
  const std::uint8_t protocol = protocol_number(vs.protocol);
  const flow::FlowKey client{layers.source, layers.destination, layers.src_port, layers.dst_port, protocol, {}};
  flow::FlowKey server{member->endpoint.address, {}, member->endpoint.port, 0, protocol, {}};
  ip::CachedHop hop;
  std::optional<DropReason> refused = choose_address(now, vs, client, server, hop);
  L4Flow* const flow = refused ? nullptr : allocate_flow();
  if (!refused && flow == nullptr) refused = DropReason::flow_table_full;
  if (!refused) {
    flow->keys[0] = client;
    flow->member = member->runtime;
    flow->virtual_server = vs.runtime.get();
    flow->hops[0] = hop;
    flow->last_used = L4FlowTable::tick(now);
    if (vs.protocol == Protocol::tcp) {
      open_tcp(*flow, TcpSegment::of(packet.data(), layers));
    } else {
      flow->state = FlowState::one_way;
    }
    const bool possible = choose_port(vs, client, server);
    flow->keys[1] = server;
    prepare_deltas(*flow);
    if (!possible || !table_.insert(*flow, hash, now, now + idle_timeout(*flow))) {
      table_.release(*flow);
      refused = DropReason::snat_port_exhausted;
    }
  }
  if (refused) {
    member->runtime->release();
    return refused;
  }
  made = flow;
  return std::nullopt;
}

void L4::open(Instant now, packet::Packet packet, const wire::Layers& layers, const VirtualServer& vs,
              std::uint64_t hash) {
  if (vs.protocol == Protocol::tcp && (layers.tcp_flags & (wire::kTcpSyn | wire::kTcpAck)) != wire::kTcpSyn) {
    return context_.egress.reject(now, packet, layers, DropReason::tcp_no_flow);
  }
  if (layers.ttl <= 1 && packet.rx_port() != context_.host_port) {
    return context_.egress.refuse(now, packet, layers, DropReason::ttl_exceeded, ip::IcmpError::ttl_exceeded());
  }
  if (!vs.enabled) return context_.egress.reject(now, packet, layers, DropReason::virtual_server_disabled);
  if (!vs.runtime->connections.acquire(vs.connection_limit)) {
    return context_.egress.reject(now, packet, layers, DropReason::connection_limit);
  }
  L4Flow* flow = nullptr;
  if (const auto refused = make_flow(now, packet, layers, vs, hash, flow)) {
    vs.runtime->connections.release();
    return context_.egress.reject(now, packet, layers, *refused);
  }
  context_.counters.flows_created.add();
  context_.counters.flows_open.set(table_.size());
  pass(now, packet, layers, *flow, Direction::from_client);
}

}  // namespace sluice::lb
