// The sessions of a worker: demultiplexing, timers, datagrams; see table.h.
#include "dataplane/bfd/table.h"

#include <cassert>
#include <cstring>

namespace sluice::bfd {
namespace {

constexpr std::uint8_t kTtl = 255;   // RFC 5881 §5, RFC 5883 §5 leaves it to us
constexpr std::uint8_t kTos = 0xc0;  // CS6, as routing protocols have it

template <auto Next>
void unlink(Session*& head, Session& session) {
  Session** at = &head;
  while (*at != &session) at = &((*at)->*Next);
  *at = session.*Next;
}

}  // namespace

Table::~Table() {
  for (Session* head : by_discriminator_) {
    while (head != nullptr) {
      Session* const next = head->next_by_discriminator_;
      erase(*head);
      head = next;
    }
  }
}

void Table::insert(Instant now, Session& session) {
  assert(!session.inserted_);
  session.inserted_ = true;
  Session*& by_discriminator = by_discriminator_[bucket_of(session.discriminator())];
  session.next_by_discriminator_ = std::exchange(by_discriminator, &session);
  Session*& by_key = by_key_[bucket_of(session.key_)];
  session.next_by_key_ = std::exchange(by_key, &session);
  session.timer_.session = &session;
  session.machine_.start(now);
  session.publish(now, State::admin_down);  // the first state: its age begins
  wheel_.schedule(session.timer_, session.machine_.deadline());
}

void Table::erase(Session& session) {
  if (!std::exchange(session.inserted_, false)) return;
  unlink<&Session::next_by_discriminator_>(by_discriminator_[bucket_of(session.discriminator())], session);
  unlink<&Session::next_by_key_>(by_key_[bucket_of(session.key_)], session);
  wheel_.cancel(session.timer_);
}

void Table::configure(Instant now, Session& session, const Settings& settings) {
  const State before = session.machine_.state();
  settle(now, session, before, session.machine_.configure(now, settings));
}

void Table::set_admin_down(Instant now, Session& session, bool down) {
  const State before = session.machine_.state();
  settle(now, session, before, session.machine_.set_admin_down(now, down));
}

Session* Table::find(std::uint32_t discriminator) const {
  Session* session = by_discriminator_[bucket_of(discriminator)];
  while (session != nullptr && session->discriminator() != discriminator) session = session->next_by_discriminator_;
  return session;
}

// RFC 5880 §6.8.6: by our discriminator once the neighbour knows it, before that by the addresses.
Session* Table::find(const ControlPacket& packet, const SessionKey& key) const {
  if (packet.your_discriminator != 0) return find(packet.your_discriminator);
  Session* session = by_key_[bucket_of(key)];
  while (session != nullptr && session->key_ != key) session = session->next_by_key_;
  return session;
}

void Table::input(Instant now, packet::Packet frame, const wire::Layers& layers, bool verify) {
  const bool multihop = layers.dst_port == kMultihopPort;
  if (!multihop && layers.ttl != kTtl) return context_.drops.drop(frame, DropReason::bfd_bad_ttl);
  // Control packets are small: whatever does not lie in one piece is none, and a datagram's tail is not looked at.
  const std::uint32_t end = layers.frame_length();
  if (end > frame.segment_length()) return context_.drops.drop(frame, DropReason::bfd_bad_length);
  const std::uint8_t* udp = frame.data() + layers.l4_offset;
  if (verify && wire::load_be16(udp + wire::kUdpChecksum) != 0 &&
      wire::l4_checksum(layers.source, layers.destination, wire::kProtocolUdp, {udp, layers.l4_length()}) != 0) {
    return context_.drops.drop(frame, DropReason::udp_bad_checksum);
  }
  ControlPacket packet;
  if (const auto reason = decode({frame.data() + layers.payload_offset, layers.payload_length()}, packet)) {
    return context_.drops.drop(frame, *reason);
  }
  const SessionKey key{layers.destination, layers.source, multihop};
  Session* session = find(packet, key);
  if (session == nullptr) return context_.drops.drop(frame, DropReason::bfd_no_session);
  if (session->key_ != key) return context_.drops.drop(frame, DropReason::bfd_wrong_address);
  if (session->machine_.is_admin_down()) return context_.drops.drop(frame, DropReason::bfd_admin_down);
  session->packets_in_.add();
  context_.drops.consume(frame);
  const State before = session->machine_.state();
  settle(now, *session, before, session->machine_.input(now, packet));
}

void Table::expire(Instant now) {
  wheel_.expire(now, kWorkPerTurn, [&](Timer& timer) {
    Session& session = *static_cast<Session::Wakeup&>(timer).session;
    const State before = session.machine_.state();
    settle(now, session, before, session.machine_.expire(now));
  });
}

void Table::settle(Instant now, Session& session, State before, const Outcome& outcome) {
  if (outcome.send) transmit(now, session, outcome.final);
  session.publish(now, before);
  if (outcome.changed) changes_.add();
  const Instant deadline = session.machine_.deadline();
  if (deadline == kInstantMax) {
    wheel_.cancel(session.timer_);
  } else {
    wheel_.schedule(session.timer_, deadline);
  }
}

void Table::transmit(Instant now, Session& session, bool final) {
  constexpr std::uint16_t kUdpTotal = wire::kUdpLength + kControlLength;
  constexpr std::uint16_t kTotal = wire::kIpv4Length + kUdpTotal;
  const packet::Packet packet = context_.pool.allocate();
  if (!packet) return;  // as if the network had lost it
  std::uint8_t* ipv4 = packet.append(wire::kEthernetLength + kTotal) + wire::kEthernetLength;
  std::uint8_t* udp = ipv4 + wire::kIpv4Length;
  wire::emit_ipv4(ipv4, {.tos = kTos,
                         .total_length = kTotal,
                         .dont_fragment = true,
                         .ttl = kTtl,
                         .protocol = wire::kProtocolUdp,
                         .source = session.key_.local,
                         .destination = session.key_.remote});
  wire::emit_udp(udp, {.src_port = session.src_port_,
                       .dst_port = session.key_.multihop ? kMultihopPort : kSingleHopPort,
                       .length = kUdpTotal});
  const auto control = encode(session.machine_.packet(final));
  std::memcpy(udp + wire::kUdpLength, control.data(), control.size());
  const std::uint16_t checksum =
      wire::l4_checksum(session.key_.local, session.key_.remote, wire::kProtocolUdp, {udp, kUdpTotal});
  wire::store_be16(udp + wire::kUdpChecksum, checksum == 0 ? std::uint16_t{0xffff} : checksum);
  context_.drops.count_generated();
  session.packets_out_.add();
  context_.output.send(now, packet, {});
}

}  // namespace sluice::bfd
