// A session moves on: both directions in turn, tunnels, the end of an exchange and of the client's connection.
#include <algorithm>
#include <cassert>
#include <cstring>

#include "dataplane/packet/chain.h"
#include "lb/l7/proxy.h"

namespace sluice::lb {

using tcp::Conn;

void Proxy::run(Instant now, Session& s) {
  assert(text_size_ == 0);
  do {
    s.again = false;
    if (s.draining) {
      drain(now, s);
    } else if (s.tunnel) {
      run_tunnel(now, s);
    } else {
      run_request(now, s);
      if (!s.over && !s.draining && !s.tunnel && s.server != nullptr && s.server_up) run_response(now, s);
    }
  } while (s.again && !s.over);
  text_size_ = 0;  // what a session that failed had not sent
}

// ---- what we write, and bytes that pass

void Proxy::add_text(std::string_view text) {
  assert(text.size() <= kTextMax - text_size_);
  std::memcpy(text_.get() + text_size_, text.data(), text.size());
  text_size_ += static_cast<std::uint32_t>(text.size());
}

bool Proxy::flush_text(Instant now, Conn& to) {
  if (text_size_ == 0) return true;
  const std::uint32_t n = std::exchange(text_size_, 0U);
  return stack_.send_bytes(now, to, {reinterpret_cast<const std::uint8_t*>(text_.get()), n});
}

// Passes on what a body step says of the first run in from's receive queue. Bytes stay in the packet they came in; our
// text goes into the room in front of them, where a head or a chunk's framing has just been read. False: memory is
// short.
bool Proxy::pass_body(Instant now, Conn& from, Conn& to, const http::Step& step) {
  if (!step.prefix.empty()) add_text(step.prefix.view());
  if (step.body_length == 0) {
    stack_.consume(from, step.consumed);
    return true;
  }
  const tcp::Chunk& chunk = *stack_.peek(from);
  const std::uint32_t end = step.body_offset + step.body_length;
  packet::Packet piece;
  if (end == step.consumed && end == chunk.length) {
    if (step.body_offset > 0) stack_.consume(from, step.body_offset);
    piece = stack_.receive(from);
  } else if (step.body_length <= kSmallPiece) {
    const auto bytes = packet::first_run(chunk.packet).subspan(step.body_offset, step.body_length);
    add_text({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    stack_.consume(from, step.consumed);
    return text_size_ < kTextMax / 2 || flush_text(now, to);
  } else {
    piece = packet::share(chunk.packet, context_.pool);
    if (!piece) return false;
    context_.drops.count_generated();
    packet::trim_front(piece, step.body_offset);
    packet::truncate(piece, step.body_length);
    stack_.consume(from, step.consumed);
  }
  constexpr std::uint32_t kHeaderRoom = 98;  // TCP with options, IPv4, Ethernet with a tag
  if (text_size_ > 0 && text_size_ < 1024 &&
      packet::may_prepend(piece, static_cast<std::uint16_t>(text_size_ + kHeaderRoom))) {
    std::memcpy(piece.prepend(static_cast<std::uint16_t>(text_size_)), text_.get(), text_size_);
    text_size_ = 0;
  }
  if (flush_text(now, to) && stack_.send(now, to, piece)) return true;
  context_.drops.consume(piece);
  return false;
}

// ---- tunnels

void Proxy::start_tunnel(Instant now, Session& s) {
  http(s).upgrades.add();
  s.tunnel = true;
  s.exchange = false;
  s.again = true;
  s.active_at = now;
  drop_held(s);
}

void Proxy::pass_all(Instant now, Session& s, Conn& from, Conn& to) {
  while (stack_.send_room(to) > 0 && to.can_send()) {
    const packet::Packet packet = stack_.receive(from);
    if (!packet) break;
    if (!stack_.send(now, to, packet)) {
      context_.drops.consume(packet);
      return give_up(now, s, to);
    }
  }
  if (from.fin_received && from.receive_queue.empty() && !to.fin_queued) stack_.close(now, to);
}

void Proxy::run_tunnel(Instant now, Session& s) {
  if (s.server == nullptr) {
    s.over = true;
    return;
  }
  pass_all(now, s, *s.client, *s.server);
  if (!s.over) pass_all(now, s, *s.server, *s.client);
  if (s.client->fin_queued && s.server->fin_queued) s.over = true;
}

// ---- ends

void Proxy::finish_exchange(Instant now, Session& s) {
  const bool early = !s.request_done;  // the member answered before it had the whole request
  http(s).total.add(now - s.begun_at);
  log_end(now, s, false);
  drop_held(s);
  s.exchange = false;
  s.head_begun = false;
  s.active_at = now;
  const OneConnect& oneconnect = s.profile->options.oneconnect;
  if (s.server != nullptr) {
    const bool usable =
        !early && s.keep_server && s.server->state == tcp::State::established && s.server->receive_queue.empty();
    if (!usable) {
      drop_server(now, s, early);
    } else if (oneconnect.enabled) {
      keep_idle(now, s);
    }
  }
  if (early || !s.keep_client) return close_client(now, s);
  s.again = true;
}

// Our FIN follows what was sent. What still comes is read and thrown away for a while, because a reset in answer to it
// could destroy what the client has not read yet (RFC 9112 section 9.6).
void Proxy::close_client(Instant now, Session& s) {
  stack_.close(now, *s.client);
  s.draining = true;
  s.again = true;
  s.active_at = now;
}

void Proxy::drain(Instant now, Session& s) {
  static_cast<void>(now);
  while (tcp::Chunk* chunk = stack_.peek(*s.client)) stack_.consume(*s.client, chunk->length);
  if (s.client->fin_received || s.client->state == tcp::State::closed) s.over = true;
}

void Proxy::abort_client(Instant now, Session& s) {
  stack_.abort(now, *s.client);
  s.over = true;
}

// ---- access log

void Proxy::log_begin(Instant now, Session& s, const http::Head& head) {
  const HttpOptions& options = s.profile->options;
  if (options.access_log == AccessLog::off) return;
  if (options.access_log == AccessLog::sampled && access_turn_++ % std::max(options.access_log_every, 1U) != 0) return;
  s.access = access_.open();
  if (s.access == AccessRing::kNone) return;
  AccessRecord& record = access_.at(s.access);
  record.at = s.begun_at == Instant{} ? now : s.begun_at;
  record.client = s.source;
  record.destination = s.client->tuple.local;
  record.minor = head.minor;
  record.method = http::name_of(head.method);
  record.host = head.host;
  record.target = head.target;
  record.virtual_server = std::string_view(s.virtual_server->name);
}

void Proxy::log_end(Instant now, Session& s, bool cut_short) {
  if (s.access == AccessRing::kNone) return;
  const std::uint32_t index = std::exchange(s.access, AccessRing::kNone);
  AccessRecord& record = access_.at(index);
  record.cut_short = cut_short && !s.tunnel;
  record.status = s.status;
  record.reused = s.server_reused;
  record.total = now - record.at;
  record.request_bytes = s.request.body_bytes();
  record.response_bytes = s.response.body_bytes();
  access_.close(index);
}

}  // namespace sluice::lb
