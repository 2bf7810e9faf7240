// Sessions: the actions of the state machine, carried out on connections and timers.
#include <fmt/format.h>

#include <algorithm>

#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {
namespace {

// The reason of a session's end for people, from our side's point of view.
std::string reason_of(Event event, const std::optional<Notification>& notification, const std::string& detail) {
  std::string out;
  if (event == Event::notif_msg || event == Event::notif_msg_ver_err) {
    return "received " + (notification ? notification->text() : std::string("NOTIFICATION")) +
           (detail.empty() ? "" : " (" + detail + ")");
  }
  if (event == Event::tcp_connection_fails) return detail.empty() ? "connection closed" : detail;
  if (notification) out = "sent " + notification->text();
  if (!detail.empty()) out += (out.empty() ? "" : ": ") + detail;
  return out.empty() ? std::string(name_of(event)) : out;
}

// RFC 6608 4: an FSM error says in its data which message came unexpectedly.
Bytes unexpected_message(Event event) {
  switch (event) {
    case Event::bgp_open:
      return {static_cast<std::uint8_t>(MessageType::open)};
    case Event::update_msg:
      return {static_cast<std::uint8_t>(MessageType::update)};
    case Event::keepalive_msg:
      return {static_cast<std::uint8_t>(MessageType::keepalive)};
    case Event::route_refresh_msg:
      return {static_cast<std::uint8_t>(MessageType::route_refresh)};
    default:
      return {};
  }
}

void stop_timers(Connection& conn) {
  conn.hold_deadline = kInstantMax;
  conn.keepalive_deadline = kInstantMax;
  conn.send_hold_deadline = kInstantMax;
}

void count_sent(MessageCounts& counts, ByteSpan bytes) {
  while (bytes.size() >= kHeaderSize) {
    switch (static_cast<MessageType>(bytes[18])) {
      case MessageType::open:
        ++counts.open;
        break;
      case MessageType::update:
        ++counts.update;
        break;
      case MessageType::notification:
        ++counts.notification;
        break;
      case MessageType::keepalive:
        ++counts.keepalive;
        break;
      case MessageType::route_refresh:
        ++counts.route_refresh;
        break;
    }
    bytes = bytes.subspan(std::size_t{bytes[16]} << 8 | bytes[17]);
  }
}

}  // namespace

void Speaker::Impl::log(Outputs& out, const Peer& peer, bool warning, std::string text) const {
  out.actions.push_back(output::Log{warning, peer.address, std::move(text)});
}

Duration Speaker::Impl::jittered(Duration duration) {  // RFC 4271 10: 75 to 100 %
  return duration * (750 + random() % 251) / 1000;
}

void Speaker::Impl::send(Instant now, Peer& peer, Connection& conn, SharedBytes bytes, Outputs& out) {
  observe_message(now, peer, conn, false, *bytes);
  count_sent(peer.out, *bytes);
  peer.bytes_out += bytes->size();
  peer.last_write = now;
  conn.pending += bytes->size();
  // RFC 9687: the neighbour must read within twice the hold time, 8 minutes at least.
  if (conn.send_hold_deadline == kInstantMax && conn.negotiated.hold_time_s != 0) {
    conn.send_hold_deadline = now + std::max<Duration>(480s, 2s * conn.negotiated.hold_time_s);
  }
  out.actions.push_back(output::Send{conn.id, std::move(bytes)});
}

void Speaker::Impl::connect(Peer& peer, Connection& conn, Outputs& out) {
  const auto local = local_address_for(peer);
  conn.id = next_conn;
  next_conn += 2;
  conn.outgoing = true;
  by_conn[conn.id] = &peer;
  conn.remote = {peer.address, peer.settings.port};
  out.actions.push_back(output::Connect{conn.id, conn.remote, local.value_or(IpAddress{})});
}

void Speaker::Impl::send_open(Instant now, Peer& peer, Connection& conn, Outputs& out) {
  const auto& s = peer.settings;
  OpenMessage open;
  open.as = local_as(peer);
  open.hold_time_s = static_cast<std::uint16_t>(std::chrono::duration_cast<std::chrono::seconds>(s.hold_time).count());
  open.identifier = settings.router_id;
  auto& caps = open.capabilities;
  caps.multiprotocol = {true, s.ipv6_unicast};
  caps.any_multiprotocol = true;
  caps.route_refresh = caps.route_refresh_old = caps.enhanced_refresh = true;
  caps.extended_message = s.extended_messages;
  caps.extended_next_hop = s.extended_next_hop;
  if (s.role != Role::none) caps.role = static_cast<std::uint8_t>(s.role);
  caps.four_octet_as = open.as;
  if (s.graceful_restart) {
    GracefulRestart restart;
    restart.notification = true;
    restart.restarting = deferring;
    const auto time_s = std::chrono::duration_cast<std::chrono::seconds>(settings.graceful_restart_time).count();
    restart.time_s = static_cast<std::uint16_t>(std::min<std::int64_t>(time_s, 4095));
    for (std::size_t i = 0; i < kFamilyCount && time_s > 0; ++i) {
      if (caps.multiprotocol[i]) restart.families[i] = {true, deferring};
    }
    caps.graceful_restart = restart;
    if (s.long_lived_graceful_restart) {
      LongLivedRestart long_lived;
      for (std::size_t i = 0; i < kFamilyCount; ++i) long_lived.families[i].listed = caps.multiprotocol[i];
      caps.long_lived_restart = long_lived;
    }
  }
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    if (caps.multiprotocol[i]) caps.add_path[i] = {s.add_path_receive, s.add_path_send};
  }
  conn.local_open = open;
  send(now, peer, conn, std::make_shared<const Bytes>(encode_open(open)), out);
}

