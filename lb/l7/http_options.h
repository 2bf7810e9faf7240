// HttpOptions: everything that a virtual server in mode http can be told, with BIG-IP's defaults where it has one.
//
// A plain value: control/config fills it from `http:` of a virtual server, the snapshot carries it, workers read it.
//
// Called by: lb/l7, lb/datapath, control/config. Runs on: any thread. Follows: F5 BIG-IP LTM profiles http, oneconnect,
// fallback; RFC 9110, 9112. Tested by: tests/control/config/http_test.cc
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataplane/base/time.h"

namespace sluice::lb {

inline constexpr std::uint32_t kHttpHeadersMax = 256;      // the most that headers_max may be set to
inline constexpr std::uint32_t kHttpHeadBytesMax = 61440;  // the most that head_bytes_max may be set to
inline constexpr std::uint32_t kHttpRoutesMax = 1024;
inline constexpr std::uint32_t kHeaderRulesMax = 64;

// What a message may weigh. A request beyond: 431, 414 or 413; a response beyond: 502.
struct HttpLimits {
  std::uint32_t head_bytes_max = 32768;    // start line and fields with their line ends; trailers likewise
  std::uint32_t target_bytes_max = 16384;  // the request target alone
  std::uint32_t headers_max = 64;          // field lines of a head; trailers likewise
  std::uint64_t body_bytes_max = 0;        // of a request; 0: no limit
  std::uint32_t body_rate_min = 128;    // bytes a second that a request's body must have, see HttpTimes::body; 0: none
  std::uint32_t requests_max = 0;       // on one client connection, then it is closed; 0: no limit
  std::uint32_t requests_per_s = 0;     // of this virtual server; beyond: 503; 0: no limit
  std::uint32_t connections_per_s = 0;  // likewise; beyond: the connection is reset; 0: no limit
  friend bool operator==(const HttpLimits&, const HttpLimits&) = default;
};

struct HttpTimes {
  Duration head = 10s;              // from the first byte of a head to its last (408)
  Duration body = 60s;              // for a request's body, and a second more for each body_rate_min bytes of it (408)
  Duration idle = 300s;             // between two requests, and without any byte in a body
  Duration server_connect = 10s;    // SYN to SYN-ACK (504)
  Duration server_response = 300s;  // end of the request to the response's head (504)
  friend bool operator==(const HttpTimes&, const HttpTimes&) = default;
};

// Server connections are reused by other clients' requests, and every request is balanced by itself.
struct OneConnect {
  bool enabled = false;
  std::uint32_t connections_max = 10000;  // idle ones kept, per worker
  std::uint32_t requests_max = 1000;      // on one server connection
  Duration age_max = 86400s;
  Duration idle = 60s;  // an idle one is closed after it
  friend bool operator==(const OneConnect&, const OneConnect&) = default;
};

enum class HeaderRuleAction : std::uint8_t {
  insert,   // add one line; what is there stays
  replace,  // exactly one line with this value, whatever was there
  remove,   // every line of this name
};
enum class HeaderRuleSide : std::uint8_t { request, response };

struct HeaderRule {
  HeaderRuleSide side = HeaderRuleSide::request;
  HeaderRuleAction action = HeaderRuleAction::insert;
  std::string name;   // a token; not one that says where the message ends (check_header_rule)
  std::string value;  // empty for remove
  friend bool operator==(const HeaderRule&, const HeaderRule&) = default;
};

struct ForwardedHeaders {
  bool x_forwarded_for = false;    // append the client's address
  bool x_forwarded_proto = false;  // replace: http
  bool x_forwarded_port = false;   // replace: the virtual server's port
  friend bool operator==(const ForwardedHeaders&, const ForwardedHeaders&) = default;
};

enum class CookiePersistKind : std::uint8_t {
  none,
  insert,  // BIGipServer<pool> with the member's address, as BIG-IP writes it
  hashed,  // the same name, but the value tells nobody the member's address
};

struct CookiePersistence {
  CookiePersistKind kind = CookiePersistKind::none;
  std::string name;                // default: BIGipServer<pool>
  Duration expires = Duration(0);  // 0: a session cookie
  bool http_only = true;
  bool secure = false;
  friend bool operator==(const CookiePersistence&, const CookiePersistence&) = default;
};

// Answer every request with a redirect instead of a member.
struct Redirect {
  std::uint16_t status = 0;  // 301, 302, 307 or 308; 0: no redirect
  std::string scheme;        // default: http
  std::string host;          // default: the request's, without its port
  std::uint16_t port = 0;    // default: the scheme's
  std::string path;          // default: the request's path and query
  friend bool operator==(const Redirect&, const Redirect&) = default;
};

// A rule of an Ingress: requests for this host and path go to this pool.
struct HttpRoute {
  std::string host;        // lower case, no port; empty: any host; "*.example.com": one label in front
  std::string path = "/";  // a prefix in whole segments: /a matches /a and /a/b, not /ab
  bool exact = false;      // the path must be equal
  std::string pool;
  friend bool operator==(const HttpRoute&, const HttpRoute&) = default;
};

enum class ProxyProtocolOut : std::uint8_t { off, v1, v2 };   // sent to the member ahead of the first byte
enum class ProxyProtocolIn : std::uint8_t { off, required };  // expected of the client ahead of the first byte
enum class FallbackAction : std::uint8_t { reset, page };     // no member, or a broken one: RST, or 502/503/504
enum class AccessLog : std::uint8_t { off, sampled, full };

struct HttpOptions {
  HttpLimits limits;
  HttpTimes times;
  OneConnect oneconnect;
  ForwardedHeaders forwarded;
  std::vector<HeaderRule> header_rules;
  CookiePersistence cookie;
  Redirect redirect;
  std::vector<HttpRoute> routes;  // none matches: the virtual server's own pool
  ProxyProtocolIn proxy_protocol_in = ProxyProtocolIn::off;
  ProxyProtocolOut proxy_protocol_out = ProxyProtocolOut::off;
  FallbackAction fallback = FallbackAction::reset;
  AccessLog access_log = AccessLog::off;
  std::uint32_t access_log_every = 100;  // sampled: one request in so many
  bool keep_alive = true;                // false: one request a client connection
  bool upgrade = false;                  // WebSocket and other upgrades pass (GET, 101)
  bool connect_method = false;           // CONNECT passes
  bool trace_method = false;             // TRACE passes
  friend bool operator==(const HttpOptions&, const HttpOptions&) = default;
};

}  // namespace sluice::lb
