// Graceful restart: a neighbour's routes are kept while it restarts; and our own restart defers decisions.
#include <fmt/format.h>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {

bool Speaker::Impl::helps_restart(const Peer& peer, Family family) const {
  return peer.settings.graceful_restart && !shut_down && peer.remote_restart &&
         peer.remote_restart->families[index_of(family)].listed && peer.remote_restart->time_s != 0;
}

// RFC 9494 4.1: only together with the capability of RFC 4724, which may list no family and no time.
bool Speaker::Impl::helps_long_lived(const Peer& peer, Family family) const {
  return peer.settings.graceful_restart && peer.settings.long_lived_graceful_restart && !shut_down &&
         peer.remote_restart && peer.remote_long_lived && peer.remote_long_lived->families[index_of(family)].listed &&
         peer.remote_long_lived->families[index_of(family)].time_s != 0;
}

// RFC 4724 4.2: the session is gone without a word.
void Speaker::Impl::keep_routes(Instant now, Peer& peer, Outputs& out) {
  bool timed = false;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto i = index_of(family);
    // Stale routes of a restart before go: a second one in a row ends them. Long-lived ones stay until their own time
    // is up, which does not begin anew (RFC 9494 4.2).
    const bool still_long_lived = peer.long_lived[i] && !peer.long_lived_expired[i] && helps_long_lived(peer, family) &&
                                  rib.stale_count(peer.index, family) != 0;
    if (!still_long_lived) drop_stale(peer, family);
    const bool restarts = helps_restart(peer, family);
    const bool keep = restarts || helps_long_lived(peer, family);
    rib.retire(peer.index, family, keep ? Rib::Retire::keep : Rib::Retire::sweep);
    if (!keep || rib.stale_count(peer.index, family) == 0 || still_long_lived) continue;
    // RFC 9494 4.2: a family without restart time is long-lived stale at once.
    restarts ? void(timed = true) : start_long_lived(now, peer, family);
  }
  const auto count = rib.stale_count(peer.index);
  peer.restarting = count != 0;
  if (!peer.restarting) return;
  Duration wait{};
  if (timed) {
    wait = std::min<Duration>(std::chrono::seconds(peer.remote_restart->time_s), settings.stale_time_max);
    peer.stale_deadline = now + wait;
  }
  log(out, peer, false,
      timed ? fmt::format("keeps {} routes as stale for {} s", count,
                          std::chrono::duration_cast<std::chrono::seconds>(wait).count())
            : fmt::format("keeps {} routes as long-lived stale", count));
}

void Speaker::Impl::drop_stale(Peer& peer, Family family) {
  rib.sweep_kept(peer.index, family);
  peer.long_lived[index_of(family)] = peer.long_lived_expired[index_of(family)] = false;
  peer.long_lived_deadline[index_of(family)] = kInstantMax;
}

void Speaker::Impl::start_long_lived(Instant now, Peer& peer, Family family) {
  const auto i = index_of(family);
  rib.make_long_lived(peer.index, family);
  peer.long_lived[i] = true;
  peer.long_lived_expired[i] = false;
  peer.long_lived_deadline[i] = now + std::chrono::seconds(peer.remote_long_lived->families[i].time_s);
}

// The restart timer has run out: the routes go, or stay for the long-lived time (RFC 9494 4.2) with the least
// preference.
void Speaker::Impl::restart_expired(Instant now, Peer& peer, Outputs& out) {
  peer.stale_deadline = kInstantMax;
  const auto count = rib.stale_count(peer.index);
  bool kept = false;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    if (peer.established() || (!peer.long_lived[index_of(family)] && !helps_long_lived(peer, family))) {
      drop_stale(peer, family);
      continue;
    }
    if (!peer.long_lived[index_of(family)]) start_long_lived(now, peer, family);
    kept = true;
  }
  peer.restarting = kept && rib.stale_count(peer.index) != 0;
  log(out, peer, true,
      fmt::format("{} stale routes {}", count, kept ? "are long-lived now" : "dropped: it did not come back in time"));
}

// RFC 4724 4.2, RFC 9494 4.2: the neighbour is back; what it says it has not kept forwarding for goes at once.
void Speaker::Impl::check_forwarding_preserved(Instant now, Peer& peer, Outputs& out) {
  if (!peer.restarting) return;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto i = index_of(family);
    const bool restart = peer.remote_restart && peer.remote_restart->families[i].listed &&
                         peer.remote_restart->families[i].forwarding_preserved;
    const bool long_lived = peer.remote_restart && peer.remote_long_lived &&
                            peer.remote_long_lived->families[i].listed &&
                            peer.remote_long_lived->families[i].forwarding_preserved;
    const bool preserved = peer.long_lived[i] ? long_lived : restart;
    if (!preserved || !peer.conns[0].negotiated.family[i]) drop_stale(peer, family);
  }
  peer.restarting = rib.stale_count(peer.index) != 0;
  // It has sent all again when its End-of-RIB comes; if that never comes, this ends the wait.
  peer.stale_deadline = peer.restarting ? now + settings.stale_time_max : kInstantMax;
  if (peer.restarting) log(out, peer, false, "is back; its routes stay until its End-of-RIB");
}

// RFC 4724 4.1: we restart: decide and announce when every neighbour has sent End-of-RIB, or time is up. Until our
// End-of-RIB the neighbours keep what we announced before: nothing is lost by waiting.
void Speaker::Impl::update_deferral(Instant now, Outputs& out) {
  if (!deferring) return;
  bool all = now < defer_deadline;
  if (all) {
    if (held) return;
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
  deferring = held = false;
  defer_deadline = kInstantMax;
  rib.hold_decisions(false);
  out.actions.push_back(output::Log{false,
                                    {},
                                    all ? "restart complete: all neighbours have sent End-of-RIB"
                                        : "restart complete: not all neighbours came back in time"});
}

}  // namespace sluice::bgp
