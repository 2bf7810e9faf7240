// The speaker's public face: settings into neighbours, inputs to the right place, timers.
#include "control/bgp/speaker.h"

#include <fmt/format.h>

#include <algorithm>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {
namespace {

void check_session(const SessionSettings& s, const std::string& place, Errors& errors) {
  const auto error = [&](std::string message) { errors.push_back({place, std::move(message)}); };
  if (s.remote_as == 0) error("remote-as is missing: an AS number, 1..4294967295");
  if (s.hold_time != 0s && (s.hold_time < 3s || s.hold_time > 65535s)) error("hold-time must be 0, or 3 s to 65535 s");
  if (s.hold_time != 0s && s.keepalive > s.hold_time)
    error("keepalive must be shorter than hold-time; a third of it is usual");
  if (s.connect_retry < 1s) error("connect-retry must be at least 1 s");
  if (s.port == 0) error("port must be 1..65535");
  if (s.password.size() > 80) error("password is longer than the 80 bytes of TCP MD5");
  if (s.ttl_security > 254) error("ttl-security must be 1..254 hops");
  if (s.multihop < 1 || s.multihop > 255) error("multihop must be 1..255");
  if (s.prefixes_max == 0) error("maximum-prefix must be at least 1");
}

// What can change while the session stays up.
bool same_session(SessionSettings a, SessionSettings b) {
  const auto blank = [](SessionSettings& s) {
    s.description.clear();
    s.connect_retry = s.idle_hold = s.idle_hold_max = 0s;
    s.prefixes_max = s.prefixes_warn_percent = 0;
    s.prefixes_restart = 0s;
    s.import_policy = s.export_policy = {};
    s.require_policy = false;
    s.allow_as_in = 0;
    s.bfd.reset();
  };
  blank(a);
  blank(b);
  return a == b;
}

bool same_import(const SessionSettings& a, const SessionSettings& b) {
  return a.import_policy == b.import_policy && a.require_policy == b.require_policy && a.allow_as_in == b.allow_as_in;
}

}  // namespace

// ---- settings

Errors Speaker::check(const SpeakerSettings& settings) {
  Errors errors;
  if (settings.neighbors.empty() && settings.listen_ranges.empty() && settings.local_as == 0) return errors;
  if (settings.local_as == 0) errors.push_back({"bgp.local-as", "is missing: an AS number, 1..4294967295"});
  if (settings.router_id == 0) errors.push_back({"bgp.router-id", "is missing: an address such as 172.16.40.202"});
  if (settings.graceful_restart_time > 4095s) errors.push_back({"bgp.graceful-restart-time", "must be at most 4095 s"});
  std::set<IpAddress> seen;
  for (const auto& n : settings.neighbors) {
    const auto place = "bgp.neighbors " + n.address.text();
    check_session(n.session, place, errors);
    if (!seen.insert(n.address).second) errors.push_back({place, "is there twice"});
    for (const auto& self : settings.self_ips) {
      if (self.address == n.address) errors.push_back({place, "is our own self IP"});
    }
  }
  for (const auto& range : settings.listen_ranges) {
    check_session(range.session, "bgp.listen-ranges " + range.prefix.text(), errors);
  }
  if (settings.neighbors.size() > kPeersMax) {
    errors.push_back({"bgp.neighbors", fmt::format("{} neighbours; at most {}", settings.neighbors.size(), kPeersMax)});
  }
  return errors;
}

