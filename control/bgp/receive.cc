// What a neighbour sends: framing, OPEN and collisions, UPDATE into the Rib, ROUTE-REFRESH, NOTIFICATION.
#include <fmt/format.h>

#include <algorithm>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {

void Speaker::Impl::received(Instant now, Peer& peer, const input::Received& input, Outputs& out) {
  peer.bytes_in += input.bytes.size();
  peer.last_read = now;
  auto* conn = peer.find(input.conn);
  ByteSpan bytes = input.bytes;
  Bytes joined;
  while (conn != nullptr) {
    // A message that began in an earlier read is put together first, and only it: the rest is read where it is.
    const bool joins = !conn->input.empty();
    if (joins) {
      const auto n = std::min(missing_bytes(conn->input), bytes.size());
      conn->input.insert(conn->input.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
      bytes = bytes.subspan(n);
    }
    auto result = next_frame(joins ? ByteSpan(conn->input) : bytes, conn->negotiated.receive_max());
    if (std::holds_alternative<NeedMore>(result)) {
      if (joins && !bytes.empty()) continue;
      if (!joins) conn->input.assign(bytes.begin(), bytes.end());
      return;
    }
    if (auto* error = std::get_if<Notification>(&result)) {
      return event(now, peer, *conn, Event::bgp_header_err, out, std::move(*error));
    }
    const auto& frame = std::get<Frame>(result);
    if (joins) {
      joined = std::move(conn->input);  // what the frame points to lives on when the connection goes
      conn->input.clear();
    }
    message(now, peer, *conn, frame, out);
    if (!joins) bytes = bytes.subspan(frame.message.size());
    conn = peer.find(input.conn);  // a message may end its connection, or move it to the first place
  }
}

void Speaker::Impl::message(Instant now, Peer& peer, Connection& conn, const Frame& frame, Outputs& out) {
  observe_message(now, peer, conn, true, frame.message);
  switch (frame.type) {
    case MessageType::open:
      ++peer.in.open;
      return open_message(now, peer, conn, frame.body, out);
    case MessageType::update:
      ++peer.in.update;
      return update_message(now, peer, conn, frame.body, out);
    case MessageType::notification:
      ++peer.in.notification;
      return notification_message(now, peer, conn, frame.body, out);
    case MessageType::keepalive:
      ++peer.in.keepalive;
      return event(now, peer, conn, Event::keepalive_msg, out);
    case MessageType::route_refresh:
      ++peer.in.route_refresh;
      return refresh_message(now, peer, conn, frame, out);
  }
}

void Speaker::Impl::open_message(Instant now, Peer& peer, Connection& conn, ByteSpan body, Outputs& out) {
  if (conn.state != State::open_sent) return event(now, peer, conn, Event::bgp_open, out);  // an FSM error
  auto decoded = decode_open(body);
  if (auto* error = std::get_if<Notification>(&decoded)) {
    return event(now, peer, conn, Event::bgp_open_msg_err, out, std::move(*error));
  }
  auto& open = std::get<OpenMessage>(decoded);
  auto error = check_open(open, {peer.settings.remote_as, local_as(peer), settings.router_id});
  std::string detail;
  if (error && error->subcode == open_error::kPeerAs) {
    detail = fmt::format("it says AS {}, AS {} is configured", open.as, peer.settings.remote_as);
  }
  if (!error && !internal(peer)) {
    if (auto mismatch = role_mismatch(peer.settings.role, peer.settings.role_strict, open.capabilities)) {
      error = std::move(*mismatch);
    }
  }
  const auto negotiated = negotiate(conn.local_open, open);
  if (!error && !negotiated.family[0] && !negotiated.family[1]) {
    // RFC 5492 5: a session without an address family would be up and carry nothing.
    error = Notification{code::kOpen, open_error::kCapability, encode_families(conn.local_open.capabilities)};
    detail = "no address family in common";
  }
  if (error) return event(now, peer, conn, Event::bgp_open_msg_err, out, std::move(*error), detail);
  conn.negotiated = negotiated;
  conn.remote_open = std::move(open);
  const auto id = conn.id;
  if (!resolve_collision(now, peer, conn, out)) return;
  auto* winner = peer.find(id);  // it may have moved to the first place
  event(now, peer, *winner, Event::bgp_open, out);
}

// RFC 4271 6.8: of two connections the one that the higher identifier has opened lives; equal identifiers (RFC
// 6286 2.3): the higher AS. An Established one always lives. False: `conn` is gone.
bool Speaker::Impl::resolve_collision(Instant now, Peer& peer, Connection& conn, Outputs& out) {
  auto& other = &conn == &peer.conns[0] ? peer.conns[1] : peer.conns[0];
  if (other.state == State::connect) {
    // The KEEPALIVE that follows makes the neighbour Established. A SYN of ours that got there later would look like
    // another restart of ours (RFC 4724 5), and take what it has kept of our routes: so the attempt ends before.
    drop(peer, other, false, out);
    promote(peer);
    return true;
  }
  if (!other.open()) return true;
  const auto& theirs = *conn.remote_open;
  if (other.state == State::established && theirs.capabilities.graceful_restart &&
      theirs.capabilities.graceful_restart->restarting) {
    // It says itself that it has restarted, however short the session was: see accepted().
    event(now, peer, other, Event::tcp_connection_fails, out, std::nullopt, "the neighbour has restarted");
    return true;
  }
  const bool ours_higher =
      settings.router_id != theirs.identifier ? settings.router_id > theirs.identifier : local_as(peer) > theirs.as;
  const bool conn_lives = other.state != State::established && conn.outgoing == ours_higher;
  if (conn.outgoing == other.outgoing && other.state != State::established) {
    // Two of the same direction: the neighbour has begun anew; the later one is what it knows.
    event(now, peer, other, Event::open_collision_dump, out);
    return true;
  }
  event(now, peer, conn_lives ? other : conn, Event::open_collision_dump, out);
  return conn_lives;
}

void Speaker::Impl::notification_message(Instant now, Peer& peer, Connection& conn, ByteSpan body, Outputs& out) {
  auto notification = decode_notification(body);
  const bool bad_version =
      notification && notification->code == code::kOpen && notification->subcode == open_error::kVersion;
  event(now, peer, conn, bad_version ? Event::notif_msg_ver_err : Event::notif_msg, out, std::move(notification));
}

// ---- UPDATE

void Speaker::Impl::update_message(Instant now, Peer& peer, Connection& conn, ByteSpan body, Outputs& out) {
  if (conn.state != State::established) return event(now, peer, conn, Event::update_msg, out);  // an FSM error
  DecodeContext context;
  context.internal = conn.negotiated.internal;
  context.four_octet_as = conn.negotiated.four_octet_as;
  context.extended_next_hop = conn.negotiated.extended_next_hop;
  context.add_path = conn.negotiated.add_path_receive;
  context.remote_as = peer.settings.remote_as;
  auto update = decode_update(body, context);
  peer.discarded_attributes += update.path.discarded;
  if (update.action() != ErrorAction::none) {
    peer.last_update_error = update.path.error;
    // Once a second: a neighbour that sends nothing else must not fill the log. The counters count them all.
    if (update.action() != ErrorAction::session_reset && now >= peer.next_update_log) {
      peer.next_update_log = now + 1s;
      log(out, peer, true, "UPDATE: " + update.path.error);
    }
  }
  if (update.action() == ErrorAction::session_reset) {
    return event(now, peer, conn, Event::update_msg_err, out, std::move(update.path.notification), update.path.error);
  }
  event(now, peer, conn, Event::update_msg, out);
  apply_update(now, peer, conn, update, out);
  if (!over_prefix_limit(now, peer, out)) over_memory_limit(now, peer, out);
}

void Speaker::Impl::apply_update(Instant now, Peer& peer, Connection& conn, const UpdateMessage& update, Outputs& out) {
  if (update.end_of_rib) return end_of_rib(now, peer, update.end_of_rib_family, out);
  const auto& negotiated = conn.negotiated;
  const bool v4 = negotiated.family[index_of(Family::ipv4)];
  if (v4) withdraw_routes(peer, update.withdrawn, Family::ipv4, out);
  const auto& unreach = update.path.mp_unreach;
  if (unreach && unreach->family && negotiated.family[index_of(*unreach->family)]) {
    withdraw_routes(peer, unreach->nlri, *unreach->family, out);
  }
  const bool bad = update.action() == ErrorAction::treat_as_withdraw;
  if (bad) ++peer.treated_as_withdraw;
  if (v4 && !update.nlri.empty()) {
    if (bad) {
      withdraw_routes(peer, update.nlri, Family::ipv4, out);
    } else {
      announce_routes(now, peer, update.nlri, Family::ipv4, update.path.attributes, out);
    }
  }
  const auto& reach = update.path.mp_reach;
  if (!reach || !reach->family || !negotiated.family[index_of(*reach->family)]) return;
  if (bad) {
    withdraw_routes(peer, reach->nlri, *reach->family, out);
  } else {
    auto attributes = update.path.attributes;
    attributes.next_hop = reach->next_hop;
    announce_routes(now, peer, reach->nlri, *reach->family, attributes, out);
  }
}

// RFC 4271 6.3: a neighbour of another AS that is one hop away names itself, or somebody on the subnet that it shares
// with us. A neighbour on no subnet of ours is further away, and may name anybody. Next hops of the other family (RFC
// 8950, IPv6 routes over IPv4) and link-local ones say nothing about that subnet.
bool Speaker::Impl::next_hop_is_near(const Peer& peer, const IpAddress& next_hop) const {
  static const routing::IpPrefix kLinkLocal = Ipv6Prefix::of(Ipv6Address{{0xfe, 0x80}}, 10);
  if (next_hop == peer.address || next_hop.is_v4() != peer.address.is_v4() || kLinkLocal.contains(next_hop)) {
    return true;
  }
  bool one_hop = false;
  for (const auto& self : settings.self_ips) {
    if (self.address.is_v4() != peer.address.is_v4()) continue;
    const auto subnet = routing::IpPrefix::of(self.address, self.length);
    if (!subnet.contains(peer.address)) continue;
    if (subnet.contains(next_hop)) return true;
    one_hop = true;
  }
  return !one_hop;
}

// RFC 4271 9.1.2, RFC 4456 8, RFC 9234 5: why no route of the UPDATE is taken; empty: nothing is against them.
std::string_view Speaker::Impl::refusal(const Peer& peer, const PathAttributes& attributes) const {
  if (attributes.as_path.count(settings.local_as) > peer.settings.allow_as_in) return "our AS is in its AS_PATH";
  if (attributes.originator_id == settings.router_id) return "we are its ORIGINATOR_ID";
  // RFC 4271 5.1.3: a route through ourselves.
  if (attributes.next_hop.is_v4() ? own_v4.contains(attributes.next_hop.v4().value)
                                  : own_v6.contains(attributes.next_hop)) {
    return "its next hop is our own address";
  }
  if (!internal(peer) && !next_hop_is_near(peer, attributes.next_hop)) {
    return "its next hop is not on the subnet that we share (RFC 4271 6.3)";
  }
  const auto role = peer.settings.role;
  if (attributes.only_to_customer && !internal(peer)) {
    const bool leak = role == Role::provider || role == Role::route_server ||
                      (role == Role::peer && *attributes.only_to_customer != peer.settings.remote_as);
    if (leak) return "a route leak (RFC 9234)";
  }
  return lacks_policy(peer, peer.settings.import_policy) ? "no import policy (RFC 8212)" : "";
}

// What may never be learned, whatever the policy says: the default route, our own addresses, what is not asked for.
std::string_view Speaker::Impl::refusal(const routing::IpPrefix& prefix) const {
  if (prefix.length == 0) return "the default route";
  if (prefix.is_v4()) {
    const auto address = prefix.v4().address;
    if (address.is_multicast() || address.is_loopback()) return "no unicast prefix";
    if (prefix.length == 32 && own_v4.contains(address.value)) return "our own address";
  } else if (prefix.v6().address.is_multicast()) {
    return "no unicast prefix";
  } else if (prefix.length == 128 && own_v6.contains(prefix.address)) {
    return "our own address";
  }
  const auto& accept = settings.accept;
  const auto has = [&prefix](const auto& ranges) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const auto& range) { return range.contains(prefix); });
  };
  if (!accept.empty() && !has(accept)) return "outside of what is accepted";
  return has(settings.refuse) ? "on a subnet of ours" : "";
}

