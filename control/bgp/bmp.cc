// BMP messages; see bmp.h.
#include "control/bgp/bmp.h"

#include "control/bgp/facts.h"

namespace sluice::bgp {
namespace {

// Per-peer header flags (RFC 7854 §4.2).
constexpr std::uint8_t kFlagIpv6 = 0x80, kFlagAs2 = 0x20;

void write_address(Writer& out, const IpAddress& address) {  // 16 bytes; IPv4 in the last four
  if (address.is_v6()) return out.bytes(address.v6().bytes);
  for (int i = 0; i < 3; ++i) out.u32(0);
  out.u32(address.v4().value);
}

void write_tlv(Writer& out, std::uint16_t type, std::string_view text) {
  out.u16(type);
  out.u16(static_cast<unsigned>(text.size()));
  out.bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

}  // namespace

template <typename Body>
void BmpFeed::queue(bmp::Type type, Body body) {
  if (!connected_) return;
  if (overflowed_) {
    ++dropped_;
    return;
  }
  Bytes message;
  Writer out(message);
  out.u8(bmp::kVersion);
  out.u32(0);
  out.u8(static_cast<unsigned>(type));
  body(out);
  out.patch_u16(1, message.size() >> 16);
  out.patch_u16(3, message.size() & 0xffff);
  if (queued_ + message.size() > options_.queue_max) {
    overflowed_ = true;
    ++dropped_;
    return;
  }
  queued_ += message.size();
  ++messages_;
  queue_.push_back(std::move(message));
}

void BmpFeed::write_peer_header(Writer& out, Instant now, const PeerView& peer) const {
  out.u8(0);  // a global instance peer
  out.u8((peer.address.is_v6() ? kFlagIpv6 : 0) | (peer.four_octet_as ? 0 : kFlagAs2));
  out.u32(0);  // no distinguisher
  out.u32(0);
  write_address(out, peer.address);
  out.u32(peer.as);
  out.u32(peer.router_id);
  const WallTime time = hooks_.wall(now);
  out.u32(time.seconds);
  out.u32(time.microseconds);
}

Bytes BmpFeed::take() {
  Bytes message = std::move(queue_.front());
  queue_.pop_front();
  queued_ -= message.size();
  return message;
}

// §3.3: nothing but Initiation first, then the neighbours that are up, then their routes.
void BmpFeed::connected(Instant now) {
  disconnected();
  connected_ = true;
  queue(bmp::Type::initiation, [&](Writer& out) {
    constexpr std::uint16_t kDescription = 1, kName = 2;
    write_tlv(out, kDescription, options_.system_description);
    write_tlv(out, kName, options_.system_name);
  });
  const auto peers = hooks_.established();
  for (const PeerView& peer : peers) peer_up(now, peer);
  for (const PeerView& peer : peers) hooks_.resend(peer.address);
}

void BmpFeed::disconnected() {
  connected_ = overflowed_ = false;
  queue_.clear();
  queued_ = 0;
  up_.clear();
}

void BmpFeed::terminate() {
  queue(bmp::Type::termination, [](Writer& out) {
    constexpr std::uint16_t kReason = 1, kAdministrativelyClosed = 0;
    out.u16(kReason);
    out.u16(2);
    out.u16(kAdministrativelyClosed);
  });
}

// A neighbour has two connections at most, while they collide; a third one takes the older one's place.
BmpFeed::Opens& BmpFeed::opens_of(const PeerView& peer) {
  auto& both = opens_[peer.address];
  for (auto& opens : both) {
    if (opens.conn == peer.conn) return opens;
  }
  std::swap(both[0], both[1]);
  both[1] = {peer.conn, {}, {}};
  return both[1];
}

void BmpFeed::on_message(Instant now, const PeerView& peer, bool received, ByteSpan message) {
  const auto type = static_cast<MessageType>(message[18]);
  if (type == MessageType::open) {
    auto& opens = opens_of(peer);
    (received ? opens.received : opens.sent).assign(message.begin(), message.end());
  }
  if (type != MessageType::update || !received || !up_.contains(peer.address)) return;
  queue(bmp::Type::route_monitoring, [&](Writer& out) {
    write_peer_header(out, now, peer);
    out.bytes(message);
  });
}

void BmpFeed::on_up(Instant now, const PeerView& peer) { peer_up(now, peer); }

void BmpFeed::peer_up(Instant now, const PeerView& peer) {
  if (!connected_) return;
  const auto& opens = opens_of(peer);
  if (opens.sent.empty() || opens.received.empty()) return;  // the session is older than this feed
  up_[peer.address] = peer;
  queue(bmp::Type::peer_up, [&](Writer& out) {
    write_peer_header(out, now, peer);
    write_address(out, peer.local_address);
    out.u16(peer.local_port);
    out.u16(peer.port);
    out.bytes(opens.sent);
    out.bytes(opens.received);
  });
}

// §4.9
void BmpFeed::on_down(Instant now, const PeerView& peer, const End& end) {
  opens_.erase(peer.address);
  if (up_.erase(peer.address) == 0) return;
  queue(bmp::Type::peer_down, [&](Writer& out) {
    constexpr std::uint8_t kLocalNotification = 1, kLocal = 2, kRemoteNotification = 3, kRemote = 4;
    write_peer_header(out, now, peer);
    if (!end.notification.empty()) {
      out.u8(end.local ? kLocalNotification : kRemoteNotification);
      out.bytes(end.notification);
    } else if (end.local) {
      out.u8(kLocal);
      out.u16(end.fsm_event);
    } else {
      out.u8(kRemote);
    }
  });
}

void BmpFeed::statistics(Instant now, const std::vector<PeerFacts>& peers) {
  for (const PeerFacts& facts : peers) {
    const auto at = up_.find(facts.address);
    if (at == up_.end()) continue;
    queue(bmp::Type::statistics, [&](Writer& out) {
      constexpr std::uint16_t kRejected = 0, kAdjRibIn = 7, kTreatedAsWithdraw = 11;
      write_peer_header(out, now, at->second);
      const auto counter = [&out](std::uint16_t type, std::uint64_t value) {
        out.u16(type);
        out.u16(4);
        out.u32(static_cast<std::uint32_t>(value));
      };
      out.u32(3);
      counter(kRejected, facts.rejected_prefixes);
      counter(kTreatedAsWithdraw, facts.treated_as_withdraw);
      out.u16(kAdjRibIn);  // a gauge of 64 bits
      out.u16(8);
      out.u32(0);
      out.u32(facts.accepted_prefixes);
    });
  }
}

}  // namespace sluice::bgp
