// Conns and sessions of a worker: how they begin, what wakes them, how they end; see proxy.h.
#include "lb/l7/proxy.h"

#include <algorithm>

#include "dataplane/base/prefetch.h"
#include "dataplane/packet/chain.h"

namespace sluice::lb {

using tcp::Conn;

Proxy::Proxy(const ProxyOptions& options, const Context& context)
    : options_(options),
      context_(context),
      default_profile_(HttpOptions{}, options.worker + 1),
      network_(context.output, context.local, context.drops, context.host),
      client_options_(packet::kPortsMax),
      server_options_(packet::kPortsMax),
      stack_(options.start, stack_limits(options, context.pool), options.seed, network_, context_.pool, context.drops),
      sessions_(options.conns_max),
      wheel_(options.start, 4ms),
      idle_(options.start, options.idle_servers_max),
      text_(std::make_unique_for_overwrite<char[]>(kTextMax)) {
  for (const packet::PortInfo& port : context.ports) {
    tcp::Options& tcp = client_options_[port.id];
    tcp.mss_max = static_cast<std::uint16_t>(port.mtu - wire::kIpv4Length - wire::kTcpLength);
    tcp.receive_buffer_bytes = 128 * 1024;
    tcp.send_buffer_bytes = 128 * 1024;
    tcp.idle_timeout = 0s;  // a session's time is HttpTimes'
    tcp.connect_timeout = kHandshakeTime;
    server_options_[port.id] = tcp;
    server_options_[port.id].connect_timeout = kConnectTimeMax;
  }
}

// Three quarters of the worker's buffers may hold bytes of conns; the others are for what is under way. See relieve()
// for what keeps a few conns from taking them all.
tcp::Limits Proxy::stack_limits(const ProxyOptions& options, const packet::PacketPool& pool) {
  tcp::Limits limits;
  limits.conns_max = options.conns_max;
  limits.half_open_max = std::min(options.conns_max / 2, 8192U);
  limits.chunks_max = std::max(pool.size() / 4 * 3, 64U);
  return limits;
}

Proxy::~Proxy() {
  while (idle_.oldest() != nullptr) idle_.remove(*idle_.oldest());
  for (std::uint32_t i = 0; i < sessions_.capacity() && sessions_.size() > 0; ++i) {
    if (!sessions_.is_live(i)) continue;
    Session& s = sessions_[i];
    if (s.member != nullptr) s.member->release();
    s.virtual_server->connections.release();
    s.profile->users.fetch_sub(1, std::memory_order_release);
    if (s.held) context_.drops.drop(s.held, DropReason::shutting_down);
    wheel_.cancel(s);
    sessions_.erase(i);
  }
  stack_.visit(0, UINT32_MAX, [](Conn& conn) {
    if (context_of(conn).role == ConnRole::opening) {
      static_cast<VirtualServerRuntime*>(conn.owner)->half_open.fetch_sub(1, std::memory_order_release);
    }
  });
}

void Proxy::set_snapshot(Instant, const Snapshot* snapshot) {
  if (snapshot != nullptr && snapshot->sweep_generation() != sweep_generation_) {
    sweep_generation_ = snapshot->sweep_generation();
    sweep_left_ = sessions_.capacity();
    sweep_at_ = 0;
  }
  snapshot_ = snapshot;
}

// ---- packets

// False: the packet has ended here. A port whose peers leave partial checksums says nothing that could be verified.
bool Proxy::verify(packet::Packet packet, const wire::Layers& layers) {
  const packet::ChecksumState state = packet.l4_checksum();
  if (state == packet::ChecksumState::good) return true;
  const packet::PortId port = packet.rx_port();
  if (port < context_.ports.size() && context_.ports[port].rx_partial_checksums) return true;
  if (state == packet::ChecksumState::unknown) {
    wire::ChecksumSum sum;
    sum.add_pseudo_header(layers.source, layers.destination, wire::kProtocolTcp, layers.l4_length());
    packet::add_to_checksum(packet, layers.l4_offset, layers.l4_length(), sum);
    if (sum.finish() == 0) return true;
  }
  context_.drops.drop(packet, DropReason::tcp_bad_checksum);
  return false;
}

void Proxy::prefetch_session(const Conn* conn) {
  const Session* const s = session_of(conn);
  if (s == nullptr) return;
  prefetch_object(s);
  prefetch_line(conn->send_queue.front());
}

void Proxy::prefetch_other_side(const Conn* conn) {
  const Session* const s = session_of(conn);
  if (s == nullptr) return;
  const Conn* const other = conn == s->client ? s->server : s->client;
  if (other != nullptr) tcp::Stack::prefetch(*other);
}

bool Proxy::input(Instant now, packet::Packet packet, const wire::Layers& layers, Conn& conn) {
  if (!verify(packet, layers)) return true;
  ConnContext& context = context_of(conn);
  if (Share* const traffic = context.traffic) {
    const bool out = context.role == ConnRole::server || context.role == ConnRole::idle_server;
    (out ? traffic->out() : traffic->in()).add(layers.l3_length);
  }
  if (conn.state == tcp::State::time_wait && stack_.recycle(now, conn, packet, layers)) return false;
  stack_.input(now, conn, packet, layers);
  return true;
}

std::optional<DropReason> Proxy::open(Instant now, packet::Packet packet, const wire::Layers& layers,
                                      const VirtualServer& vs) {
  if (!vs.enabled) return DropReason::virtual_server_disabled;
  if (winding_down_ && (layers.tcp_flags & wire::kTcpSyn) != 0) {
    context_.drops.drop(packet, DropReason::shutting_down);
    return std::nullopt;
  }
  VirtualServerRuntime& runtime = *vs.runtime;
  if (vs.connection_limit != 0 && runtime.connections.current() >= vs.connection_limit) {
    return DropReason::connection_limit;
  }
  if (!verify(packet, layers)) return std::nullopt;
  const tcp::Tuple tuple{{layers.destination, layers.dst_port}, {layers.source, layers.src_port}};
  ip::CachedHop cache;
  const ip::Hop hop = network_.route(now, tuple, cache);
  const packet::PortId port = hop.can_transmit() ? hop.port : packet.rx_port();
  Conn* conn = stack_.accept(now, tuple, packet, layers, client_options_[port], &runtime);
  if (conn == nullptr) return std::nullopt;
  runtime.half_open.fetch_add(1, std::memory_order_relaxed);
  Share& traffic = runtime.shares.of(options_.worker);
  context_of(*conn) = {cache, &traffic, ConnRole::opening};
  traffic.in().add(layers.l3_length);
  return std::nullopt;
}

bool Proxy::on_icmp_error(Instant now, packet::Packet packet, const wire::Layers& layers) {
  constexpr unsigned kQuotedMax = wire::kIcmpLength + wire::kIpv4LengthMax + wire::kTcpLengthMax;
  const auto wanted = static_cast<std::uint16_t>(std::min(packet.length(), layers.l4_offset + kQuotedMax));
  if (!packet::pull_up(packet, wanted)) return false;
  const std::uint8_t* icmp = packet.data() + layers.l4_offset;
  const std::size_t there = std::min<std::size_t>(layers.l4_length(), packet.segment_length() - layers.l4_offset);
  const auto quoted = wire::parse_quoted({icmp, there});
  if (!quoted || quoted->ip.protocol != wire::kProtocolTcp) return false;
  Conn* conn = stack_.find({{quoted->ip.source, quoted->src_port}, {quoted->ip.destination, quoted->dst_port}});
  if (conn == nullptr) return false;
  wire::ChecksumSum sum;
  packet::add_to_checksum(packet, layers.l4_offset, layers.l4_length(), sum);
  if (sum.finish() != 0) {
    context_.drops.drop(packet, DropReason::icmp_malformed);
    return true;
  }
  const std::uint32_t sequence = wire::load_be32(icmp + quoted->l4_offset + wire::kTcpSequence);
  const bool unreachable = layers.icmp_type == wire::kIcmpUnreachable;
  const bool too_large = unreachable && layers.icmp_code == wire::kIcmpFragmentationNeeded;
  std::uint16_t mtu = 0;
  if (too_large) {  // RFC 1191: old routers say 0
    mtu = wire::load_be16(icmp + wire::kIcmpMtu);
    if (mtu == 0) mtu = 1280;
  }
  // RFC 1122 4.2.3.9: protocol and port unreachable are hard errors; net and host unreachable pass.
  const bool hard = unreachable && (layers.icmp_code == wire::kIcmpProtocolUnreachable ||
                                    layers.icmp_code == wire::kIcmpPortUnreachable);
  if (too_large || hard) stack_.on_icmp_error(now, *conn, sequence, mtu, hard);
  context_.drops.consume(packet);
  return true;
}

void Proxy::run_ready(Instant now) {
  if (stack_.is_nearly_out()) [[unlikely]]
    relieve(now);
  while (Conn* conn = stack_.take_ready()) on_event(now, *conn);
  stack_.flush(now);
  counters_.conns.set(stack_.conns_in_use());
  counters_.half_open.set(stack_.half_open());
}

void Proxy::on_event(Instant now, Conn& conn) {
  const std::uint8_t events = std::exchange(conn.events, std::uint8_t{0});
  switch (context_of(conn).role) {
    case ConnRole::none:
      return;
    case ConnRole::opening:
      return on_opening(now, conn, events);
    case ConnRole::idle_server:
      return on_idle_event(now, *static_cast<IdleServer*>(conn.owner));
    case ConnRole::client: {
      Session& s = *static_cast<Session*>(conn.owner);
      if ((events & tcp::kClosed) != 0) {
        on_client_closed(now, s);
      } else {
        if ((events & tcp::kReadable) != 0 && !s.draining) s.active_at = now;
        run(now, s);
      }
      return settle(now, s);
    }
    case ConnRole::server: {
      Session& s = *static_cast<Session*>(conn.owner);
      if (s.client->state == tcp::State::closed) {  // in the same turn; its own event comes behind this one
        on_client_closed(now, s);
        return settle(now, s);
      }
      if ((events & tcp::kEstablished) != 0) on_server_up(now, s);
      if ((events & tcp::kReadable) != 0) s.active_at = now;
      if (!s.over) run(now, s);
      // What it said before it went still counts (an early answer, then a reset): run_response() sees the end of it.
      if ((events & tcp::kClosed) != 0 && s.server == &conn && !s.over && (s.tunnel || conn.receive_queue.empty())) {
        on_server_closed(now, s);
      }
      return settle(now, s);
    }
  }
}

// ---- sessions

void Proxy::on_opening(Instant now, Conn& conn, std::uint8_t events) {
  auto& runtime = *static_cast<VirtualServerRuntime*>(conn.owner);
  const bool established = (events & tcp::kEstablished) != 0 && (events & tcp::kClosed) == 0;
  if (!established && (events & tcp::kClosed) == 0) return;
  Session* s = established ? make_session(now, conn, runtime) : nullptr;
  runtime.half_open.fetch_sub(1, std::memory_order_release);
  if (s == nullptr) {
    if (established) stack_.abort(now, conn);
    return let_go(now, conn);
  }
  run(now, *s);
  settle(now, *s);
}

// Null: it is not let in.
Session* Proxy::make_session(Instant now, Conn& conn, VirtualServerRuntime& runtime) {
  const Ipv4Endpoint& to = conn.tuple.local;
  const VirtualServer* vs =
      snapshot_ == nullptr ? nullptr : snapshot_->find_virtual_server(to.address, to.port, Protocol::tcp);
  if (vs == nullptr || vs->runtime.get() != &runtime || vs->mode != Mode::http || !vs->enabled) return nullptr;
  const HttpProfile& profile = vs->http == nullptr ? default_profile_ : static_cast<const HttpProfile&>(*vs->http);
  if (!profile.take_connection(now, options_.worker) ||
      !runtime.connections.acquire(options_.worker, vs->connection_limit)) {
    counters_.refused_limit.add();
    runtime.http.of(options_.worker).limited.add();
    return nullptr;
  }
  const auto handle = sessions_.emplace(conn, runtime, profile, now);
  if (!handle) {
    counters_.refused_memory.add();
    runtime.connections.release();
    return nullptr;
  }
  Session& s = sessions_[handle->index];
  s.self = *handle;
  s.wants_proxy_header = profile.options.proxy_protocol_in == ProxyProtocolIn::required;
  profile.users.fetch_add(1, std::memory_order_relaxed);
  conn.owner = &s;
  context_of(conn).role = ConnRole::client;
  counters_.sessions_created.add();
  counters_.sessions_open.set(sessions_.size());
  return &s;
}

void Proxy::rebind_profile(Session& s, const HttpProfile& profile) {
  if (s.profile == &profile) return;
  profile.users.fetch_add(1, std::memory_order_relaxed);
  s.profile->users.fetch_sub(1, std::memory_order_release);
  s.profile = &profile;
}

void Proxy::on_client_closed(Instant now, Session& s) {
  s.over = true;
  if (!s.exchange && !s.tunnel) return;
  switch (s.client->close_reason) {
    case tcp::CloseReason::zero_window_timeout:
      http(s).client_timeouts.add();
      return record(now, s, ErrorSide::request, 0, s.request.message_bytes(), "the client does not read its answer");
    case tcp::CloseReason::retransmit_timeout:
      http(s).client_timeouts.add();
      return record(now, s, ErrorSide::request, 0, s.request.message_bytes(), "the client does not answer any more");
    default:
      http(s).aborted_by_client.add();
  }
}

// The stack ends the conn by itself from now on. Whatever counted its traffic may go before it does.
void Proxy::let_go(Instant now, Conn& conn) {
  ConnContext& context = context_of(conn);
  context.role = ConnRole::none;
  context.traffic = nullptr;
  stack_.release(now, conn);
}

void Proxy::end(Instant now, Session& s) {
  log_end(now, s, true);
  drop_held(s);
  drop_server(now, s, s.exchange || s.tunnel);
  let_go(now, *s.client);
  wheel_.cancel(s);
  s.profile->users.fetch_sub(1, std::memory_order_release);
  s.virtual_server->connections.release();
  sessions_.erase(s.self.index);
  counters_.sessions_open.set(sessions_.size());
}

// What every entry into a session ends with.
void Proxy::settle(Instant now, Session& s) {
  if (s.over) return end(now, s);
  const Instant at = deadline_of(s);
  if (s.is_scheduled() && s.timer_at <= at) return;  // it fires early, finds nothing due, and is set anew
  wheel_.schedule(s, at);
  s.timer_at = at;
}

// ---- time

Instant Proxy::deadline_of(const Session& s) const {
  const HttpTimes& times = s.profile->options.times;
  if (s.draining) return s.active_at + kDrainTime;
  if (s.tunnel) return s.active_at + times.idle;
  if (!s.exchange) return s.head_begun ? s.begun_at + times.head : s.active_at + times.idle;
  if (s.server != nullptr && !s.server_up) return s.connect_at + times.server_connect;
  if (s.request_done && !s.response_begun) return s.sent_at + times.server_response;
  const Instant idle_at = s.active_at + times.idle;
  return s.request_done || s.response_begun ? idle_at : std::min(idle_at, body_deadline_of(s));
}

// When the request's body has to be complete: what has come of it buys time.
Instant Proxy::body_deadline_of(const Session& s) const {
  const HttpOptions& options = s.profile->options;
  if (options.limits.body_rate_min == 0) return kInstantMax;
  const std::uint64_t bought_s =
      std::min<std::uint64_t>(s.request.body_bytes() / options.limits.body_rate_min, 1u << 30);
  return s.body_from + options.times.body + Duration(1s) * static_cast<std::int64_t>(bought_s);
}

void Proxy::on_deadline(Instant now, Session& s) {
  if (s.draining) {
    s.over = true;
  } else if (s.tunnel) {
    s.over = true;
  } else if (!s.exchange) {
    if (!s.head_begun) {
      s.over = true;  // an idle connection ends without a word
    } else {
      http(s).client_timeouts.add();
      refuse_request(now, s, {408, s.request.message_bytes(), "the head did not arrive in time"});
    }
  } else if (!s.server_up) {
    fail(now, s, Failure::timed_out, ErrorSide::connect, 0, "the member did not answer the SYN in time");
  } else if (s.request_done && !s.response_begun) {
    fail(now, s, Failure::timed_out, ErrorSide::response, 0, "the member did not answer the request in time");
  } else if (!s.request_done && !s.response_begun && now < s.active_at + s.profile->options.times.idle) {
    if (!s.client->receive_queue.empty()) {  // the member takes it slowly, which is not the client's fault
      s.body_from = now;
      return;
    }
    http(s).client_timeouts.add();
    record(now, s, ErrorSide::request, 408, s.request.message_bytes(), "the body came too slowly");
    answer(now, s, 408);
  } else if (!s.request_done && !s.response_begun && !s.client->receive_queue.empty()) {
    fail(now, s, Failure::timed_out, ErrorSide::response, 0, "the member did not read the request in time");
  } else if (!s.request_done && !s.response_begun) {
    http(s).client_timeouts.add();
    record(now, s, ErrorSide::request, 408, s.request.message_bytes(), "the body did not arrive in time");
    answer(now, s, 408);
  } else {
    const bool client_is_slow = !s.request_done || s.server == nullptr || !s.server->receive_queue.empty();
    if (client_is_slow) http(s).client_timeouts.add();
    record(now, s, client_is_slow ? ErrorSide::request : ErrorSide::response, 0,
           client_is_slow ? s.request.message_bytes() : s.response.message_bytes(), "nothing moved for the idle time");
    abort_client(now, s);
  }
}

void Proxy::on_timers(Instant now) {
  stack_.on_timers(now, kTimersMax);
  wheel_.expire(now, kTimersMax, [&](Timer& timer) {
    Session& s = static_cast<Session&>(timer);
    s.timer_at = kInstantMax;
    if (now >= deadline_of(s)) on_deadline(now, s);
    settle(now, s);
  });
  idle_.expire(now, kTimersMax, [&](IdleServer& idle) { close_idle(now, idle); });
  if (sweep_left_ > 0) sweep(now);
  run_ready(now);
}

Instant Proxy::next_timer() const {
  if (sweep_left_ > 0) return Instant::min();
  return std::min({stack_.next_timer(), wheel_.next_deadline(), idle_.next_timer()});
}

// ---- members that went down

void Proxy::sweep(Instant now) {
  if (sessions_.size() == 0) sweep_left_ = 0;
  for (std::uint32_t n = 0; n < kSweepMax && sweep_left_ > 0; ++n, --sweep_left_, ++sweep_at_) {
    if (!sessions_.is_live(sweep_at_)) continue;
    Session& s = sessions_[sweep_at_];
    if (s.member == nullptr) continue;
    const FlowsOnDown action = s.member->flows_on_down.load(std::memory_order_acquire);
    if (action == FlowsOnDown::keep) continue;
    counters_.service_down.add();
    on_member_down(now, s, action);
    settle(now, s);
  }
}

void Proxy::on_member_down(Instant now, Session& s, FlowsOnDown action) {
  switch (action) {
    case FlowsOnDown::keep:
      return;
    case FlowsOnDown::drop:  // without a word to either side
      stack_.forget(now, *s.client);
      if (s.server != nullptr) stack_.forget(now, *s.server);
      s.over = true;
      return;
    case FlowsOnDown::reselect:
      if (!s.exchange && !s.tunnel) return drop_server(now, s, true);  // the next request picks another
      if (move(now, s)) return;
      [[fallthrough]];
    case FlowsOnDown::reject:
      if (s.exchange) {
        record(now, s, ErrorSide::response, 0, s.response.message_bytes(), "the member went down");
      }
      return abort_client(now, s);
  }
}

// ---- the end

std::uint32_t Proxy::wind_down(Instant now) {
  winding_down_ = true;
  std::uint32_t busy = stack_.half_open();
  for (std::uint32_t i = 0; i < sessions_.capacity(); ++i) {
    if (!sessions_.is_live(i) || sessions_[i].tunnel) continue;
    Session& s = sessions_[i];
    s.keep_client = false;
    const bool asks = s.exchange || s.head_begun || !s.client->receive_queue.empty();
    const bool may_ask = s.requests == 0 && now < s.active_at + kFirstByteTime;
    if (!asks && !may_ask && !s.draining) {
      close_client(now, s);
      settle(now, s);
      continue;
    }
    if (!s.draining) ++busy;
  }
  run_ready(now);
  // Answered, but who asked has not acknowledged all of it, nor our FIN.
  stack_.visit(0, UINT32_MAX, [&busy](const Conn& conn) {
    const tcp::State s = conn.state;
    busy += s == tcp::State::fin_wait_1 || s == tcp::State::closing || s == tcp::State::last_ack ? 1 : 0;
  });
  return busy;
}

std::uint32_t Proxy::held_packets() const {
  std::uint32_t held = 0;
  for (std::uint32_t i = 0; i < sessions_.capacity(); ++i) held += sessions_.is_live(i) && sessions_[i].held ? 1 : 0;
  return held;
}

void Proxy::record(Instant now, const Session& s, ErrorSide side, std::uint16_t status, std::uint64_t offset,
                   const char* reason) {
  errors_.add({.at = now,
               .side = side,
               .status = status,
               .client = s.source,
               .destination = s.client->tuple.local,
               .member = s.member == nullptr ? Ipv4Endpoint{} : s.member->endpoint,
               .offset = offset,
               .reason = reason,
               .virtual_server = std::string_view(s.virtual_server->name)});
}

}  // namespace sluice::lb
