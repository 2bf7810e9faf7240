// Writes the head that goes out: canonical, without hop-by-hop fields, with this virtual server's rules applied.
//
// Nothing of the incoming head is passed on as it lay: the start line, each field and the framing are written anew, so
// that no two parsers can read the result differently.
//
// Called by: lb/l7 sessions. Runs on: workers. Follows: RFC 9110 7.6 (forwarding), 9112 2.2, 6, 9; RFC 7239 is not used
// (X-Forwarded-* as BIG-IP). Tested by: tests/lb/l7/head_writer_test.cc, bench/micro/http_bench.cc
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "dataplane/base/address.h"
#include "lb/l7/http_head.h"
#include "lb/l7/message_reader.h"

namespace sluice::lb::http {

// A buffer of this size is enough for any head within the limits and any rules that the configuration accepts.
std::uint32_t head_bytes_needed(const Head& head, const HttpOptions& options);

struct RequestRewrite {
  const HttpOptions* options = nullptr;
  Ipv4Address client;         // X-Forwarded-For (from the PROXY header if there was one)
  Ipv4Endpoint destination;   // the virtual server: X-Forwarded-Port, and Host where an HTTP/1.0 request has none
  bool close = false;         // tell the member to close after it: Connection: close
  bool pass_upgrade = false;  // Connection: upgrade and Upgrade go along (options.upgrade and head.upgrade)
  std::string_view drop_cookie = {};  // a cookie of this name is ours and not passed on; empty: pass all
};
// The bytes written; 0: `out` is too small.
std::uint32_t write_request_head(const Head& head, const RequestRewrite& rewrite, std::span<char> out);

struct ResponseRewrite {
  const HttpOptions* options = nullptr;
  Framing framing = Framing::none;  // from response_framing
  bool client_http_1_0 = false;
  bool close = false;                // the client's connection closes after it
  bool pass_upgrade = false;         // 101: Connection: upgrade and Upgrade go along
  std::string_view set_cookie = {};  // a whole Set-Cookie value to add (cookie_persist.h); empty: none
};
std::uint32_t write_response_head(const Head& head, const ResponseRewrite& rewrite, std::span<char> out);

// How the body of `head` goes out.
Framing request_framing(const Head& request);
struct ResponseFraming {
  Framing framing = Framing::none;
  bool close = false;  // its end is the close of the client's connection (a 1.0 client cannot read chunks)
};
// A body until close becomes chunks for a 1.1 client, so that its connection lives on.
ResponseFraming response_framing(const Head& response, bool client_http_1_0);

}  // namespace sluice::lb::http