// Some at a time: by when the first is looked up in a table of a million, the memory for the others is on its way.
template <typename F>
void Speaker::Impl::for_each_route(ByteSpan nlri, Family family, bool add_path, F&& f) {
  constexpr std::size_t kTogether = 16;
  std::array<Nlri, kTogether> routes;
  NlriReader reader(nlri, family, add_path);
  for (std::size_t count = kTogether; count == kTogether;) {
    for (count = 0; count < kTogether && reader.next(routes[count]); ++count) rib.prefetch(routes[count].prefix);
    for (std::size_t i = 0; i < count; ++i) f(routes[i]);
  }
}

void Speaker::Impl::announce_routes(Instant now, Peer& peer, ByteSpan nlri, Family family,
                                    const PathAttributes& attributes, Outputs& out) {
  if (const auto why = refusal(peer, attributes); !why.empty()) {
    withdraw_routes(peer, nlri, family, out);
    ++peer.rejected;
    NlriReader refused(nlri, family, peer.conns[0].negotiated.add_path_receive[index_of(family)]);
    for (Nlri route; refused.next(route);) set_aside(peer, route, attributes, why);
    return;
  }
  auto base = attributes;
  // RFC 8326 4.1: the neighbour is about to go; its routes are used only while there is nothing else.
  if (base.has_community(community::kGracefulShutdown)) base.local_pref = 0;
  // RFC 9234 5: what comes from a provider, peer or route server is marked, so that it could not leave as a leak.
  const auto role = peer.settings.role;
  if (!internal(peer) && !base.only_to_customer &&
      (role == Role::customer || role == Role::peer || role == Role::route_server_client)) {
    base.only_to_customer = peer.settings.remote_as;
  }
  const bool add_path = peer.conns[0].negotiated.add_path_receive[index_of(family)];
  const auto now_s = seconds(now);
  const bool policy = !peer.settings.import_policy.empty();
  const auto shared = policy ? AttributeId{0} : rib.attributes().intern(base);
  for_each_route(nlri, family, add_path, [&](const Nlri& route) {
    auto id = shared;
    auto why = refusal(route.prefix);
    bool changed = false;
    if (why.empty() && policy) {
      auto own = base;
      if (!apply(peer.settings.import_policy, route.prefix, own, peer.settings.remote_as)) {
        why = "import policy";
      } else {
        changed = own != base;
        id = rib.attributes().intern(std::move(own));
      }
    }
    changed || !why.empty() ? set_aside(peer, route, attributes, why) : forget_aside(peer, route);
    if (why.empty()) {
      if (!rib.update(peer.index, route.prefix, route.path_id, id, now_s, out.routes)) ++peer.rejected;
      if (policy) rib.attributes().release(id);
    } else {
      ++peer.rejected;
      rib.withdraw(peer.index, route.prefix, route.path_id, out.routes);
    }
  });
  if (!policy) rib.attributes().release(shared);
}

