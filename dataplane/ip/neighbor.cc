// The ARP packets of a NeighborTable, in and out, and its queues; see neighbor.h. States and ageing: neighbor_state.cc.
#include "dataplane/ip/neighbor.h"

#include <algorithm>

#include "dataplane/packet/chain.h"

namespace sluice::ip {
namespace {

constexpr std::size_t kAnnouncementsPerTurn = 32;
constexpr Duration kAnnounceInterval = 1s;  // RFC 5227: ANNOUNCE_INTERVAL is 2 s; switches learn from the first

}  // namespace

// ---- input

void NeighborTable::input(Instant now, packet::PortId port, packet::Packet packet, std::size_t l3_offset) {
  const auto bytes = packet.bytes();
  const auto arp = l3_offset <= bytes.size() ? wire::parse_arp(bytes.subspan(l3_offset)) : std::nullopt;
  if (!arp) return context_.drops.drop(packet, DropReason::arp_malformed);
  (arp->operation == wire::ArpOperation::request ? counters_.requests_received : counters_.replies_received).add();
  if (handle(now, port, *arp)) return context_.drops.consume(packet);
  context_.drops.drop(packet, DropReason::arp_not_for_us);
}

bool NeighborTable::handle(Instant now, packet::PortId port, const wire::ArpPacket& arp) {
  const packet::PortInfo& info = context_.ports[port];
  if (arp.sender_mac == info.mac) return false;  // our own, come back
  const bool is_network = info.kind == packet::PortKind::network;
  const LocalAddress* claimed = is_network ? context_.local.find(arp.sender_ip) : nullptr;
  if (claimed != nullptr) {
    counters_.conflicts.add();
    if (defend_bucket_.take(now)) send_announcement(*claimed);
    return true;
  }
  const bool is_request = arp.operation == wire::ArpOperation::request;
  const bool to_us =
      answer_all_[port] ? !arp.is_gratuitous() && !arp.is_probe() : context_.local.answers_arp(port, arp.target_ip);
  if (arp.is_probe()) {  // somebody wants to take the address: say that it is taken, learn nothing
    if (is_request && to_us) answer(port, arp);
    return is_request && to_us;
  }

  const NeighborIndex known = find(port, arp.sender_ip);
  Entry* entry = known != kNoNeighbor ? &entries_[known] : nullptr;
  if (entry == nullptr && is_request && to_us) entry = insert(now, port, arp.sender_ip, Learning::by_hearsay);
  if (entry != nullptr) confirm(now, *entry, arp.sender_mac);
  // An answer to us that nobody here waits for may be what another worker asked for.
  if (entry != nullptr || (to_us && !is_request)) push_event({port, arp.sender_ip, arp.sender_mac});
  if (is_request && to_us) answer(port, arp);
  return entry != nullptr || to_us;
}

// ---- output

void NeighborTable::answer(packet::PortId port, const wire::ArpPacket& request) {
  const MacAddress& mac = context_.ports[port].mac;
  if (send_arp(port, request.sender_mac,
               {wire::ArpOperation::reply, mac, request.target_ip, request.sender_mac, request.sender_ip})) {
    counters_.replies_sent.add();
  }
}

void NeighborTable::send_request(const Entry& entry) {
  const MacAddress& mac = context_.ports[entry.port].mac;
  // Probes go to the MAC that we know (RFC 1122 §2.3.2.1 (2)).
  const MacAddress to = entry.usable ? entry.rewrite.destination() : MacAddress::broadcast();
  const Ipv4Address source = context_.local.source_for(entry.port, entry.address);
  if (send_arp(entry.port, to, {wire::ArpOperation::request, mac, source, MacAddress{}, entry.address})) {
    counters_.requests_sent.add();
  }
}

void NeighborTable::send_announcement(const LocalAddress& address) {
  for (const packet::PortInfo& port : context_.ports) {
    if (port.kind != packet::PortKind::network) continue;
    if (address.port != packet::kNoPort && address.port != port.id) continue;
    if (send_arp(port.id, MacAddress::broadcast(),
                 {wire::ArpOperation::request, port.mac, address.address, MacAddress{}, address.address})) {
      counters_.announcements_sent.add();
    }
  }
}

// False when the pool is empty: the request is repeated, the reply asked for again.
bool NeighborTable::send_arp(packet::PortId port, const MacAddress& to, const wire::ArpPacket& arp) {
  const packet::Packet packet = context_.pool.allocate();
  if (!packet) return false;
  std::uint8_t* frame = packet.append(wire::kEthernetFrameMin);
  if (frame == nullptr) {
    packet::discard(packet);
    return false;
  }
  std::memset(frame, 0, wire::kEthernetFrameMin);
  wire::emit_ethernet(frame, to, context_.ports[port].mac, wire::kEtherTypeArp);
  wire::emit_arp(frame + wire::kEthernetLength, arp);
  context_.drops.count_generated();
  context_.sink.push(port, packet);
  return true;
}

// ---- announcements

void NeighborTable::announce(Instant now, const LocalAddress& address) {
  if (!address.arp) return;
  if (announcements_[0].size() < LocalAddresses::kMax) announcements_[0].push_back({now, address});
}

void NeighborTable::run_announcements(Instant now) {
  std::size_t left = kAnnouncementsPerTurn;
  for (const unsigned round : {0u, 1u}) {
    auto& list = announcements_[round];
    std::size_t& done = announcements_done_[round];
    for (; left > 0 && done < list.size() && list[done].due <= now; ++done, --left) {
      const LocalAddress* still = context_.local.find(list[done].address.address);
      if (still == nullptr || !still->arp) continue;
      send_announcement(*still);
      if (round == 0) announcements_[1].push_back({now + kAnnounceInterval, *still});
    }
    if (done == list.size()) {
      list.clear();
      done = 0;
    }
  }
}

// ---- packets that wait

void NeighborTable::enqueue(Instant now, NeighborIndex index, packet::Packet packet) {
  Entry& entry = entries_[index];
  entry.used = now;
  if (entry.state == NeighborState::failed) return context_.drops.drop(packet, DropReason::neighbor_unresolved);
  if (entry.usable) {  // it became so since route()
    entry.rewrite.write(packet.data());
    return context_.sink.push(entry.port, packet);
  }
  // The latest packet is the most useful one (RFC 1122 §2.3.2.2): the oldest makes room for it.
  if (entry.queue_count >= limits_.queue_per_entry) {
    context_.drops.drop(dequeue(entry), DropReason::neighbor_queue_full);
  }
  if (waiting_free_ == kEnd) return context_.drops.drop(packet, DropReason::neighbor_queue_full);
  const std::uint32_t place = waiting_free_;
  waiting_free_ = waiting_[place].next;
  waiting_[place] = {packet, kEnd};
  (entry.queue_count == 0 ? entry.queue_head : waiting_[entry.queue_tail].next) = place;
  entry.queue_tail = place;
  ++entry.queue_count;
  ++queued_;
}

// Precondition: the queue is not empty.
packet::Packet NeighborTable::dequeue(Entry& entry) {
  const std::uint32_t place = entry.queue_head;
  Waiting& waiting = waiting_[place];
  entry.queue_head = waiting.next;
  if (--entry.queue_count == 0) entry.queue_head = entry.queue_tail = kEnd;
  waiting.next = waiting_free_;
  waiting_free_ = place;
  --queued_;
  return std::exchange(waiting.packet, packet::Packet());
}

void NeighborTable::flush_queue(Entry& entry) {
  while (entry.queue_count > 0) {
    const packet::Packet packet = dequeue(entry);
    entry.rewrite.write(packet.data());
    context_.sink.push(entry.port, packet);
  }
}

void NeighborTable::drop_queue(Entry& entry, DropReason reason) {
  while (entry.queue_count > 0) context_.drops.drop(dequeue(entry), reason);
}

// ---- events

void NeighborTable::push_event(const NeighborEvent& event) {
  if (events_count_ == kEventsMax) return counters_.events_lost.add();
  events_[(events_head_ + events_count_++) % kEventsMax] = event;
}

std::optional<NeighborEvent> NeighborTable::next_event() {
  if (events_count_ == 0) return std::nullopt;
  const NeighborEvent event = events_[events_head_];
  events_head_ = (events_head_ + 1) % kEventsMax;
  --events_count_;
  return event;
}

}  // namespace sluice::ip
