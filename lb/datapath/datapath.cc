// A packet's way through Sluice, every decision in order; see datapath.h.
//
//   1  headers of a burst are parsed, and its flows fetched from memory, before any of its packets is decided on
//   2  ARP                                 -> neighbor table
//   3  fragment                            -> reassembly; what comes out whole goes on below
//   4  TCP, UDP of a flow                  -> L4: rewrite, FIB, neighbor, out
//      TCP of a conn                       -> L7: our endpoint of a proxied connection, either side
//   5  TCP, UDP to a virtual server        -> L4: pick a member, make a flow; mode http -> L7: a new client
//      UDP of BFD to a self IP             -> the BFD session, perhaps another worker's
//   6  TCP, UDP to a port of another worker-> handed over; without SNAT the client's address and port tell whose it is
//   7  ICMP echo to one of our addresses   -> answered here, if that address does
//   8  ICMP error about a flow             -> translated, passed on to the other side, by the worker that owns it
//   9  anything else to a self IP          -> host port, the kernel's side
//  10  to a virtual address                -> refused: RST, port unreachable, protocol unreachable
//  11  from the host port to elsewhere     -> routed, TTL untouched
//  12  everything else                     -> dropped: Sluice is no router for strangers
#include "lb/datapath/datapath.h"

#include "dataplane/packet/chain.h"
#include "dataplane/wire/plain.h"
#include "lb/datapath/impl.h"

