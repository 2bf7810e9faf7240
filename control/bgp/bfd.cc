// BFD as BGP's client: which neighbours want a session, and what a failed path does to theirs.
//
// Follows: RFC 5882 §4.3 (failure, graceful restart), RFC 9384 (Cease/BFD Down).
#include <algorithm>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {

std::vector<Speaker::BfdPeer> Speaker::bfd_peers() const {
  std::vector<BfdPeer> out;
  for (const auto& [address, peer] : impl_->by_address) {
    if (!peer->settings.bfd || !peer->enabled || impl_->shut_down) continue;
    // Whoever may come by a listen range has a session from the first time it came up.
    if (peer->dynamic && peer->established_count == 0) continue;
    const auto local = impl_->local_address_for(*peer);
    if (!local) continue;
    const auto& selfs = impl_->settings.self_ips;
    const bool connected = std::any_of(selfs.begin(), selfs.end(), [&a = address](const LocalAddress& self) {
      return self.address.is_v4() == a.is_v4() && routing::IpPrefix::of(self.address, self.length).contains(a);
    });
    out.push_back({address, *local, *peer->settings.bfd, peer->settings.bfd->multihop.value_or(!connected)});
  }
  return out;
}

// RFC 5882 §4.3.2: while BFD shares the fate of the neighbour's control plane (C bit clear), its failure may be no more
// than a restart there, and must not undo graceful restart; with the C bit, the path itself is dead.
void Speaker::Impl::path_down(Instant now, Peer& peer, const input::PathDown& down, Outputs& out) {
  const bool graceful = !down.path_is_dead && !(peer.settings.bfd && peer.settings.bfd->abort_graceful_restart) &&
                        (helps_restart(peer, Family::ipv4) || helps_restart(peer, Family::ipv6));
  const auto reason = "BFD down: " + down.reason;
  if (!peer.established()) {
    if (graceful || !peer.restarting) return;
    for (const auto family : {Family::ipv4, Family::ipv6}) drop_stale(peer, family);
    peer.restarting = false;
    peer.stale_deadline = kInstantMax;
    log(out, peer, true, reason + ": its stale routes are dropped");
    return;
  }
  if (graceful) return event(now, peer, peer.conns[0], Event::tcp_connection_fails, out, std::nullopt, reason);
  Notification notification{code::kCease, cease::kBfdDown, {}};
  const auto& caps = peer.conns[0].remote_open->capabilities;
  // RFC 8538 3.1, RFC 9384 3: with the N bit the neighbour would go on using us; a Hard Reset says that we mean it.
  if (peer.settings.graceful_restart && caps.graceful_restart && caps.graceful_restart->notification) {
    notification = {code::kCease, cease::kHardReset, {code::kCease, cease::kBfdDown}};
  }
  event(now, peer, peer.conns[0], Event::automatic_stop, out, std::move(notification), reason);
}

}  // namespace sluice::bgp