void Speaker::Impl::configure(Instant now, const SpeakerSettings& next, Outputs& out) {
  const bool all_changed = configured && (next.local_as != settings.local_as || next.router_id != settings.router_id);
  const bool accept_changed = configured && (next.accept != settings.accept || next.refuse != settings.refuse ||
                                             next.self_ips != settings.self_ips);
  const auto old = std::exchange(settings, next);
  if (!configured) {
    epoch = now;
    if (settings.restarting) {
      deferring = true;
      defer_deadline = now + settings.restart_defer_max;
      held = settings.hold_announcements;
      rib.hold_decisions(settings.forwarding_preserved);
    }
  }
  configured = true;
  for (const auto& self : old.self_ips)
    set_own(self.address, originated.contains(routing::IpPrefix::host(self.address)));
  for (const auto& self : settings.self_ips) set_own(self.address, true);
  rib.configure({settings.multipath_max, settings.multipath_relax, settings.always_compare_med, settings.local_as});
  std::vector<IpAddress> gone;
  std::set<IpAddress> named;
  for (const auto& n : settings.neighbors) named.insert(n.address);
  for (const auto& [address, peer] : by_address) {
    const bool wanted = peer->dynamic ? range_of(address) != nullptr : named.contains(address);
    if (!wanted) gone.push_back(address);
  }
  range_neighbors.resize(std::max(range_neighbors.size(), settings.listen_ranges.size()));
  for (const auto& address : gone) remove_peer(now, *find(address), cease::kDeconfigured, out);
  for (const auto& neighbor : settings.neighbors) configure_neighbor(now, neighbor, all_changed, out);
  range_neighbors.assign(settings.listen_ranges.size(), 0);  // counted anew: ranges may have changed places
  for (const auto& [address, peer] : by_address) {
    if (peer->dynamic) configure_dynamic(now, *peer, all_changed, out);
  }
  if (old.owners != settings.owners) {
    rib.clear_owners();
    for (const auto& owner : settings.owners) rib.set_owner(owner.prefix, owner.node);
  }
  if (all_changed || accept_changed) {
    for (const auto& [address, peer] : by_address) {
      if (!all_changed && peer->established() && !ask_again(now, *peer, out)) {
        stop(now, *peer, cease::kConfigChange, {}, out);
        start(now, *peer, out);
      }
    }
  }
}

void Speaker::Impl::configure_neighbor(Instant now, const NeighborSettings& neighbor, bool all_changed, Outputs& out) {
  auto* peer = find(neighbor.address);
  if (peer != nullptr && peer->dynamic) {  // now it has a name of its own
    remove_peer(now, *peer, cease::kConfigChange, out);
    peer = nullptr;
  }
  if (peer == nullptr) {
    auto& added = add_peer(neighbor.address, neighbor.session, neighbor.enabled);
    return start(now, added, out);
  }
  change_settings(now, *peer, neighbor.session, neighbor.enabled, all_changed, out);
}

const ListenRange* Speaker::Impl::range_of(const IpAddress& address) const {
  const auto& ranges = settings.listen_ranges;
  const auto at =
      std::find_if(ranges.begin(), ranges.end(), [&](const ListenRange& r) { return r.prefix.contains(address); });
  return at == ranges.end() ? nullptr : &*at;
}

// A neighbour that came by a listen range follows the range as one with a name follows its settings.
// Precondition: there is a range for it.
void Speaker::Impl::configure_dynamic(Instant now, Peer& peer, bool all_changed, Outputs& out) {
  const auto* range = range_of(peer.address);
  peer.range = static_cast<std::size_t>(range - settings.listen_ranges.data());
  ++range_neighbors[peer.range];
  auto session = range->session;
  session.passive = true;
  change_settings(now, peer, session, true, all_changed, out);
}

void Speaker::Impl::change_settings(Instant now, Peer& peer, const SessionSettings& session, bool enabled,
                                    bool all_changed, Outputs& out) {
  const auto old = std::exchange(peer.settings, session);
  if (peer.enabled != enabled) {
    peer.enabled = enabled;
    enabled ? start(now, peer, out) : stop(now, peer, cease::kShutdown, {}, out);
    return;
  }
  if (all_changed || !same_session(old, session)) {
    stop(now, peer, cease::kConfigChange, {}, out);
    return start(now, peer, out);
  }
  if (peer.established() &&
      (old.export_policy != session.export_policy || old.require_policy != session.require_policy)) {
    leave_group(peer);
    join_group(peer);
    start_sync(peer);  // what the new policy refuses is withdrawn
  }
  if (peer.established() && !same_import(old, session)) {
    if (!ask_again(now, peer, out)) {
      stop(now, peer, cease::kConfigChange, {}, out);
      start(now, peer, out);
    }
  }
}

// ROUTE-REFRESH for every family of the session. False: the neighbour does not know it.
bool Speaker::Impl::ask_again(Instant now, Peer& peer, Outputs& out) {
  auto& conn = peer.conns[0];
  if (!conn.negotiated.route_refresh) return false;
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    if (!conn.negotiated.family[index_of(family)]) continue;
    send(now, peer, conn, std::make_shared<const Bytes>(encode_route_refresh(family)), out);
  }
  return true;
}

