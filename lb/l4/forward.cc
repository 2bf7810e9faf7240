// Packets of flows that exist, and the ends of flows; see l4.h.
#include "lb/l4/l4.h"
#include "lb/l4/pass.h"

namespace sluice::lb {

L4::L4(const Options& options, const Context& context)
    : options_(options),
      context_(context),
      table_(options.flows_max, options.seed, options.start),
      ports_(options.snat_port_first, options.snat_port_last, options.worker, options.workers) {}

L4::~L4() {
  for (std::uint32_t slot = 0; slot < table_.capacity(); ++slot) {
    if (L4Flow* flow = table_.at(slot)) end(*flow);
  }
}

void L4::set_snapshot(Instant, const Snapshot* snapshot) {
  if (snapshot != nullptr && snapshot->sweep_generation() != sweep_generation_) {
    sweep_generation_ = snapshot->sweep_generation();
    sweep_left_ = table_.capacity();
  }
  snapshot_ = snapshot;
}

void L4::end(L4Flow& flow) {
  VirtualServerRuntime* const virtual_server = flow.virtual_server;
  MemberRuntime* const member = flow.member;
  const bool lingered = flow.has(L4Flow::kLingers);
  table_.erase(flow);
  if (lingered) {
    virtual_server->shares.of(options_.worker).linger(false);
    member->shares.of(options_.worker).linger(false);
  } else {
    virtual_server->connections.release();
    member->release();
  }
  context_.counters.flows_ended.add();
  context_.counters.flows_open.set(table_.size());
}

// Both ends have said all: for limits and balancing the connection is over. The flow stays for what is under way still
// (a last ACK that was lost), and takes nothing from a client that connects again and again.
void L4::linger(L4Flow& flow) {
  if (flow.has(L4Flow::kLingers)) return;
  flow.flags |= L4Flow::kLingers;
  flow.virtual_server->shares.of(options_.worker).linger(true);
  flow.member->shares.of(options_.worker).linger(true);
  flow.virtual_server->connections.release();
  flow.member->release();
}

void L4::update_udp(L4Flow& flow, Direction d) {
  if (flow.state == FlowState::one_way && d == Direction::from_server) {
    flow.state = FlowState::two_way;
    table_.establish(flow);
  }
}

// False: the packet has ended here.
bool L4::track(Instant now, packet::Packet packet, const wire::Layers& layers, L4FlowTable::Hit hit, bool& ends) {
  L4Flow& flow = *hit.flow;
  const FlowState before = flow.state;
  switch (track_tcp(flow, hit.direction, TcpSegment::of(packet.data(), layers))) {
    case TcpVerdict::pass:
      break;
    case TcpVerdict::invalid:
      context_.drops.drop(packet, DropReason::tcp_invalid_state);
      return false;
    case TcpVerdict::ends:
      ends = true;
      break;
    case TcpVerdict::reopen: {
      const flow::FlowKey key = flow.keys[0];
      end(flow);
      const VirtualServer* vs =
          snapshot_ == nullptr ? nullptr : snapshot_->find_virtual_server(key.destination, key.dst_port, Protocol::tcp);
      if (vs == nullptr) {
        context_.egress.reject(now, packet, layers, DropReason::no_virtual_server);
      } else {
        open(now, packet, layers, *vs, table_.hash(key));
      }
      return false;
    }
  }
  if (flow.state != before) [[unlikely]] {
    if (flow.state == FlowState::established) table_.establish(flow);
    if (flow.state == FlowState::time_wait) linger(flow);
    if (flow.state != FlowState::syn_received) table_.reschedule(flow, now + idle_timeout(flow));
  }
  return true;
}

void L4::forward(Instant now, packet::Packet packet, const wire::Layers& layers, L4FlowTable::Hit hit) {
  L4Flow& flow = *hit.flow;
  if (flow.has(L4Flow::kSilenced)) [[unlikely]]
    return context_.drops.drop(packet, DropReason::member_gone);
  if (layers.ttl <= 1 && packet.rx_port() != context_.host_port) [[unlikely]]
    return context_.egress.refuse(now, packet, layers, DropReason::ttl_exceeded, ip::IcmpError::ttl_exceeded());
  bool ends = false;
  if (layers.kind == wire::PacketKind::tcp) {
    if (is_plain(flow, layers.tcp_flags)) [[likely]] {
      track_plain(flow, hit.direction, packet.data() + layers.l4_offset, layers.payload_length());
    } else if (!track(now, packet, layers, hit, ends)) {
      return;
    }
  } else {
    update_udp(flow, hit.direction);
  }
  flow.last_used = L4FlowTable::tick(now);
  pass(now, packet, layers, flow, hit.direction);
  if (ends) [[unlikely]]
    end(flow);
}

// A packet whose way out is not known, or that must be cut, made anew, or goes to the kernel's side.
void L4::pass_slowly(Instant now, packet::Packet packet, const wire::Layers& layers, L4Flow& flow, Direction d) {
  const unsigned i = index_of(d);
  const Ipv4Address destination = flow.keys[1 - i].source;
  const ip::Hop hop = context_.output.route(now, destination, route_hash(flow.keys[0]), flow.hops[i]);
  const bool to_host = hop.status == ip::HopStatus::local;
  if (hop.status == ip::HopStatus::no_route) {
    return context_.egress.refuse(now, packet, layers, DropReason::no_route, ip::IcmpError::net_unreachable());
  }
  if (!hop.can_transmit() && !to_host) return context_.drops.drop(packet, ip::drop_reason_of(hop.status));
  if (!to_host && layers.l3_length > hop.mtu && layers.dont_fragment) {
    return context_.egress.refuse(now, packet, layers, DropReason::fragmentation_needed,
                                  ip::IcmpError::fragmentation_needed(hop.mtu));
  }
  const ip::L4Checksum checksum =
      context_.egress.l4_checksum_of(packet.rx_port(), layers.protocol, packet.data() + layers.l4_offset);
  carry(packet, layers, flow, d, checksum);
  const ip::TransmitSpec spec{.l3_offset = layers.l3_offset, .l4 = checksum};
  if (to_host) return context_.egress.originate(now, packet, spec);
  context_.output.transmit(now, packet, hop, spec);
}

void L4::expire(Instant now) {
  table_.expire(now, kExpireMax, [&](L4Flow& flow) {
    const Instant deadline = L4FlowTable::last_used(flow, now) + idle_timeout(flow);
    if (deadline > now) return deadline;
    context_.counters.flows_expired.add();
    // FastL4's reset on timeout: whoever still believes in the connection hears at once that it is gone.
    if (flow.state == FlowState::established) reset_both(now, flow);
    end(flow);
    return kInstantMax;
  });
  if (is_sweeping()) sweep(now);
}

FlowView L4::view(Instant now, const L4Flow& flow) const {
  const flow::FlowKey& client = flow.keys[0];
  const flow::FlowKey& server = flow.keys[1];
  return {.id = table_.id_of(flow),
          .worker = options_.worker,
          .protocol = flow.is_tcp() ? Protocol::tcp : Protocol::udp,
          .state = flow.state,
          .client = {client.source, client.src_port},
          .destination = {client.destination, client.dst_port},
          .snat = {server.destination, server.dst_port},
          .member = {server.source, server.src_port},
          .age = now - table_.created(flow),
          .idle = now - L4FlowTable::last_used(flow, now),
          .idle_timeout = idle_timeout(flow),
          .packets_in = flow.packets[0],
          .bytes_in = flow.bytes[0],
          .packets_out = flow.packets[1],
          .bytes_out = flow.bytes[1]};
}

}  // namespace sluice::lb