// A withdrawal of something unknown is silent: Calico's nodes send such (README.md, fact 6).
void Speaker::Impl::withdraw_routes(Peer& peer, ByteSpan nlri, Family family, Outputs& out) {
  for_each_route(nlri, family, peer.conns[0].negotiated.add_path_receive[index_of(family)], [&](const Nlri& route) {
    rib.withdraw(peer.index, route.prefix, route.path_id, out.routes);
    forget_aside(peer, route);
  });
}

bool Speaker::Impl::over_prefix_limit(Instant now, Peer& peer, Outputs& out) {
  const auto limit = peer.settings.prefixes_max;
  const auto name_of = [](Family family) { return family == Family::ipv4 ? "IPv4" : "IPv6"; };
  std::optional<Family> over;
  for (const auto family : {Family::ipv4, Family::ipv6}) {  // RFC 4486 4: the limit is one of an address family
    const auto count = rib.path_count(peer.index, family);
    if (auto& given = peer.prefix_warning_given[index_of(family)];
        !given && std::uint64_t{count} * 100 > std::uint64_t{limit} * peer.settings.prefixes_warn_percent) {
      given = true;
      log(out, peer, true, fmt::format("{} {} prefixes received, the limit is {}", count, name_of(family), limit));
    }
    if (count > limit && !over) over = family;
  }
  if (!over || !peer.established()) return false;
  Notification notification{code::kCease, cease::kMaxPrefixes, {}};
  Writer data(notification.data);  // RFC 4486 4: family and the limit
  data.u16(*over == Family::ipv4 ? kAfiIpv4 : kAfiIpv6);
  data.u8(kSafiUnicast);
  data.u32(limit);
  event(now, peer, peer.conns[0], Event::automatic_stop, out, std::move(notification),
        fmt::format("more than {} {} prefixes", limit, name_of(*over)));
  const auto restart = peer.settings.prefixes_restart;
  peer.hold = restart == 0s ? Hold::max_prefixes : Hold::none;
  peer.idle_hold_deadline = restart == 0s ? kInstantMax : now + restart;
  peer.refuse_until = restart == 0s ? kInstantMax : now + restart;
  schedule(peer);
  return true;
}