Peer& Speaker::Impl::add_peer(const IpAddress& address, const SessionSettings& session, bool enabled) {
  auto peer = std::make_unique<Peer>();
  peer->address = address;
  peer->settings = session;
  peer->enabled = enabled;
  peer->index = rib.add_peer(address);
  return *(by_address[address] = std::move(peer));
}

void Speaker::Impl::remove_peer(Instant now, Peer& peer, std::uint8_t cease_subcode, Outputs& out) {
  stop(now, peer, cease_subcode, {}, out);
  rib.remove_peer(peer.index);
  if (peer.dynamic) --range_neighbors[peer.range];
  if (peer.wake != kInstantMax) timers.erase({peer.wake, peer.address});
  by_address.erase(IpAddress(peer.address));
}

void Speaker::Impl::start(Instant now, Peer& peer, Outputs& out) {
  if (!peer.enabled || shut_down) return;
  peer.hold = Hold::none;
  peer.refuse_until = {};
  // One that came by a listen range and does not come back is forgotten.
  if (peer.dynamic) peer.expiry_deadline = now + settings.listen_ranges[peer.range].expiry;
  peer.state_since = now;
  event(now, peer, peer.conns[0], peer.settings.passive ? Event::automatic_start_passive : Event::automatic_start, out);
}

// Ends whatever there is, with Cease; the routes go at once, stale ones too.
void Speaker::Impl::stop(Instant now, Peer& peer, std::uint8_t cease_subcode, std::string_view reason, Outputs& out) {
  auto notification = Notification::cease(cease_subcode, reason);
  const auto& caps = peer.conns[0].remote_open ? peer.conns[0].remote_open->capabilities : Capabilities{};
  // RFC 8538 3.1: the N bit would make it keep our routes: a Hard Reset says that we mean it.
  if (peer.established() && peer.settings.graceful_restart && caps.graceful_restart &&
      caps.graceful_restart->notification) {
    Notification hard{code::kCease, cease::kHardReset, {notification.code, notification.subcode}};
    hard.data.insert(hard.data.end(), notification.data.begin(), notification.data.end());
    notification = std::move(hard);
  }
  if (peer.conns[1].state != State::idle) event(now, peer, peer.conns[1], Event::manual_stop, out, notification);
  event(now, peer, peer.conns[0], Event::manual_stop, out, notification);
  for (const auto family : {Family::ipv4, Family::ipv6}) drop_stale(peer, family);
  peer.restarting = false;
  peer.stale_deadline = peer.idle_hold_deadline = peer.connect_retry_deadline = kInstantMax;
  schedule(peer);
}

// ---- connections

std::optional<IpAddress> Speaker::Impl::local_address_for(const Peer& peer) const {
  if (peer.settings.local_address) return peer.settings.local_address;
  const auto family = peer.address.is_v4() ? Family::ipv4 : Family::ipv6;
  for (const auto& self : settings.self_ips) {
    if (self.address.is_v4() == peer.address.is_v4() &&
        routing::IpPrefix::of(self.address, self.length).contains(peer.address)) {
      return self.address;
    }
  }
  for (const auto& self : settings.self_ips) {
    if (self.address.is_v4() == (family == Family::ipv4)) return self.address;
  }
  return std::nullopt;
}

Peer* Speaker::Impl::dynamic_peer(Instant now, const IpAddress& address) {
  for (std::size_t i = 0; i < settings.listen_ranges.size(); ++i) {
    const auto& range = settings.listen_ranges[i];
    if (!range.prefix.contains(address)) continue;
    if (range_neighbors[i] >= range.neighbors_max || by_address.size() >= kPeersMax) return nullptr;
    ++range_neighbors[i];
    auto& peer = add_peer(address, range.session, true);
    peer.dynamic = true;
    peer.range = i;
    peer.settings.passive = true;
    peer.expiry_deadline = now + range.expiry;
    return &peer;
  }
  return nullptr;
}

