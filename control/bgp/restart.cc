// Graceful restart: a neighbour's routes are kept while it restarts; and our own restart defers decisions.
#include <fmt/format.h>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {

bool Speaker::Impl::helps_restart(const Peer& peer, Family family) const {
  return peer.settings.graceful_restart && !shut_down && peer.remote_restart &&
         peer.remote_restart->families[index_of(family)].listed && peer.remote_restart->time_s != 0;
}

// RFC 4724 4.2: the session is gone without a word.
void Speaker::Impl::keep_routes(Instant now, Peer& peer, Outputs& out) {
  bool any = false;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    drop_stale(peer, family);  // of a restart before: a second one in a row ends them
    const bool keep = helps_restart(peer, family);
    rib.retire(peer.index, family, keep ? Rib::Retire::keep : Rib::Retire::sweep);
    any = any || keep;
  }
  peer.restarting = any && rib.stale_count(peer.index) != 0;
  if (!peer.restarting) return;
  const auto wait = std::min<Duration>(std::chrono::seconds(peer.remote_restart->time_s), settings.stale_time_max);
  peer.stale_deadline = now + wait;
  log(out, peer, false,
      fmt::format("keeps {} routes as stale for {} s", rib.stale_count(peer.index),
                  std::chrono::duration_cast<std::chrono::seconds>(wait).count()));
}

void Speaker::Impl::drop_stale(Peer& peer, Family family) {
  rib.sweep_kept(peer.index, family);
  peer.long_lived[index_of(family)] = false;
  peer.long_lived_deadline[index_of(family)] = kInstantMax;
}

// The restart timer has run out: the routes go, or stay for the long-lived time (RFC 9494 4.2) with the least
// preference.
void Speaker::Impl::restart_expired(Instant now, Peer& peer, Outputs& out) {
  peer.stale_deadline = kInstantMax;
  const auto count = rib.stale_count(peer.index);
  bool kept = false;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto i = index_of(family);
    const bool long_lived = peer.settings.long_lived_graceful_restart && peer.remote_long_lived &&
                            !peer.established() && peer.remote_long_lived->families[i].listed &&
                            peer.remote_long_lived->families[i].time_s != 0;
    if (long_lived) {
      rib.make_long_lived(peer.index, family);
      peer.long_lived[i] = true;
      peer.long_lived_deadline[i] = now + std::chrono::seconds(peer.remote_long_lived->families[i].time_s);
      kept = true;
    } else {
      drop_stale(peer, family);
    }
  }
  peer.restarting = kept;
  log(out, peer, true,
      fmt::format("{} stale routes {}", count, kept ? "are long-lived now" : "dropped: it did not come back in time"));
}

// RFC 4724 4.2: the neighbour is back; what it says it has not kept forwarding for goes at once.
void Speaker::Impl::check_forwarding_preserved(Instant now, Peer& peer, Outputs& out) {
  if (!peer.restarting) return;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const bool preserved = peer.remote_restart && peer.remote_restart->families[index_of(family)].listed &&
                           peer.remote_restart->families[index_of(family)].forwarding_preserved;
    if (!preserved || !peer.conns[0].negotiated.family[index_of(family)]) drop_stale(peer, family);
    peer.long_lived_deadline[index_of(family)] = kInstantMax;
  }
  peer.restarting = rib.stale_count(peer.index) != 0;
  // It has sent all again when its End-of-RIB comes; if that never comes, this ends the wait.
  peer.stale_deadline = peer.restarting ? now + settings.stale_time_max : kInstantMax;
  if (peer.restarting) log(out, peer, false, "is back; its routes stay until its End-of-RIB");
}

// RFC 4724 4.1: we restart: decide when every neighbour that is up has sent End-of-RIB, or time is up.
void Speaker::Impl::update_deferral(Instant now, Outputs& out) {
  if (!deferring) return;
  bool all = now < defer_deadline;
  if (all) {
    for (const auto& [address, peer] : by_address) {
      if (!peer->enabled) continue;
      if (!peer->established()) return;
      const auto& theirs = peer->remote_restart;
      if (theirs && theirs->restarting) continue;  // it waits for us as we would for it
      const auto& n = peer->conns[0].negotiated;
      for (std::size_t i = 0; i < kFamilyCount; ++i) {
        if (n.family[i] && theirs && !peer->end_of_rib_received[i]) return;
      }
    }
  }
  deferring = false;
  defer_deadline = kInstantMax;
  rib.hold_decisions(false);
  out.actions.push_back(output::Log{false,
                                    {},
                                    all ? "restart complete: all neighbours have sent End-of-RIB"
                                        : "restart complete: not all neighbours came back in time"});
}

}  // namespace sluice::bgp
