// From the client to the member: request heads are judged, sent on their way and written anew; bodies pass.
#include <algorithm>

#include "dataplane/packet/chain.h"
#include "lb/l7/http_answers.h"
#include "lb/l7/proxy.h"
#include "lb/l7/proxy_protocol.h"

namespace sluice::lb {

using http::StepKind;
using tcp::Conn;

void Proxy::run_request(Instant now, Session& s) {
  if (s.wants_proxy_header && !read_proxy_header(now, s)) return;
  Conn& client = *s.client;
  bool more = s.exchange;  // the reader may have something to say without further bytes
  while (!s.over && !s.draining && !s.tunnel) {
    if (s.exchange) {  // the next request waits for the response to this one
      if (s.request_done || s.server == nullptr || !s.server_up || stack_.send_room(*s.server) == 0) break;
      // The member takes no more, and may have answered already: what it said is read first, and decides.
      if (!s.server->can_send()) break;
    }
    tcp::Chunk* const chunk = stack_.peek(client);
    if (chunk == nullptr && !client.fin_received && !more) break;
    const auto run = chunk == nullptr ? std::span<std::uint8_t>{} : packet::first_run(chunk->packet);
    const bool last =
        client.fin_received && (chunk == nullptr || (chunk->next == nullptr && run.size() == chunk->length));
    if (chunk != nullptr && !s.exchange && !s.head_begun) {
      s.head_begun = true;
      s.begun_at = now;
    }
    const http::Step step =
        s.request.read({reinterpret_cast<const char*>(run.data()), run.size()}, last, s.profile->options, scratch_);
    switch (step.kind) {
      case StepKind::need_bytes:
        more = false;
        if (chunk != nullptr) stack_.consume(client, step.consumed);
        if (!s.exchange && s.request.at_message_start()) s.head_begun = false;  // empty lines only
        if (last) {
          on_client_end(now, s);
          break;
        }
        if (step.consumed == 0) goto out;
        break;
      case StepKind::head: {
        more = true;
        // Its packet holds nothing else: it can be kept as it is, should the head have to be written once more.
        const bool alone =
            step.in_one_piece && chunk != nullptr && chunk->length == step.consumed && chunk->packet.is_contiguous();
        if (on_request_head(now, s, alone)) {
          s.held = stack_.receive(client);
          s.held_raw = true;
        } else {
          stack_.consume(client, step.consumed);
        }
        break;
      }
      case StepKind::body:
        if (!pass_body(now, client, *s.server, step)) return give_up(now, s, *s.server);
        break;
      case StepKind::end: {
        stack_.consume(client, step.consumed);
        text_size_ += s.request.write_tail(text_room());
        s.request_done = true;
        s.sent_at = now;
        break;
      }
      case StepKind::error:
        if (chunk != nullptr) stack_.consume(client, std::min(step.consumed, chunk->length));
        refuse_request(now, s, step.error);
        break;
    }
  }
out:
  if (s.over || s.draining || s.server == nullptr || !s.server_up) return;
  if (!flush_text(now, *s.server)) give_up(now, s, *s.server);
}

// The PROXY header says who the client is. False: it has not come whole, or the session is over.
bool Proxy::read_proxy_header(Instant now, Session& s) {
  std::uint32_t n = 0;
  for (const tcp::Chunk* chunk = stack_.peek(*s.client); chunk != nullptr && n < http::kProxyV2BytesMax;
       chunk = chunk->next) {
    const std::uint32_t here = std::min(chunk->length, http::kProxyV2BytesMax - n);
    packet::copy_out(chunk->packet, 0, {reinterpret_cast<std::uint8_t*>(text_.get()) + n, here});
    n += here;
  }
  if (n > 0 && !s.head_begun) {
    s.head_begun = true;
    s.begun_at = now;
  }
  const http::ProxyDecode decoded = http::decode_proxy({text_.get(), n});
  if (decoded.status == http::ProxyStatus::need_bytes) {
    if (s.client->fin_received) on_client_end(now, s);
    return false;
  }
  if (decoded.status == http::ProxyStatus::error) {
    http(s).bad_requests.add();
    record(now, s, ErrorSide::request, 0, decoded.offset, decoded.reason);
    abort_client(now, s);
    return false;
  }
  stack_.consume(*s.client, decoded.consumed);
  if (!decoded.header.local && !decoded.header.v6) s.source = decoded.header.source;
  s.wants_proxy_header = false;
  s.head_begun = false;
  return true;
}

// The client has nothing more to say, between two requests.
void Proxy::on_client_end(Instant, Session& s) { s.over = true; }

// True: the packet that the head lies in (`alone`) is to be kept.
bool Proxy::on_request_head(Instant now, Session& s, bool alone) {
  const http::Head& head = scratch_.head;
  s.exchange = true;
  s.request_done = s.response_begun = s.interim = s.set_cookie = s.may_retry = s.may_move = false;
  s.status = 0;
  s.head_at = s.body_from = now;
  s.active_at = now;
  s.method = head.method;
  s.client_1_0 = head.minor == 0;
  ++s.requests;
  http(s).requests.add();

  const VirtualServer* vs = find_virtual_server(s);
  if (vs != nullptr) {
    rebind_profile(s, vs->http == nullptr ? default_profile_ : static_cast<const HttpProfile&>(*vs->http));
  }
  const HttpOptions& options = s.profile->options;
  log_begin(now, s, head);
  s.keep_client = head.persistent() && options.keep_alive && !winding_down_ &&
                  (options.limits.requests_max == 0 || s.requests < options.limits.requests_max);
  s.wants_upgrade = options.upgrade && head.upgrade && head.body == http::Body::none && head.minor >= 1;
  s.request.start_body(http::request_framing(head));
  s.response.expect_response_to(head.method, s.wants_upgrade);
  if (!s.profile->take_request(now, options_.worker)) {
    http(s).limited.add();
    record(now, s, ErrorSide::policy, 503, 0, "the virtual server's request rate is reached");
    answer(now, s, 503);
    return false;
  }
  if (options.redirect.status != 0 && redirect(now, s, head)) return false;
  if (vs == nullptr || !vs->enabled) {
    fail(now, s, Failure::no_member, ErrorSide::policy, 0, "the virtual server is gone or disabled");
    return false;
  }
  if (!choose_server(now, s, *vs, head)) return false;
  if (!write_request(s, head)) {
    refuse_request(now, s, {431, 0, "the head that would go out is too long"});
    return false;
  }
  // Sent once more at most, and only if nothing but this head need be sent.
  const bool harmless = http::is_idempotent(head.method) && head.body == http::Body::none;
  s.may_retry = harmless && s.server_reused;
  s.may_move = harmless;
  const bool keep = s.may_retry || (s.may_move && s.reselects);
  if (s.server_up && keep && alone) return true;
  if (!s.server_up || keep) hold_text(now, s, s.server_up);
  return false;
}

// The head as it goes out, into our text. False: it is too long.
bool Proxy::write_request(Session& s, const http::Head& head) {
  const HttpOptions& options = s.profile->options;
  http::RequestRewrite rewrite{.options = &options,
                               .client = s.source.address,
                               .destination = s.client->tuple.local,
                               .close = !options.oneconnect.enabled && !s.keep_client,
                               .pass_upgrade = s.wants_upgrade};
  if (options.cookie.kind != CookiePersistKind::none) rewrite.drop_cookie = cookie_name(s, s.member->pool->name);
  const std::uint32_t written = http::write_request_head(head, rewrite, text_room());
  text_size_ += written;
  return written != 0;
}

// Makes of a request that was kept as it came what goes out. False: memory is short.
bool Proxy::write_held(Session& s) {
  if (!s.held_raw) return true;
  http::MessageReader reader(http::MessageReader::Kind::request);
  const auto bytes = s.held.bytes();
  const http::Step step =
      reader.read({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, false, s.profile->options, scratch_);
  text_size_ = 0;
  if (step.kind != StepKind::head || !write_request(s, scratch_.head)) return false;
  const packet::Packet written =
      packet::from_bytes(context_.pool, {reinterpret_cast<const std::uint8_t*>(text_.get()), text_size_});
  text_size_ = 0;
  if (!written) return false;
  context_.drops.count_generated();
  drop_held(s);
  s.held = written;
  return true;
}

bool Proxy::redirect(Instant now, Session& s, const http::Head& head) {
  const Redirect& to = s.profile->options.redirect;
  const std::span<char> room = text_room();
  const std::uint32_t location = http::write_location(to, head, room);
  if (location == 0) return false;
  const bool keep = s.keep_client && head.body == http::Body::none;
  const std::span<char> page = room.subspan(location);
  const std::uint32_t n = http::write_redirect(
      to.status, {room.data(), location}, {.close = !keep, .head_request = head.method == http::Method::head}, page);
  if (n == 0) return false;
  s.status = to.status;
  http(s).own_answers.add();
  drop_server(now, s, false);
  if (!stack_.send_bytes(now, *s.client, {reinterpret_cast<const std::uint8_t*>(page.data()), n})) {
    give_up(now, s, *s.client);
    return true;
  }
  s.request_done = keep;
  s.keep_client = keep;
  s.exchange = false;
  if (keep) {
    // The reader has the end of this request still to say; there is no body.
    const http::Step end = s.request.read({}, false, s.profile->options, scratch_);
    static_cast<void>(end);
  }
  finish_exchange(now, s);
  return true;
}

// What the client sent cannot be passed on: it is told so, if that is still possible, and let go.
void Proxy::refuse_request(Instant now, Session& s, const http::HttpError& error) {
  http(s).bad_requests.add();
  record(now, s, ErrorSide::request, s.response_begun ? std::uint16_t{0} : error.status, error.offset, error.reason);
  if (s.response_begun) return abort_client(now, s);
  answer(now, s, error.status);
}

// A page of our own; the connection closes behind it.
void Proxy::answer(Instant now, Session& s, std::uint16_t status) {
  text_size_ = 0;
  http(s).own_answers.add();
  s.status = status;
  drop_held(s);
  drop_server(now, s, true);
  log_end(now, s, false);
  const bool head_request = s.exchange && s.method == http::Method::head;
  const std::string_view page = http::answer(status, {.close = true, .head_request = head_request});
  s.exchange = false;
  s.head_begun = false;
  if (!stack_.send_bytes(now, *s.client, {reinterpret_cast<const std::uint8_t*>(page.data()), page.size()})) {
    return give_up(now, s, *s.client);
  }
  close_client(now, s);
}

}  // namespace sluice::lb
