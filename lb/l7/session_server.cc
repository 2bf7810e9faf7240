// The server side of a session: which member, from where, a new conn or an idle one, and what when it fails.
#include <algorithm>
#include <array>

#include "dataplane/packet/chain.h"
#include "lb/balance/balance.h"
#include "lb/l7/cookie_persist.h"
#include "lb/l7/proxy.h"
#include "lb/l7/proxy_protocol.h"

namespace sluice::lb {

using tcp::Conn;

const VirtualServer* Proxy::find_virtual_server(const Session& s) const {
  const Ipv4Endpoint& to = s.client->tuple.local;
  const VirtualServer* vs =
      snapshot_ == nullptr ? nullptr : snapshot_->find_virtual_server(to.address, to.port, Protocol::tcp);
  return vs != nullptr && vs->runtime.get() == s.virtual_server && vs->mode == Mode::http ? vs : nullptr;
}

// ---- the member

std::string_view Proxy::cookie_name(const Session& s, std::string_view pool) {
  const CookiePersistence& cookie = s.profile->options.cookie;
  if (!cookie.name.empty()) return cookie.name;
  cookie_name_ = "BIGipServer";
  cookie_name_.append(pool);
  return cookie_name_;
}

const Member* Proxy::member_of_cookie(const Session& s, const Pool& pool, const http::Head& head) {
  const CookiePersistence& cookie = s.profile->options.cookie;
  const auto value = http::find_cookie(head, cookie_name(s, pool.spec.name));
  if (!value) return nullptr;
  if (cookie.kind == CookiePersistKind::insert) {
    const auto endpoint = http::parse_bigip_value(*value);
    if (!endpoint) return nullptr;
    const auto found = std::ranges::find(pool.members, *endpoint, &Member::endpoint);
    return found == pool.members.end() ? nullptr : &*found;
  }
  const auto hashed = http::parse_hashed_value(*value);
  if (!hashed) return nullptr;
  const HashSeed seed = http::hashed_seed(pool.spec.name);
  const auto found = std::ranges::find_if(
      pool.members, [&](const Member& m) { return http::hashed_value(seed, m.endpoint) == *hashed; });
  return found == pool.members.end() ? nullptr : &*found;
}

std::uint32_t Proxy::write_cookie(const Session& s, std::span<char> out) {
  const CookiePersistence& cookie = s.profile->options.cookie;
  std::array<char, 64> value;
  const std::string& pool = s.member->pool->name;
  const std::uint32_t n = cookie.kind == CookiePersistKind::insert
                              ? http::write_bigip_value(s.member->endpoint, value)
                              : http::write_hashed_value(http::hashed_seed(pool), s.member->endpoint, value);
  return http::write_set_cookie(cookie, cookie_name(s, pool), {value.data(), n}, out);
}

// Cookie, then source address, then the member that this connection used before, then balancing. Null: nobody, and why.
MemberRuntime* Proxy::choose_member(Instant now, Session& s, const VirtualServer& vs, const Pool& pool,
                                    const http::Head& head, bool& at_limit) {
  const auto take = [this](const Member* member) {
    return member != nullptr && member->takes_persistent &&
           member->runtime->acquire(options_.worker, member->connection_limit);
  };
  const bool by_cookie = s.profile->options.cookie.kind != CookiePersistKind::none;
  if (by_cookie) {
    const Member* known = member_of_cookie(s, pool, head);
    if (take(known)) return known->runtime;
    s.set_cookie = true;
  }
  const bool by_source = vs.persist == PersistKind::source_address;
  if (by_source) {
    const std::uint32_t id = context_.persistence->use(now, vs.runtime->id, s.source.address, vs.persist_timeout);
    const Member* known = id == kNoPersistentMember ? nullptr : pool.member_by_id(id);
    if (take(known)) return known->runtime;
  }
  if (!s.profile->options.oneconnect.enabled && s.last_member != 0) {
    const Member* known = pool.member_by_id(s.last_member);
    if (take(known)) return known->runtime;
  }
  const balance::Picked picked = balance::pick(pool, {now, options_.worker, s.source.address});
  at_limit = picked.at_limit;
  if (picked.member == nullptr) return nullptr;
  if (by_source) context_.persistence->put(now, vs.runtime->id, s.source.address, picked.member->runtime->id);
  return picked.member->runtime;
}

// Leaves s.server set, up or not. False: the session was answered or ended.
bool Proxy::choose_server(Instant now, Session& s, const VirtualServer& vs, const http::Head& head) {
  const std::uint32_t route =
      s.profile->router.empty() ? http::kNoRoute : s.profile->router.find(head.host, head.path());
  const Pool* pool = route < vs.http_pools.size() ? vs.http_pools[route] : vs.pool;
  if (s.server != nullptr &&
      (pool == nullptr || s.member->pool.get() != pool->runtime.get() || s.server->state != tcp::State::established)) {
    drop_server(now, s, false);
  }
  s.reselects = pool != nullptr && pool->spec.service_down == ServiceDownAction::reselect;
  if (s.server != nullptr) {  // one member per client connection
    http(s).server_reuse.add();
    s.server_reused = true;
    ++s.server_requests;
    return true;
  }
  bool at_limit = false;
  MemberRuntime* member = pool == nullptr ? nullptr : choose_member(now, s, vs, *pool, head, at_limit);
  if (member == nullptr) {
    http(s).no_member.add();
    fail(now, s, Failure::no_member, ErrorSide::policy, 0,
         at_limit ? "every member is at its connection limit" : "no member is available");
    return false;
  }
  s.member = member;
  s.last_member = member->id;
  if (take_idle(s)) return true;
  return connect(now, s, vs);
}

// ---- conns to it

// Our address and port towards the member.
bool Proxy::choose_source(const VirtualServer& vs, const Session& s, packet::PortId port, flow::FlowKey& key) {
  const Ipv4Endpoint& client = s.client->tuple.remote;
  switch (vs.snat) {
    case SnatKind::none:
      key.destination = client.address;
      key.dst_port = client.port;
      return true;
    case SnatKind::automap:
      key.destination = context_.local.source_for(port, key.source);
      return !key.destination.is_zero() && context_.source_ports.allocate(key, client.port);
    case SnatKind::pool: {
      const auto& addresses = vs.snat_pool->addresses;
      const std::size_t first = client.address.value * 0x9e3779b9u % addresses.size();
      for (std::size_t i = 0; i < addresses.size(); ++i) {
        key.destination = addresses[(first + i) % addresses.size()];
        if (context_.source_ports.allocate(key, client.port)) return true;
      }
      return false;
    }
  }
  return false;
}

bool Proxy::connect(Instant now, Session& s, const VirtualServer& vs) {
  const Ipv4Endpoint& to = s.member->endpoint;
  ip::CachedHop cache;
  const ip::Hop hop = network_.route(now, {{}, to}, cache);
  flow::FlowKey key{to.address, {}, to.port, 0, wire::kProtocolTcp, {}};
  const char* why = nullptr;
  if (!hop.can_transmit()) {
    why = "there is no route to the member";
  } else if (!choose_source(vs, s, hop.port, key)) {
    why = "no source port is free towards the member";
  } else {
    s.server = stack_.connect(now, {{key.destination, key.dst_port}, to}, server_options_[hop.port], &s);
    if (s.server == nullptr) why = "no connection is free on this worker";
  }
  if (s.server == nullptr) {
    http(s).connect_failures.add();
    fail(now, s, Failure::refused, ErrorSide::connect, 0, why);
    return false;
  }
  context_of(*s.server) = {cache, &s.member->shares.of(options_.worker), ConnRole::server};
  http(s).server_connects.add();
  s.connect_at = now;
  s.server_up = s.server_reused = false;
  s.server_requests = 1;
  return true;
}

bool Proxy::take_idle(Session& s) {
  if (!s.profile->options.oneconnect.enabled) return false;
  IdleServer* idle = idle_.find(*s.member, s.virtual_server->id);
  if (idle == nullptr) return false;
  s.server = idle->conn;
  s.server_requests = idle->requests + 1;
  s.server_opened_at = idle->opened_at;
  s.server_up = s.server_reused = true;
  s.server->owner = &s;
  context_of(*s.server).role = ConnRole::server;
  idle_.remove(*idle);
  counters_.idle_servers.set(idle_.size());
  http(s).server_reuse.add();
  return true;
}

void Proxy::keep_idle(Instant now, Session& s) {
  const HttpOptions& options = s.profile->options;
  const OneConnect& limits = options.oneconnect;
  const Instant expires_at = std::min(now + limits.idle, s.server_opened_at + limits.age_max);
  // With a PROXY header in front, or the client's own address as source, the conn is this client's alone.
  const bool shareable = options.proxy_protocol_out == ProxyProtocolOut::off &&
                         s.server->tuple.local.address != s.client->tuple.remote.address;
  if (!shareable || s.server_requests >= limits.requests_max || expires_at <= now || limits.connections_max == 0) {
    return drop_server(now, s, false);
  }
  while (idle_.size() >= limits.connections_max && idle_.oldest() != nullptr) close_idle(now, *idle_.oldest());
  IdleServer like;
  like.conn = s.server;
  like.member = s.member;
  like.virtual_server_id = s.virtual_server->id;
  like.requests = s.server_requests;
  like.opened_at = s.server_opened_at;
  IdleServer* idle = idle_.add(like, expires_at);
  if (idle == nullptr) return drop_server(now, s, false);
  s.server->owner = idle;
  context_of(*s.server).role = ConnRole::idle_server;
  s.member->release();
  s.member = nullptr;
  s.server = nullptr;
  s.server_up = false;
  counters_.idle_servers.set(idle_.size());
}

void Proxy::close_idle(Instant now, IdleServer& idle) {
  Conn& conn = *idle.conn;
  let_go(now, conn);
  idle_.remove(idle);
  counters_.idle_closed.add();
  counters_.idle_servers.set(idle_.size());
}

// It closed, or said something without being asked: either way it is of no use.
void Proxy::on_idle_event(Instant now, IdleServer& idle) {
  const Conn& conn = *idle.conn;
  if (conn.state != tcp::State::established || !conn.receive_queue.empty()) close_idle(now, idle);
}

void Proxy::drop_server(Instant now, Session& s, bool abort) {
  if (s.server != nullptr) {
    Conn& conn = *std::exchange(s.server, nullptr);
    if (abort) stack_.abort(now, conn);
    // A member that was told to close, or said that it will, does so first: TIME-WAIT is then its, not ours.
    context_of(conn).role = ConnRole::none;
    context_of(conn).traffic = nullptr;
    stack_.release(now, conn, s.keep_server ? Duration::zero() : kCloseFirstTime);
  }
  s.server_up = false;
  if (s.member != nullptr) std::exchange(s.member, nullptr)->release();
}

// ---- a request that waits for its conn

// Copies the text into s.held; it stays to be sent too when the conn is up.
void Proxy::hold_text(Instant now, Session& s, bool keep) {
  drop_held(s);
  s.held = packet::from_bytes(context_.pool, {reinterpret_cast<const std::uint8_t*>(text_.get()), text_size_});
  if (s.held) {
    context_.drops.count_generated();
  } else if (!keep) {
    give_up(now, s, *s.client);
  } else {
    s.may_retry = false;
  }
  if (!keep) text_size_ = 0;
}

void Proxy::drop_held(Session& s) {
  if (!s.held) return;
  context_.drops.consume(s.held);
  s.held = {};
  s.held_raw = false;
}

void Proxy::on_server_up(Instant now, Session& s) {
  s.server_up = true;
  s.server_opened_at = now;
  s.active_at = s.body_from = now;
  http(s).connect.add(now - s.connect_at);
  if (s.access != AccessRing::kNone) access_.at(s.access).connect = now - s.connect_at;
  send_held(now, s);
}

void Proxy::send_held(Instant now, Session& s) {
  const ProxyProtocolOut out = s.profile->options.proxy_protocol_out;
  if (out != ProxyProtocolOut::off) {
    std::array<char, http::kProxyV1BytesMax> text;
    const http::ProxyHeader header{.source = s.source, .destination = s.client->tuple.local};
    const std::uint32_t n =
        out == ProxyProtocolOut::v1 ? http::write_proxy_v1(header, text) : http::write_proxy_v2(header, text);
    if (!stack_.send_bytes(now, *s.server, {reinterpret_cast<const std::uint8_t*>(text.data()), n})) {
      return give_up(now, s, *s.server);
    }
  }
  if (!s.held) return;
  packet::Packet head;
  if (s.may_move && s.reselects) {  // kept for the next member, should this one go down
    head = packet::copy(s.held, context_.pool);
    if (head) context_.drops.count_generated();
  }
  if (!head) head = std::exchange(s.held, packet::Packet{});
  if (stack_.send(now, *s.server, head)) return;
  context_.drops.consume(head);
  give_up(now, s, *s.server);
}

// A reused conn died before any byte of a response: the member had closed it while the request was under way. The
// request goes again on a new one, once, if that can do no harm.
bool Proxy::retry(Instant now, Session& s) {
  if (!s.may_retry || !s.held || s.response_begun || !s.exchange) return false;
  const VirtualServer* vs = find_virtual_server(s);
  if (vs == nullptr) return false;
  s.may_retry = false;
  if (!write_held(s)) return false;
  http(s).retries.add();
  MemberRuntime* const member = std::exchange(s.member, nullptr);  // the same member, its connection stays taken
  drop_server(now, s, true);
  s.member = member;
  s.response.expect_response_to(s.method, s.wants_upgrade);
  connect(now, s, *vs);
  return true;
}

// The member went down: a request of which it can have done nothing, or that may be done twice, goes to another one.
bool Proxy::move(Instant now, Session& s) {
  const bool unsent = !s.server_up;  // its body, too, waits in the client's receive queue
  if (!s.exchange || !s.held || !(unsent || s.may_move) || !s.response.at_message_start()) return false;
  const VirtualServer* vs = find_virtual_server(s);
  if (vs == nullptr || !write_held(s)) return false;
  const auto is_its = [&](const Pool* pool) { return pool != nullptr && pool->runtime == s.member->pool; };
  const Pool* pool = is_its(vs->pool) ? vs->pool : nullptr;
  for (const Pool* other : vs->http_pools) pool = is_its(other) ? other : pool;
  if (pool == nullptr) return false;
  const balance::Picked picked = balance::pick(*pool, {now, options_.worker, s.source.address});
  if (picked.member == nullptr) return false;
  drop_server(now, s, true);
  s.member = picked.member->runtime;
  s.last_member = s.member->id;
  s.may_retry = false;
  s.set_cookie = s.profile->options.cookie.kind != CookiePersistKind::none;
  if (vs->persist == PersistKind::source_address) {
    context_.persistence->put(now, vs->runtime->id, s.source.address, s.member->id);
  }
  s.response.expect_response_to(s.method, s.wants_upgrade);
  connect(now, s, *vs);  // what fails there has been answered
  return true;
}

void Proxy::on_server_closed(Instant now, Session& s) {
  if (s.tunnel) {
    http(s).aborted_by_server.add();
    return abort_client(now, s);
  }
  if (!s.exchange) return drop_server(now, s, false);
  const tcp::CloseReason reason = s.server->close_reason;
  if (!s.server_up) {
    if (reason == tcp::CloseReason::connect_timeout) {
      return fail(now, s, Failure::timed_out, ErrorSide::connect, 0, "the member did not answer the SYN");
    }
    return fail(
        now, s, Failure::refused, ErrorSide::connect, 0,
        reason == tcp::CloseReason::refused ? "the member refused the connection" : "the member is unreachable");
  }
  if (s.response.at_message_start() && retry(now, s)) return;
  http(s).aborted_by_server.add();
  fail(now, s, Failure::broken, ErrorSide::response, s.response.message_bytes(),
       reason == tcp::CloseReason::reset_by_peer ? "the member reset its connection" : "the member stopped answering");
}

// Nobody will answer this request: a page, or a reset as BIG-IP does without a fallback.
void Proxy::fail(Instant now, Session& s, Failure failure, ErrorSide side, std::uint64_t offset, const char* reason) {
  std::uint16_t status = 503;
  switch (failure) {
    case Failure::no_member:
      break;
    case Failure::refused:
      http(s).connect_failures.add();
      break;
    case Failure::timed_out:
      status = 504;
      (side == ErrorSide::connect ? http(s).connect_timeouts : http(s).response_timeouts).add();
      break;
    case Failure::broken:
      status = 502;
      break;
  }
  const bool page = s.profile->options.fallback == FallbackAction::page && !s.response_begun;
  record(now, s, side, page ? status : std::uint16_t{0}, offset, reason);
  if (page) return answer(now, s, status);
  s.status = status;
  abort_client(now, s);
}

}  // namespace sluice::lb