void Speaker::Impl::accepted(Instant now, const input::Accepted& input, Outputs& out) {
  auto* peer = find(input.remote.address);
  const auto refuse = [&](std::string why) {
    out.actions.push_back(output::Close{input.conn, false});
    out.actions.push_back(output::Log{true, input.remote.address, "connection refused: " + std::move(why)});
  };
  if (shut_down) return refuse("shutting down");
  if (peer == nullptr) {
    peer = dynamic_peer(now, input.remote.address);
    if (peer == nullptr) return refuse("no such neighbour");
    start(now, *peer, out);
  }
  if (!peer->enabled || peer->hold != Hold::none) return refuse("the neighbour is disabled or held down");
  if (now < peer->refuse_until) return refuse("too soon after the last failure");
  if (peer->settings.local_address && *peer->settings.local_address != input.local.address) {
    return refuse("it came to " + input.local.address.text());
  }
  auto& first = peer->conns[0];
  if (first.state == State::idle) event(now, *peer, first, Event::automatic_start_passive, out);
  // RFC 4724 5: a neighbour that connects again has restarted, and its old connection died unseen. But just after the
  // session came up it is the loser of a collision, begun before and found only now: to end the session for it would be
  // a second loss before End-of-RIB, which takes the routes that the neighbour has kept. Its OPEN will tell.
  if (first.state == State::established && now - peer->state_since >= kCollisionMax && first.negotiated.family[0] &&
      helps_restart(*peer, Family::ipv4)) {
    event(now, *peer, first, Event::tcp_connection_fails, out, std::nullopt, "the neighbour has connected anew");
    event(now, *peer, first, Event::automatic_start_passive, out);
  }
  auto* conn = &first;
  if (first.state != State::active) {
    conn = &peer->conns[1];
    // The neighbour has given up the connection before.
    if (conn->open()) event(now, *peer, *conn, Event::open_collision_dump, out);
    conn->state = State::active;
  }
  conn->id = input.conn;
  conn->outgoing = false;
  conn->local = input.local;
  conn->remote = input.remote;
  by_conn[input.conn] = peer;
  peer->idle_hold_deadline = kInstantMax;
  event(now, *peer, *conn, Event::tcp_connection_confirmed, out);
}

// ---- timers

Instant Speaker::Impl::earliest(const Peer& peer) const {
  auto least =
      std::min({peer.connect_retry_deadline, peer.idle_hold_deadline, peer.stale_deadline, peer.expiry_deadline,
                peer.refresh_deadline, peer.long_lived_deadline[0], peer.long_lived_deadline[1]});
  for (const auto& c : peer.conns)
    least = std::min({least, c.hold_deadline, c.keepalive_deadline, c.send_hold_deadline});
  return least;
}

// The queue is only told of deadlines that come nearer; one that moved away is found out when it is due.
void Speaker::Impl::schedule(Peer& peer) {
  const auto least = earliest(peer);
  if (least >= peer.wake) return;
  if (peer.wake != kInstantMax) timers.erase({peer.wake, peer.address});
  peer.wake = least;
  timers.emplace(least, peer.address);
}

void Speaker::Impl::tick(Instant now, Outputs& out) {
  while (!timers.empty() && timers.begin()->first <= now) {
    auto* peer = find(timers.begin()->second);
    timers.erase(timers.begin());
    peer->wake = kInstantMax;
    const auto address = peer->address;
    expire(now, *peer, out);
    if (auto* still = find(address)) schedule(*still);
  }
  if (deferring && now >= defer_deadline) update_deferral(now, out);
}

void Speaker::Impl::expire(Instant now, Peer& peer, Outputs& out) {
  const auto due = [now](Instant& deadline) {
    if (deadline > now) return false;
    deadline = kInstantMax;
    return true;
  };
  for (std::size_t i = 0; i < peer.conns.size(); ++i) {
    if (due(peer.conns[i].hold_deadline)) event(now, peer, peer.conns[i], Event::hold_timer_expires, out);
    if (due(peer.conns[i].send_hold_deadline)) {
      event(now, peer, peer.conns[i], Event::send_hold_timer_expires, out, std::nullopt, "the neighbour does not read");
    }
    if (due(peer.conns[i].keepalive_deadline)) event(now, peer, peer.conns[i], Event::keepalive_timer_expires, out);
  }
  if (due(peer.connect_retry_deadline)) event(now, peer, peer.conns[0], Event::connect_retry_timer_expires, out);
  if (due(peer.idle_hold_deadline) && peer.conns[0].state == State::idle && peer.enabled && !shut_down) {
    event(now, peer, peer.conns[0], Event::idle_hold_timer_expires, out);
  }
  if (due(peer.stale_deadline)) restart_expired(now, peer, out);
  if (due(peer.refresh_deadline)) {
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      if (std::exchange(peer.refresh_running[index_of(family)], false)) rib.sweep_kept(peer.index, family);
    }
  }
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    if (!due(peer.long_lived_deadline[index_of(family)])) continue;
    if (peer.established()) {  // RFC 9494 4.2: it is sending all again; only if that fails, they go
      peer.long_lived_expired[index_of(family)] = true;
      continue;
    }
    drop_stale(peer, family);
    peer.restarting = rib.stale_count(peer.index) != 0;
  }
  if (due(peer.expiry_deadline) && peer.dynamic) remove_peer(now, peer, cease::kDeconfigured, out);
}