// Closes the TCP connection, if there is one or one is being made, and forgets it.
void Speaker::Impl::drop(Peer&, Connection& conn, bool flush, Outputs& out) {
  if (conn.id == 0) return;
  out.actions.push_back(output::Close{conn.id, flush});
  by_conn.erase(conn.id);
  const auto state = conn.state;
  conn = {};
  conn.state = state;
}

// The second connection takes the place of the first.
void Speaker::Impl::promote(Peer& peer) {
  peer.conns[0] = std::move(peer.conns[1]);
  peer.conns[1] = {};
  peer.connect_retry_deadline = kInstantMax;
  peer.idle_hold_deadline = kInstantMax;
}

void Speaker::Impl::event(Instant now, Peer& peer, Connection& conn, Event event, Outputs& out,
                          std::optional<Notification> notification, std::string reason) {
  static const auto kKeepalive = std::make_shared<const Bytes>(encode_keepalive());
  const bool first = &conn == &peer.conns[0];
  const auto before = conn.state;
  const auto t = transition(before, event);
  if (t.has(kSendNotification) && !notification) {
    notification = Notification{t.code, t.subcode, t.code == code::kFsm ? unexpected_message(event) : Bytes{}};
  }
  const bool fails = t.next == State::idle && before != State::idle;
  const auto why = fails || event == Event::tcp_connection_fails ? reason_of(event, notification, reason) : "";

  if (first && t.has(kStopConnectRetry)) peer.connect_retry_deadline = kInstantMax;
  if (first && t.has(kStartConnectRetry)) {
    // A passive neighbour is only waited for.
    peer.connect_retry_deadline = peer.settings.passive ? kInstantMax : now + jittered(peer.settings.connect_retry);
  }
  if (t.has(kResetRetryCounter)) peer.retry_counter = 0;
  if (t.has(kSendOpen)) send_open(now, peer, conn, out);
  if (t.has(kStartLargeHold)) conn.hold_deadline = now + kLargeHold;
  const Duration hold = std::chrono::seconds(conn.negotiated.hold_time_s);
  if (t.has(kStartHold) || t.has(kRestartHold)) conn.hold_deadline = hold == 0s ? kInstantMax : now + hold;
  if (t.has(kStartKeepalive)) {
    const auto interval =
        std::min<Duration>(hold / 3, peer.settings.keepalive > 0s ? peer.settings.keepalive : hold / 3);
    conn.keepalive_deadline = hold == 0s ? kInstantMax : now + jittered(interval);
  }
  // A keepalive behind unread bytes would only add to them: the bytes themselves keep the session alive when read.
  if (t.has(kSendKeepalive) && conn.pending < kOutputHigh) send(now, peer, conn, kKeepalive, out);
  if (t.has(kSendNotification) && conn.open()) {
    send(now, peer, conn, std::make_shared<const Bytes>(encode_notification(*notification)), out);
  }
  if (t.has(kDown)) {
    const bool by_notification =
        t.has(kSendNotification) || event == Event::notif_msg || event == Event::notif_msg_ver_err;
    const bool both_n = conn.local_open.capabilities.graceful_restart && conn.remote_open &&
                        conn.remote_open->capabilities.graceful_restart &&
                        conn.local_open.capabilities.graceful_restart->notification &&
                        conn.remote_open->capabilities.graceful_restart->notification;
    const bool hard = notification && notification->code == code::kCease && notification->subcode == cease::kHardReset;
    // RFC 8538 4: with the N bit on both sides a NOTIFICATION other than Hard Reset is survived as well; what an
    // operator ended here is ended.
    const bool graceful =
        event != Event::manual_stop && event != Event::automatic_stop && (!by_notification || (both_n && !hard));
    session_down(now, peer, why, graceful, out);
    if (!observers.empty()) {
      Observer::End end;
      end.local = t.has(kSendNotification) || (event != Event::notif_msg && event != Event::notif_msg_ver_err &&
                                               event != Event::tcp_connection_fails);
      if (notification) end.notification = encode_notification(*notification);
      end.fsm_event = static_cast<std::uint16_t>(event);
      for (auto* observer : observers) observer->on_down(now, view_of(peer, conn), end);
    }
  }
  if (before != t.next && !observers.empty()) {
    for (auto* observer : observers) observer->on_state(now, view_of(peer, conn), before, t.next);
  }
  if (t.has(kDropTcp)) drop(peer, conn, t.has(kSendNotification), out);
  if (t.has(kStopTimers)) {
    stop_timers(conn);
    if (first && !t.has(kStartConnectRetry)) peer.connect_retry_deadline = kInstantMax;
  }
  if (!why.empty()) peer.last_error = why;
  if (fails && before >= State::open_sent && !t.has(kDown)) {
    peer.last_reset = why;
    peer.last_reset_at = now;
    log(out, peer, true, fmt::format("{} in {}", why, name_of(before)));
  }
  conn.state = t.next;
  if (before != t.next && (first || t.next > peer.conns[0].state)) peer.state_since = now;

  if (!first && !conn.open()) {  // a second connection that failed leaves nothing behind
    conn = {};
    return schedule(peer);
  }
  if (first && !conn.open() && peer.conns[1].open()) {
    drop(peer, conn, false, out);
    promote(peer);
    return schedule(peer);
  }
  if (t.has(kIncrementRetryCounter)) ++peer.retry_counter;
  if (t.has(kStartIdleHold)) {
    const auto shift = std::min(peer.retry_counter == 0 ? 0u : peer.retry_counter - 1, 10u);
    peer.idle_hold_deadline =
        now + jittered(std::min(peer.settings.idle_hold * (1 << shift), peer.settings.idle_hold_max));
    peer.refuse_until = now + kRefuseAfterFailure;
    if (peer.dynamic) peer.expiry_deadline = now + settings.listen_ranges[peer.range].expiry;
  }
  if (t.has(kConnect)) {
    if (peer.settings.passive) {
      conn.state = State::active;
    } else {
      connect(peer, conn, out);
    }
  }
  if (t.has(kUp)) {
    if (!first) {
      drop(peer, peer.conns[0], false, out);
      promote(peer);
    } else if (peer.conns[1].open()) {  // RFC 4271 6.8: one of two is Established: the other goes
      this->event(now, peer, peer.conns[1], Event::open_collision_dump, out);
    }
    session_up(now, peer, out);
  }
  schedule(peer);
}