// Attributes that nobody shares, and paths of many neighbours, are bounded for all together: whoever exceeds it goes.
void Speaker::Impl::over_memory_limit(Instant now, Peer& peer, Outputs& out) {
  if (rib.path_count() <= kPathsMax && rib.attributes().bytes() <= kAttributeBytesMax) return;
  if (!peer.established()) return;
  event(
      now, peer, peer.conns[0], Event::automatic_stop, out, Notification{code::kCease, cease::kOutOfResources, {}},
      fmt::format("{} paths with {} MiB of attributes are too many", rib.path_count(), rib.attributes().bytes() >> 20));
}

void Speaker::Impl::end_of_rib(Instant now, Peer& peer, Family family, Outputs& out) {
  peer.end_of_rib_received[index_of(family)] = true;
  if (peer.restarting) {
    drop_stale(peer, family);
    if (rib.stale_count(peer.index) == 0) {
      peer.restarting = false;
      peer.stale_deadline = kInstantMax;
    }
  }
  update_deferral(now, out);
  schedule(peer);
}

// ---- ROUTE-REFRESH (RFC 2918, RFC 7313)

void Speaker::Impl::refresh_message(Instant now, Peer& peer, Connection& conn, const Frame& frame, Outputs& out) {
  if (conn.state != State::established) return event(now, peer, conn, Event::route_refresh_msg, out);
  auto decoded = decode_route_refresh(frame);
  if (auto* error = std::get_if<Notification>(&decoded)) {
    // RFC 7313 5: of a message subtype that we do not know, the length is none of our business; the new error is for
    // the new subtypes, and for those who know it; else RFC 4271 6.1 holds.
    const unsigned kind = frame.body.size() > 2 ? frame.body[2] : 0;
    if (kind > 2) return event(now, peer, conn, Event::keepalive_msg, out);
    if (kind != 0 && conn.negotiated.enhanced_refresh) {
      return event(now, peer, conn, Event::route_refresh_msg_err, out, std::move(*error));
    }
    const auto length = frame.message.subspan(16, 2);
    return event(now, peer, conn, Event::bgp_header_err, out,
                 Notification{code::kHeader, header_error::kBadLength, Bytes(length.begin(), length.end())});
  }
  event(now, peer, conn, Event::route_refresh_msg, out);
  const auto& refresh = std::get<RouteRefresh>(decoded);
  if (refresh.safi != kSafiUnicast || (refresh.afi != kAfiIpv4 && refresh.afi != kAfiIpv6)) return;
  const auto family = refresh.afi == kAfiIpv4 ? Family::ipv4 : Family::ipv6;
  if (!conn.negotiated.family[index_of(family)]) return;
  auto& running = peer.refresh_running[index_of(family)];
  switch (refresh.kind) {
    case static_cast<std::uint8_t>(RefreshKind::request):
      if (conn.negotiated.enhanced_refresh && !peer.end_of_rib_sent) {
        peer.refresh_again[index_of(family)] = true;  // RFC 7313 4: no BoRR before our End-of-RIB
        return;
      }
      peer.refresh_answer[index_of(family)] = conn.negotiated.enhanced_refresh;
      start_sync(peer);
      return;
    case static_cast<std::uint8_t>(RefreshKind::begin):
      // RFC 7313 4: not while a restarted neighbour's first table is still coming.
      if (peer.remote_restart && !peer.end_of_rib_received[index_of(family)]) return;
      running = true;
      peer.refresh_deadline = now + settings.stale_time_max;
      rib.retire(peer.index, family, Rib::Retire::keep);
      return schedule(peer);
    case static_cast<std::uint8_t>(RefreshKind::end):
      if (running) rib.sweep_kept(peer.index, family);
      running = false;
      return;
    default:
      return;  // RFC 7313 5: unknown subtypes are ignored
  }
}

}  // namespace sluice::bgp