void Speaker::Impl::finish_step(Instant now, Outputs& out) {
  if (rib.has_work()) rib.work(kPathsPerTurn, out.routes);
  flush(now, out);
}

// ---- Speaker

namespace {

// Around a call that changes the speaker: what goes in is written down before, a hash of what comes out behind it.
class Recorded {
 public:
  template <typename Write>
  Recorded(Recorder* recorder, const Outputs& out, Write write)
      : recorder_(recorder), out_(out), actions_(out.actions.size()), routes_(out.routes.size()) {
    if (recorder != nullptr) write(*recorder);
  }
  ~Recorded() {
    if (recorder_ != nullptr) recorder_->outputs(out_, actions_, routes_);
  }
  Recorded(const Recorded&) = delete;
  Recorded& operator=(const Recorded&) = delete;

 private:
  Recorder* recorder_;
  const Outputs& out_;
  std::size_t actions_, routes_;
};

}  // namespace

void Speaker::set_recorder(Recorder* recorder) { impl_->next_hops.recorder = recorder; }

Speaker::Speaker(const routing::NextHopResolver& next_hops) : impl_(std::make_unique<Impl>(next_hops)) {}
Speaker::~Speaker() = default;

void Speaker::configure(Instant now, const SpeakerSettings& settings, Outputs& out) {
  const Recorded recorded(impl_->next_hops.recorder, out, [&](Recorder& r) { r.configure(now); });
  impl_->configure(now, settings, out);
  impl_->finish_step(now, out);
}

void Speaker::step(Instant now, const Input& any, Outputs& out) {
  const Recorded recorded(impl_->next_hops.recorder, out, [&](Recorder& r) { r.step(now, any); });
  auto& impl = *impl_;
  const auto with_conn = [&impl](ConnId id, auto&& f) {
    if (auto* peer = impl.find(id)) f(*peer, *peer->find(id));
  };
  if (const auto* received = std::get_if<input::Received>(&any)) {
    with_conn(received->conn, [&](Peer& peer, Connection& conn) {
      if (conn.open()) impl.received(now, peer, *received, out);
    });
  } else if (const auto* connected = std::get_if<input::Connected>(&any)) {
    with_conn(connected->conn, [&](Peer& peer, Connection& conn) {
      // While we connected, the neighbour's own connection got through: one is enough.
      if (peer.conns[1].state >= State::open_confirm) {
        impl.drop(peer, conn, false, out);
        impl.promote(peer);
        return impl.schedule(peer);
      }
      conn.local = connected->local;
      conn.remote = connected->remote;
      impl.event(now, peer, conn, Event::tcp_cr_acked, out);
    });
  } else if (const auto* failed = std::get_if<input::ConnectFailed>(&any)) {
    with_conn(failed->conn, [&](Peer& peer, Connection& conn) {
      impl.by_conn.erase(std::exchange(conn.id, 0));  // there is nothing left to close
      impl.event(now, peer, conn, Event::tcp_connection_fails, out, std::nullopt, failed->reason);
    });
  } else if (const auto* accepted = std::get_if<input::Accepted>(&any)) {
    impl.accepted(now, *accepted, out);
  } else if (const auto* closed = std::get_if<input::Closed>(&any)) {
    with_conn(closed->conn, [&](Peer& peer, Connection& conn) {
      impl.by_conn.erase(std::exchange(conn.id, 0));  // there is nothing left to close
      impl.event(now, peer, conn, Event::tcp_connection_fails, out, std::nullopt, closed->reason);
    });
  } else if (const auto* written = std::get_if<input::Written>(&any)) {
    with_conn(written->conn, [&](Peer& peer, Connection& conn) {
      if (written->pending < conn.pending || written->pending == 0) conn.send_hold_deadline = kInstantMax;
      conn.pending = written->pending;
      if (conn.pending != 0 && conn.negotiated.hold_time_s != 0) {
        conn.send_hold_deadline = now + std::max<Duration>(480s, 2s * conn.negotiated.hold_time_s);
      }
      impl.schedule(peer);
    });
  } else if (const auto* down = std::get_if<input::PathDown>(&any)) {
    if (auto* peer = impl.find(down->peer)) impl.path_down(now, *peer, *down, out);
  } else if (std::holds_alternative<input::NextHopsChanged>(any)) {
    impl.rib.next_hops_changed();
  }
  impl.tick(now, out);
  impl.finish_step(now, out);
}