void Speaker::Impl::session_up(Instant now, Peer& peer, Outputs& out) {
  const auto& conn = peer.conns[0];
  peer.state_since = now;
  ++peer.established_count;
  peer.expiry_deadline = kInstantMax;
  peer.connect_retry_deadline = peer.idle_hold_deadline = kInstantMax;
  peer.rejected = 0;
  peer.end_of_rib_received = {};
  peer.refresh_running = {};
  peer.refresh_deadline = kInstantMax;
  peer.refresh_answer = peer.refresh_again = {};
  peer.end_of_rib_sent = false;
  peer.sent_version = 0;
  peer.prefix_warning_given = {};
  peer.remote_restart = conn.remote_open->capabilities.graceful_restart;
  peer.remote_long_lived = conn.remote_open->capabilities.long_lived_restart;
  rib.set_peer(peer.index, {internal(peer), conn.remote_open->identifier, peer.address});
  check_forwarding_preserved(now, peer, out);
  join_group(peer);
  start_sync(peer);
  for (auto* observer : observers) observer->on_up(now, view_of(peer, conn));
  out.actions.push_back(output::SessionUp{peer.address});
  if (lacks_policy(peer, peer.settings.import_policy)) {
    log(out, peer, true, "no import policy: nothing is accepted (RFC 8212)");
  } else if (!internal(peer) && peer.settings.import_policy.empty() && settings.accept.empty()) {
    log(out, peer, true, "no import policy: any prefix is accepted but the default route and our own (RFC 8212)");
  }
  if (lacks_policy(peer, peer.settings.export_policy)) {
    log(out, peer, true, "no export policy: nothing is announced (RFC 8212)");
  }
}

void Speaker::Impl::session_down(Instant now, Peer& peer, const std::string& reason, bool graceful, Outputs& out) {
  ++peer.dropped_count;
  if (now - peer.state_since > 30s) peer.retry_counter = 0;  // it was no flap
  peer.last_reset = reason;
  peer.last_reset_at = now;
  peer.announced = 0;
  peer.syncing = peer.behind = false;
  peer.refresh_running = {};
  peer.refresh_deadline = kInstantMax;
  forget_aside(peer);
  std::erase(behind, peer.address);
  leave_group(peer);
  if (graceful) {
    keep_routes(now, peer, out);
  } else {
    for (const auto family : {Family::ipv4, Family::ipv6}) {
      drop_stale(peer, family);
      rib.retire(peer.index, family, Rib::Retire::sweep);
    }
  }
  out.actions.push_back(output::SessionDown{peer.address, reason});
}

}  // namespace sluice::bgp
