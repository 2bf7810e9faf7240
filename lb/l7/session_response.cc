// From the member to the client: response heads are judged and written anew, bodies pass.
#include <algorithm>

#include "dataplane/packet/chain.h"
#include "lb/l7/cookie_persist.h"
#include "lb/l7/proxy.h"

namespace sluice::lb {

using http::StepKind;
using tcp::Conn;

namespace {

void count_status(HttpCounters& counters, std::uint16_t status) {
  switch (status / 100) {
    case 1:
      return counters.responses_1xx.add();
    case 2:
      return counters.responses_2xx.add();
    case 3:
      return counters.responses_3xx.add();
    case 4:
      return counters.responses_4xx.add();
    default:
      return counters.responses_5xx.add();
  }
}

}  // namespace

void Proxy::run_response(Instant now, Session& s) {
  bool more = s.exchange && (s.response_begun || s.interim);  // it may have something to say without further bytes
  while (!s.over && !s.draining && !s.tunnel && s.server != nullptr) {
    Conn& server = *s.server;
    if (stack_.send_room(*s.client) == 0) break;
    tcp::Chunk* const chunk = stack_.peek(server);
    if (chunk == nullptr && server.state == tcp::State::closed) return on_server_closed(now, s);
    if (chunk == nullptr && !server.fin_received && !more) break;
    if (!s.exchange) {
      if (chunk == nullptr && !server.fin_received) break;
      // It closed between two requests, or speaks without being asked.
      if (chunk != nullptr) record(now, s, ErrorSide::response, 0, 0, "bytes came from the member without a request");
      return drop_server(now, s, chunk != nullptr);
    }
    const auto run = chunk == nullptr ? std::span<std::uint8_t>{} : packet::first_run(chunk->packet);
    const bool last =
        server.fin_received && (chunk == nullptr || (chunk->next == nullptr && run.size() == chunk->length));
    if (chunk == nullptr && server.fin_received && s.response.at_message_start() && retry(now, s)) return;
    const http::Step step =
        s.response.read({reinterpret_cast<const char*>(run.data()), run.size()}, last, s.profile->options, scratch_);
    switch (step.kind) {
      case StepKind::need_bytes:
        more = false;
        if (chunk != nullptr) stack_.consume(server, step.consumed);
        if (last) {
          http(s).aborted_by_server.add();
          return fail(now, s, Failure::broken, ErrorSide::response, s.response.message_bytes(),
                      "the member closed its connection without an answer");
        }
        if (step.consumed == 0) goto out;
        break;
      case StepKind::head:
        more = true;
        if (!on_response_head(now, s)) return;
        stack_.consume(server, step.consumed);
        break;
      case StepKind::body:
        if (!pass_body(now, server, *s.client, step)) return give_up(now, s, *s.client);
        break;
      case StepKind::end:
        stack_.consume(server, step.consumed);
        text_size_ += s.response.write_tail(text_room());
        if (s.interim) {
          s.interim = false;
          s.response.expect_response_to(s.method, s.wants_upgrade);
          break;
        }
        if (!flush_text(now, *s.client)) return give_up(now, s, *s.client);
        return finish_exchange(now, s);
      case StepKind::error:
        http(s).bad_responses.add();
        return fail(now, s, Failure::broken, ErrorSide::response, step.error.offset, step.error.reason);
    }
  }
out:
  if (s.over || s.draining) return;
  if (!flush_text(now, *s.client)) give_up(now, s, *s.client);
}

// False: the session has ended or was answered otherwise.
bool Proxy::on_response_head(Instant now, Session& s) {
  const http::Head& head = scratch_.head;
  const HttpOptions& options = s.profile->options;
  count_status(http(s), head.status);
  const bool tunnel = head.body == http::Body::tunnel;
  if (head.status == 101 && !s.wants_upgrade) {
    http(s).bad_responses.add();
    fail(now, s, Failure::broken, ErrorSide::response, 0, "the member switches protocols without being asked");
    return false;
  }
  if (head.status < 200 && !tunnel) {  // 100 Continue, 103 Early Hints: on their way at once
    s.interim = true;
    s.body_from = now;                 // a client may have waited for 100 (Continue)
    s.may_retry = s.may_move = false;  // the member has begun to answer
    if (s.server_up) drop_held(s);
    s.response.start_body(http::Framing::none);
    if (s.client_1_0) return true;
    if (text_size_ > kTextMax / 2 && !flush_text(now, *s.client)) {
      give_up(now, s, *s.client);
      return false;
    }
    text_size_ += http::write_response_head(head, {.options = &options}, text_room());
    return true;
  }
  s.status = head.status;
  if (!s.response_begun) http(s).first_byte.add(now - s.head_at);
  s.response_begun = true;
  drop_held(s);
  if (s.access != AccessRing::kNone) {
    AccessRecord& record = access_.at(s.access);
    record.first_byte = now - s.head_at;
    record.member = s.member->endpoint;
  }
  const http::ResponseFraming framing = http::response_framing(head, s.client_1_0);
  s.keep_server = head.persistent();
  // An early answer: the rest of the request would have to be read before the next one.
  if (framing.close || !s.request_done) s.keep_client = false;
  s.response.start_body(framing.framing);
  http::ResponseRewrite rewrite{.options = &options,
                                .framing = framing.framing,
                                .client_http_1_0 = s.client_1_0,
                                .close = !s.keep_client && !tunnel,
                                .pass_upgrade = tunnel};
  std::array<char, 512> cookie;
  if (s.set_cookie) rewrite.set_cookie = {cookie.data(), write_cookie(s, cookie)};
  const std::uint32_t written = http::write_response_head(head, rewrite, text_room());
  if (written == 0) {
    s.response_begun = false;
    fail(now, s, Failure::broken, ErrorSide::response, 0, "the head that would go out is too long");
    return false;
  }
  text_size_ += written;
  if (tunnel) start_tunnel(now, s);
  return true;
}

}  // namespace sluice::lb