Instant Speaker::deadline() const {
  const auto timer = impl_->timers.empty() ? kInstantMax : impl_->timers.begin()->first;
  return impl_->deferring ? std::min(timer, impl_->defer_deadline) : timer;
}

bool Speaker::has_work() const {
  if (impl_->rib.has_work()) return true;
  if (impl_->deferring) return false;
  return std::any_of(impl_->behind.begin(), impl_->behind.end(), [this](const IpAddress& address) {
    const auto* peer = impl_->find(address);
    return peer != nullptr && peer->established() && peer->conns[0].pending <= kOutputHigh;
  });
}

void Speaker::announce(Instant now, const routing::IpPrefix& prefix, const AnnounceAttributes& attributes,
                       Outputs& out) {
  const Recorded recorded(impl_->next_hops.recorder, out, [&](Recorder& r) { r.announce(now, prefix, attributes); });
  if (!impl_->shut_down) impl_->change(prefix, attributes, false);
}

void Speaker::withdraw(Instant now, const routing::IpPrefix& prefix, Outputs& out) {
  const Recorded recorded(impl_->next_hops.recorder, out, [&](Recorder& r) { r.withdraw(now, prefix); });
  impl_->change(prefix, {}, true);
}

void Speaker::ready(Instant now, Outputs& out) {
  impl_->held = false;
  impl_->update_deferral(now, out);
  impl_->finish_step(now, out);
}

bool Speaker::restarting() const { return impl_->deferring; }

void Speaker::shutdown(Instant now, std::string_view reason, Outputs& out) {
  auto& impl = *impl_;
  const Recorded recorded(impl.next_hops.recorder, out, [&](Recorder& r) { r.shutdown(now, reason); });
  if (impl.shut_down) return;
  std::vector<routing::IpPrefix> all;
  for (const auto& [prefix, origination] : impl.originated) {
    if (!origination.withdrawn) all.push_back(prefix);
  }
  for (const auto& prefix : all) impl.change(prefix, {}, true);
  impl.deferring = false;
  impl.flush(now, out);
  impl.shut_down = true;
  for (const auto& [address, peer] : impl.by_address) impl.stop(now, *peer, cease::kShutdown, reason, out);
  impl.finish_step(now, out);
}

bool Speaker::clear(Instant now, const IpAddress& address, Outputs& out) {
  const Recorded recorded(impl_->next_hops.recorder, out,
                          [&](Recorder& r) { r.verb(now, Recorder::Verb::clear, address); });
  auto* peer = impl_->find(address);
  if (peer == nullptr) return false;
  impl_->stop(now, *peer, cease::kReset, {}, out);
  impl_->start(now, *peer, out);
  impl_->finish_step(now, out);
  return true;
}

bool Speaker::refresh(Instant now, const IpAddress& address, Outputs& out) {
  const Recorded recorded(impl_->next_hops.recorder, out,
                          [&](Recorder& r) { r.verb(now, Recorder::Verb::refresh, address); });
  auto* peer = impl_->find(address);
  return peer != nullptr && peer->established() && impl_->ask_again(now, *peer, out);
}

bool Speaker::resend(const IpAddress& address) {
  if (auto* recorder = impl_->next_hops.recorder) recorder->verb({}, Recorder::Verb::resend, address);
  auto* peer = impl_->find(address);
  if (peer == nullptr || !peer->established()) return false;
  impl_->start_sync(*peer);
  return true;
}

std::optional<Speaker::Admission> Speaker::admission(const IpAddress& address) const {
  if (const auto* peer = impl_->find(address)) {
    return Admission{peer->settings.password, peer->settings.ttl_security, peer->settings.multihop};
  }
  for (const auto& range : impl_->settings.listen_ranges) {
    if (range.prefix.contains(address)) {
      return Admission{range.session.password, range.session.ttl_security, range.session.multihop};
    }
  }
  return std::nullopt;
}

const SpeakerSettings& Speaker::settings() const { return impl_->settings; }

}  // namespace sluice::bgp
