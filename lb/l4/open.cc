// New flows: the member, the source address and port, the place in the table; see l4.h.
#include "lb/balance/balance.h"
#include "lb/l4/l4.h"
#include "lb/l4/rewrite.h"

namespace sluice::lb {
namespace {

std::uint8_t protocol_number(Protocol protocol) {
  return protocol == Protocol::tcp ? wire::kProtocolTcp : wire::kProtocolUdp;
}

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

// Fills in the server side's address and port of ours.
std::optional<DropReason> L4::choose_source(Instant now, const VirtualServer& vs, L4Flow& flow) {
  flow::FlowKey& server = flow.keys[1];
  const flow::FlowKey& client = flow.keys[0];
  const ip::Hop hop = context_.output.route(now, server.source, hash_of(client.source));
  if (hop.status == ip::HopStatus::local) return DropReason::looped_to_self;
  if (!hop.can_transmit()) return ip::drop_reason_of(hop.status);
  switch (vs.snat) {
    case SnatKind::none:
      server.destination = client.source;
      server.dst_port = client.src_port;
      return std::nullopt;
    case SnatKind::automap:
      server.destination = context_.local.source_for(hop.port, server.source);
      if (server.destination.is_zero()) return DropReason::snat_port_exhausted;
      break;
    case SnatKind::pool: {
      // By the client, so that one client is one address to the member; the next ones when its ports are all taken.
      const auto& addresses = vs.snat_pool->addresses;
      const std::size_t first = hash_of(client.source) % addresses.size();
      for (std::size_t i = 0; i < addresses.size(); ++i) {
        server.destination = addresses[(first + i) % addresses.size()];
        if (ports_.allocate(table_, server, client.src_port)) return std::nullopt;
      }
      return DropReason::snat_port_exhausted;
    }
  }
  if (!ports_.allocate(table_, server, client.src_port)) return DropReason::snat_port_exhausted;
  return std::nullopt;
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
                                        const VirtualServer& vs, L4Flow*& made) {
  const Member* member = nullptr;
  if (const auto refused = choose_member(now, layers, vs, member)) return refused;
  L4Flow* flow = allocate_flow();
  if (flow == nullptr) {
    member->runtime->release();
    return DropReason::flow_table_full;
  }
  const std::uint8_t protocol = protocol_number(vs.protocol);
  flow->keys[0] = {layers.source, layers.destination, layers.src_port, layers.dst_port, protocol, {}};
  // A virtual server of any port keeps the client's choice.
  flow->keys[1] = {member->endpoint.address, {}, member->endpoint.port, 0, protocol, {}};
  flow->member = member->runtime;
  flow->virtual_server = vs.runtime.get();
  std::optional<DropReason> refused = choose_source(now, vs, *flow);
  if (!refused) {
    prepare_deltas(*flow);
    flow->last_used = L4FlowTable::tick(now);
    if (vs.protocol == Protocol::tcp) {
      open_tcp(*flow, TcpSegment::of(packet.data(), layers));
    } else {
      flow->state = FlowState::one_way;
    }
    if (!table_.insert(*flow, now, now + idle_timeout(*flow))) refused = DropReason::snat_port_exhausted;
  }
  if (refused) {
    table_.release(*flow);
    member->runtime->release();
    return refused;
  }
  made = flow;
  return std::nullopt;
}

void L4::open(Instant now, packet::Packet packet, const wire::Layers& layers, const VirtualServer& vs) {
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
  if (const auto refused = make_flow(now, packet, layers, vs, flow)) {
    vs.runtime->connections.release();
    return context_.egress.reject(now, packet, layers, *refused);
  }
  context_.counters.flows_created.add();
  context_.counters.flows_open.set(table_.size());
  pass(now, packet, layers, *flow, Direction::from_client);
}

}  // namespace sluice::lb
