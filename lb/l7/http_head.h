// Head: the start line and fields of one HTTP message, parsed and judged, as views of the bytes that carried them.
//
// One Head serves a worker (it is large); the reader fills it, the policy and the writer read it, the next head
// overwrites it. It is valid while the bytes that it was read from are (the packet's, or the reader's gather buffer).
//
// Called by: lb/l7. Runs on: workers. Follows: RFC 9110, 9112. Tested by: tests/lb/l7/head_scan_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "lb/l7/http_options.h"

namespace sluice::lb::http {

// The methods that pass; any other token is answered with 501. Values are our own.
enum class Method : std::uint8_t {
  none,
  get,
  head,
  post,
  put,
  delete_,
  connect,
  options,
  trace,
  patch,
  copy,
  lock,
  mkcol,
  move,
  propfind,
  proppatch,
  search,
  unlock,
  bind,
  rebind,
  unbind,
  acl,
  report,
  mkactivity,
  checkout,
  merge,
  msearch,
  notify,
  subscribe,
  unsubscribe,
  purge,
  mkcalendar,
  link,
  unlink,
  source,
};
Method method_of(std::string_view token);  // none: not one of them
std::string_view name_of(Method method);
// RFC 9110 9.2.2: may be sent again when the answer got lost.
bool is_idempotent(Method method);

// Fields that mean something to a proxy; all others are `other`.
enum class FieldId : std::uint8_t {
  other,
  framing_lookalike,  // Content_Length, Transfer_Encoding: framing to some servers, so it is not passed on
  connection,
  content_length,
  cookie,
  expect,
  forwarded_for,
  forwarded_port,
  forwarded_proto,
  host,
  http2_settings,
  keep_alive,
  max_forwards,
  proxy_connection,
  set_cookie,
  te,
  trailer,
  transfer_encoding,
  upgrade,
};
FieldId field_id_of(std::string_view name);  // any case

struct Field {
  std::uint16_t name = 0;  // offset from Head::bytes
  std::uint16_t name_length = 0;
  std::uint16_t value = 0;
  std::uint16_t value_length = 0;  // without the white space around it
  FieldId id = FieldId::other;
  bool hop_by_hop = false;  // not passed on: by its id, or because Connection names it
  bool canonical = false;   // its line lies as it would be written: "name: value" CR LF
};

enum class Body : std::uint8_t {
  none,         // ends with the head
  length,       // Content-Length bytes
  chunked,      //
  until_close,  // a response only
  tunnel,       // after 101, or 2xx to CONNECT: no more HTTP
};

enum class TargetForm : std::uint8_t { origin, absolute, authority, asterisk };

struct Head {
  const char* bytes = nullptr;
  std::uint32_t length = 0;  // up to and with the empty line
  bool is_request = true;

  // Request
  Method method = Method::none;
  TargetForm form = TargetForm::origin;
  std::string_view target;     // path and query in origin form ("/" when an absolute URI has none), "*", or "host:port"
  bool slash_missing = false;  // an absolute target with a query but no path: a / goes ahead of `target`
  std::string_view host;  // of the target or the Host field, without userinfo, as written; may be empty only in 1.0
  bool target_needs_encoding = false;  // has bytes such as \ or | that are forwarded as %XX
  // Response
  std::uint16_t status = 0;
  std::string_view reason;

  std::uint8_t minor = 1;  // HTTP/1.minor, 0 or 1 (1.2 to 1.9 count as 1.1)
  Body body = Body::none;
  std::uint64_t content_length = 0;  // for Body::length; for HEAD and 304 what they say, with has_content_length
  bool has_content_length = false;
  bool close = false;            // Connection: close
  bool keep_alive = false;       // Connection: keep-alive
  bool upgrade = false;          // Connection: upgrade with an Upgrade field
  bool expect_continue = false;  // Expect: 100-continue, of a 1.1 client
  bool te_trailers = false;      // TE: trailers

  std::uint32_t field_count = 0;
  std::array<Field, kHttpHeadersMax> field_array;

  std::span<Field> fields() { return {field_array.data(), field_count}; }
  std::span<const Field> fields() const { return {field_array.data(), field_count}; }
  std::string_view name_of(const Field& f) const { return {bytes + f.name, f.name_length}; }
  std::string_view value_of(const Field& f) const { return {bytes + f.value, f.value_length}; }
  // The first field of this id or name (any case); null: none.
  const Field* find(FieldId id) const;
  const Field* find(std::string_view name) const;

  // `target` up to the query.
  std::string_view path() const { return target.substr(0, target.find('?')); }
  // `host` without its port.
  std::string_view hostname() const;
  // What the sender wants after this message: false also when the body ends by close.
  bool persistent() const {
    return body != Body::until_close && body != Body::tunnel && (minor >= 1 ? !close : keep_alive && !close);
  }
};

// Why a message is refused: what to answer (or log), where reading stopped, and a sentence.
struct HttpError {
  std::uint16_t status = 0;  // 400, 405, 408, 413, 414, 417, 431, 501, 505; a response: 502
  std::uint64_t offset = 0;  // from the message's first byte
  const char* reason = "";   // "a field name is followed by white space"; static
  explicit operator bool() const { return status != 0; }
};

}  // namespace sluice::lb::http
