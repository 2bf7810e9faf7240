// New flows: the member and the source address, then the source port and the place in the table; see l4.h.
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
    if (known != nullptr && known->takes_persistent &&
        known->runtime->acquire(options_.worker, known->connection_limit)) {
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

// The way to the member (remembered in `cached`) and the address of ours on the server side. `server` gets it, and the
// client's port as the one to try first.
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
  return std::nullopt;
}

// The source port on the server side, and the hash of the key that it makes. False: there is none.
bool L4::choose_port(const VirtualServer& vs, const flow::FlowKey& client, flow::FlowKey& server, std::uint64_t& hash) {
  if (vs.snat == SnatKind::none) {
    hash = table_.hash(server);
    return server != client && !table_.find(server, hash);
  }
  if (ports_.allocate(table_, server, client.src_port, hash)) return server != client;
  if (vs.snat == SnatKind::automap) return false;
  // The other addresses of the pool, each once.
  const auto& addresses = vs.snat_pool->addresses;
  const std::size_t first = hash_of(client.source) % addresses.size();
  for (std::size_t i = 1; i < addresses.size(); ++i) {
    server.destination = addresses[(first + i) % addresses.size()];
    if (ports_.allocate(table_, server, client.src_port, hash)) return server != client;
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

// The first step: all that tells where in the table the flow will be.
std::optional<DropReason> L4::prepare(Instant now, Opening& o) {
  if (const auto refused = choose_member(now, o.layers, *o.vs, o.member)) return refused;
  const std::uint8_t protocol = protocol_number(o.vs->protocol);
  o.client = {o.layers.source, o.layers.destination, o.layers.src_port, o.layers.dst_port, protocol, {}};
  o.server = {o.member->endpoint.address, {}, o.member->endpoint.port, 0, protocol, {}};
  o.hop = {};
  if (const auto refused = choose_address(now, *o.vs, o.client, o.server, o.hop)) {
    o.member->runtime->release();
    return refused;
  }
  o.server_hash = table_.prefetch(o.server);
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
  if (!vs.runtime->connections.acquire(options_.worker, vs.connection_limit)) {
    return context_.egress.reject(now, packet, layers, DropReason::connection_limit);
  }
  if (opening_count_ == openings_.size()) finish_openings(now);
  Opening& opening = openings_[opening_count_];
  opening.packet = packet;
  opening.vs = &vs;
  opening.layers = layers;
  if (const auto refused = prepare(now, opening)) {
    vs.runtime->connections.release();
    return context_.egress.reject(now, packet, layers, *refused);
  }
  opening_hashes_[opening_count_++] = hash;
  opening_bits_[hash >> 60] |= std::uint64_t{1} << (hash >> 54 & 63);
}

// ---- the second step

void L4::finish_openings(Instant now) {
  if (opening_count_ == 0) return;
  const auto openings = std::span(openings_.data(), opening_count_);
  std::uint32_t tries = 0;
  for (const Opening& o : openings) {
    // Whoever has the port already, if anybody; then another one will be looked for.
    const bool taken = table_.prefetch_entry(o.server_hash) != L4FlowTable::kNoCandidate;
    if ((!taken && ports_.is_own(o.server.dst_port)) || o.vs->snat == SnatKind::none) continue;
    flow::FlowKey next = o.server;
    next.dst_port = ports_.upcoming(tries++);
    table_.prefetch(next);
  }
  for (std::uint32_t i = 0; i < opening_count_; ++i) finish(now, openings[i], opening_hashes_[i]);
  opening_count_ = 0;
  opening_bits_ = {};
}

std::optional<DropReason> L4::make_flow(Instant now, Opening& o, std::uint64_t hash, L4Flow*& made) {
  L4Flow* const flow = allocate_flow();
  if (flow == nullptr) return DropReason::flow_table_full;
  std::uint64_t server_hash = 0;
  if (!choose_port(*o.vs, o.client, o.server, server_hash)) {
    table_.release(*flow);
    return DropReason::snat_port_exhausted;
  }
  flow->keys[0] = o.client;
  flow->keys[1] = o.server;
  flow->member = o.member->runtime;
  flow->virtual_server = o.vs->runtime.get();
  flow->hops[0] = o.hop;
  flow->last_used = L4FlowTable::tick(now);
  if (o.vs->protocol == Protocol::tcp) {
    open_tcp(*flow, TcpSegment::of(o.packet.data(), o.layers));
  } else {
    flow->state = FlowState::one_way;
  }
  prepare_deltas(*flow);
  table_.insert_new(*flow, hash, server_hash, now, now + idle_timeout(*flow));
  made = flow;
  return std::nullopt;
}

void L4::finish(Instant now, Opening& o, std::uint64_t hash) {
  L4Flow* flow = nullptr;
  if (const auto refused = make_flow(now, o, hash, flow)) {
    o.member->runtime->release();
    o.vs->runtime->connections.release();
    return context_.egress.reject(now, o.packet, o.layers, *refused);
  }
  context_.counters.flows_created.add();
  context_.counters.flows_open.set(table_.size());
  pass(now, o.packet, o.layers, *flow, Direction::from_client);
}

}  // namespace sluice::lb