namespace sluice::lb {

using wire::PacketKind;

void Datapath::on_burst(Instant now, packet::PortId rx_port, packet::Batch& batch) {
  // The port has written it already. Writing it again, a burst of stores to buffers that are not in the first cache,
  // took a quarter of a packet's time.
  for (const packet::Packet packet : batch.view()) {
    if (packet.rx_port() != rx_port) [[unlikely]]
      packet.set_rx_port(rx_port);
  }
  if (rx_port == impl_->host_port) impl_->counters.host_packets_in.add(batch.count);
  impl_->process(now, batch, Impl::Origin::port);
}

void Datapath::on_handover(Instant now, packet::Batch& batch) { impl_->process(now, batch, Impl::Origin::handover); }

void Datapath::Impl::process(Instant now, packet::Batch& batch, Origin origin) {
  if (is_stopped()) [[unlikely]] {
    for (const packet::Packet packet : batch.view()) drops.drop(packet, DropReason::shutting_down);
    batch.count = 0;
    return;
  }
  const std::uint32_t count = stage_all(batch);
  for (Staged& s : std::span(staged.data(), count)) {
    s.candidate = s.has_flow_key() ? l4->table().prefetch_entry(s.hash) : L4FlowTable::kNoCandidate;
  }
  proxy->prefetch(std::span(staged.data(), count), [](const Staged& s) -> const flow::FlowKey& { return s.key; });
  for (std::uint32_t i = 0; i < count; ++i) {
    const packet::Packet packet = batch.packets[i];
    Staged& s = staged[i];
    if (s.is_plain) {
      const auto hit = l4->table().find_candidate(s.key, s.candidate);
      if (hit && l4->forward_plain(now, packet, s.plain, hit)) continue;
      wire::fill_layers(packet.data(), s.plain, s.layers);
    }
    dispatch(now, packet, s, origin);
  }
  l4->finish_openings(now);
  proxy->run_ready(now);
  batch.count = 0;
}

// Packets that end here are taken out of the batch; returns how many remain.
[[gnu::noinline]] std::uint32_t Datapath::Impl::stage_all(packet::Batch& batch) {
  for (const packet::Packet packet : batch.view()) packet::prefetch_data(packet);
  std::uint32_t count = 0;
  for (const packet::Packet packet : batch.view()) {
    if (stage(packet, staged[count])) batch.packets[count++] = packet;
  }
  return count;
}

// False: the packet has ended here.
[[gnu::always_inline]] inline bool Datapath::Impl::stage(packet::Packet packet, Staged& s) {
  const Ingress& from = ingress[packet.rx_port()];
  const bool plain = packet.is_contiguous() && packet.l4_checksum() != packet::ChecksumState::bad &&
                     wire::judge_plain(packet.bytes(), packet.length(), from.mac,
                                       packet.ipv4_checksum() != packet::ChecksumState::good, s.plain);
  if (!plain) [[unlikely]]
    return stage_any(packet, s);
  packet::trim_padding(packet, s.plain.frame_length());
  const std::uint8_t* const frame = packet.data();
  set_flow_key(frame + wire::kEthernetLength, frame + wire::kEthernetLength + wire::kIpv4Length, s.plain.protocol, s);
  s.is_plain = from.takes_plain && L4::is_plain_segment(s.plain);
  if (s.is_plain) [[likely]] {
    s.layers.kind = PacketKind::tcp;
  } else {
    wire::fill_layers(frame, s.plain, s.layers);
  }
  return true;
}

bool Datapath::Impl::stage_any(packet::Packet packet, Staged& s) {
  s.is_plain = false;
  packet::pull_up_headers(packet);  // where it cannot, the parse finds the headers cut
  const wire::ParseOptions parse{options.ports[packet.rx_port()].mac,
                                 packet.ipv4_checksum() != packet::ChecksumState::good,
                                 packet.l4_checksum() == packet::ChecksumState::bad};
  if (const auto reason = wire::parse(packet.bytes(), packet.length(), parse, s.layers)) {
    drops.drop(packet, *reason);
    return false;
  }
  if (s.layers.kind == PacketKind::arp) return true;
  if (s.layers.link_group) {
    drops.drop(packet, DropReason::frame_not_for_us);
    return false;
  }
  packet::trim_padding(packet, s.layers.frame_length());
  if (s.has_flow_key()) set_flow_key(packet, s);
  return true;
}

void Datapath::Impl::dispatch(Instant now, packet::Packet packet, Staged& s, Origin origin) {
  if (s.has_flow_key()) [[likely]] {
    auto hit = l4->table().find(s.key, s.hash, s.candidate);
    if (!hit && l4->is_opening(s.hash)) [[unlikely]] {  // by an earlier packet of this burst
      l4->finish_openings(now);
      hit = l4->table().find(s.key, s.hash);
    }
    if (hit) [[likely]]
      return l4->forward(now, packet, s.layers, hit);
  }
  dispatch_without_flow(now, packet, s, origin);
}

void Datapath::Impl::dispatch_without_flow(Instant now, packet::Packet packet, Staged& s, Origin origin) {
  switch (s.layers.kind) {
    case PacketKind::tcp:
    case PacketKind::udp:
      if (s.layers.kind == PacketKind::tcp) {
        if (tcp::Conn* conn = proxy->find(s.layers); conn != nullptr && proxy->input(now, packet, s.layers, *conn)) {
          return;
        }
      }
      return without_flow(now, packet, s, origin);
    case PacketKind::arp:
      return neighbors->input(now, packet.rx_port(), packet, s.layers.l3_offset);
    case PacketKind::fragment:
      return on_fragment(now, packet, s, origin);
    case PacketKind::icmp:
      return on_icmp(now, packet, s.layers, origin);
    case PacketKind::other:
      return without_flow(now, packet, s, origin);
  }
}

void Datapath::Impl::on_fragment(Instant now, packet::Packet packet, Staged& s, Origin origin) {
  const bool ours = local.contains(s.layers.destination);
  if (is_from_host(packet) && !ours) return without_flow(now, packet, s, origin);
  if (!ours && !forwards_to_strangers) return drops.drop(packet, DropReason::ipv4_not_for_us);
  const packet::Packet whole = reassembly->input(now, packet, s.layers);
  if (!whole) return;
  const std::uint8_t l3_offset = s.layers.l3_offset;
  if (const auto reason = wire::parse_ipv4_layers(whole.bytes(), whole.length(), l3_offset, false, s.layers)) {
    return drops.drop(whole, *reason);
  }
  if (s.layers.kind == PacketKind::fragment) return drops.drop(whole, DropReason::fragment_malformed);
  s.candidate = L4FlowTable::kNoCandidate;
  if (s.has_flow_key()) set_flow_key(whole, s);
  dispatch(now, whole, s, origin == Origin::port ? Origin::reassembled : origin);
}

// Nobody but the kernel may use our addresses, and the kernel no others.
bool Datapath::Impl::is_source_wrong(packet::Packet packet, const wire::Layers& layers) const {
  const ip::LocalAddress* source = local.find(layers.source);
  return is_from_host(packet) ? source == nullptr || !source->is_self_ip : source != nullptr;
}

void Datapath::Impl::on_icmp(Instant now, packet::Packet packet, wire::Layers& layers, Origin origin) {
  if (is_source_wrong(packet, layers)) return drops.drop(packet, DropReason::ipv4_bad_source);
  const ip::LocalAddress* to = local.find(layers.destination);
  if (layers.icmp_type == wire::kIcmpEchoRequest && to != nullptr) {
    if (!to->icmp_echo) return drops.drop(packet, DropReason::icmp_unhandled);
    if (const auto reason = icmp->reply_to_echo(now, packet, layers)) return drops.drop(packet, *reason);
    counters.echo_replies.add();
    return egress->originate(now, packet, {.l3_offset = layers.l3_offset});
  }
  if (wire::is_icmp_error(layers.icmp_type)) {
    if (l4->translate(now, packet, layers) || proxy->on_icmp_error(now, packet, layers)) return;
    // Strangers' errors must not keep all workers busy.
    const bool may_go = origin == Origin::handover || (goes_round(packet, layers) && rounds.take(now));
    if (may_go && pass_round(packet, layers, origin)) return;
  }
  if (is_from_host(packet) && to == nullptr) return route_from_host(now, packet, layers);
  if (to == nullptr) return drops.drop(packet, DropReason::ipv4_not_for_us);
  if (to->is_self_ip) return egress->to_host(packet, {.l3_offset = layers.l3_offset});
  drops.drop(packet, wire::is_icmp_error(layers.icmp_type) ? DropReason::icmp_no_flow : DropReason::icmp_unhandled);
}

void Datapath::Impl::without_flow(Instant now, packet::Packet packet, const Staged& s, Origin origin) {
  const wire::Layers& layers = s.layers;
  if (is_source_wrong(packet, layers)) return drops.drop(packet, DropReason::ipv4_bad_source);
  if (!local.contains(layers.destination)) {
    if (is_from_host(packet)) return route_from_host(now, packet, layers);
    if (has_owners_by_client && s.has_flow_key() && origin != Origin::handover &&
        hand_over_by_client(packet, layers.destination, layers.dst_port)) {
      return;
    }
    return drops.drop(packet, DropReason::ipv4_not_for_us);
  }
  if (bfd_table->takes(layers)) [[unlikely]]
    return on_bfd(now, packet, layers, origin);
  if (layers.kind != PacketKind::other && snapshot != nullptr) {
    const Protocol protocol = layers.kind == PacketKind::tcp ? Protocol::tcp : Protocol::udp;
    const VirtualServer* vs = snapshot->find_virtual_server(layers.destination, layers.dst_port, protocol);
    if (vs != nullptr) return open(now, packet, s, *vs, origin);
    if (origin != Origin::handover && hand_over(packet, layers)) return;
  }
  to_local(now, packet, layers);
}

// Nobody here knows it. The port sent a packet of fragments here by less than what it sends whole packets by, so that
// other workers are asked first: the last of them opens what is new.
void Datapath::Impl::open(Instant now, packet::Packet packet, const Staged& s, const VirtualServer& vs, Origin origin) {
  const wire::Layers& layers = s.layers;
  if (vs.runtime->owned_by_client.load(std::memory_order_relaxed)) {
    if (origin != Origin::handover && hand_over_by_client(packet, layers.source, layers.src_port)) return;
  } else if (origin != Origin::port) [[unlikely]] {
    if (pass_round(packet, layers, origin)) return;
    if (options.workers > 1) counters.fragments_without_flow.add();
  }
  if (vs.mode == Mode::http) {
    if (const auto refused = proxy->open(now, packet, layers, vs)) egress->reject(now, packet, layers, *refused);
    return;
  }
  l4->open(now, packet, layers, vs, s.hash);
}

// One worker has all sessions with a neighbour, whoever receives its packets.
void Datapath::Impl::on_bfd(Instant now, packet::Packet packet, const wire::Layers& layers, Origin origin) {
  const unsigned owner = bfd::owner_of(layers.source, options.workers);
  if (owner != options.worker && origin != Origin::handover && handover != nullptr) {
    counters.handed_over.add();
    return handover->push(owner, packet);
  }
  const bool verify =
      packet.l4_checksum() != packet::ChecksumState::good && !options.ports[packet.rx_port()].rx_partial_checksums;
  bfd_table->input(now, packet, layers, verify);
}

// A reply to a source port that another worker gave away.
bool Datapath::Impl::hand_over(packet::Packet packet, const wire::Layers& layers) {
  if (handover == nullptr) return false;
  const auto owner = l4->snat_ports().owner(layers.dst_port);
  if (!owner || *owner == options.worker) return false;
  const LocalAddress* to = snapshot->find_local(layers.destination);
  if (to == nullptr || (to->self_ip == nullptr && !to->snat)) return false;
  counters.handed_over.add();
  handover->push(*owner, packet);
  return true;
}

// A packet from or to the client of a virtual server without SNAT.
bool Datapath::Impl::hand_over_by_client(packet::Packet packet, Ipv4Address client, std::uint16_t port) {
  if (handover == nullptr) return false;
  const unsigned owner = owner_of_client(client, port, options.workers);
  if (owner == options.worker) return false;
  counters.handed_over.add();
  handover->push(owner, packet);
  return true;
}

bool Datapath::Impl::goes_round(packet::Packet packet, const wire::Layers& layers) const {
  return handover != nullptr && options.workers > 1 && !is_from_host(packet) &&
         (local.contains(layers.destination) || forwards_to_strangers);
}

// What has no ports of its own to tell its worker by (an ICMP error), or lost them on the way to us (fragments), goes
// from one worker to the next until somebody knows the flow or conn that it is about, or all have looked. False: they
// have.
bool Datapath::Impl::pass_round(packet::Packet packet, const wire::Layers& layers, Origin origin) {
  if (!goes_round(packet, layers)) return false;
  const std::uint32_t looked = origin == Origin::handover ? worker::workers_passed(packet) + 1 : 1;
  if (looked >= options.workers) return false;
  worker::set_workers_passed(packet, looked);
  counters.handed_over.add();
  handover->push((options.worker + 1) % options.workers, packet);
  return true;
}

void Datapath::Impl::to_local(Instant now, packet::Packet packet, const wire::Layers& layers) {
  const ip::LocalAddress* to = local.find(layers.destination);
  if (to->is_self_ip && host_port != packet::kNoPort) return egress->to_host(packet, as_received(packet, layers));
  if (layers.kind == PacketKind::other) {
    return egress->refuse(now, packet, layers, DropReason::protocol_unknown, ip::IcmpError::protocol_unreachable());
  }
  egress->reject(now, packet, layers, DropReason::no_virtual_server);
}

void Datapath::Impl::route_from_host(Instant now, packet::Packet packet, const wire::Layers& layers) {
  const auto flow_hash = static_cast<std::uint32_t>(key_of(layers).hash(options.seed));
  const ip::Hop hop = output->route(now, layers.destination, flow_hash);
  if (hop.status == ip::HopStatus::local) return drops.drop(packet, DropReason::looped_to_self);
  if (!hop.can_transmit()) {
    return egress->refuse(now, packet, layers, ip::drop_reason_of(hop.status), ip::IcmpError::net_unreachable());
  }
  if (layers.l3_length > hop.mtu && layers.dont_fragment) {
    return egress->refuse(now, packet, layers, DropReason::fragmentation_needed,
                          ip::IcmpError::fragmentation_needed(hop.mtu));
  }
  ip::TransmitSpec spec{.l3_offset = layers.l3_offset};
  if (layers.kind != PacketKind::fragment) spec = as_received(packet, layers);
  output->transmit(now, packet, hop, spec);
}

void Datapath::on_timers(Instant now) {
  if (impl_->is_stopped()) return;
  impl_->neighbors->expire(now);
  impl_->reassembly->expire(now, [&](packet::Packet first, const wire::Layers& layers) {
    impl_->egress->send_error(now, first, layers, ip::IcmpError::reassembly_timeout());
  });
  impl_->l4->expire(now);
  impl_->bfd_table->expire(now);
  impl_->proxy->on_timers(now);
}

Instant Datapath::next_timer() const {
  if (impl_->is_stopped()) return kInstantMax;
  return std::min({impl_->neighbors->next_deadline(), impl_->reassembly->next_deadline(), impl_->l4->next_timer(),
                   impl_->bfd_table->next_deadline(), impl_->proxy->next_timer()});
}

}  // namespace sluice::lb
