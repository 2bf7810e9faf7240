// The schema of `http:` of a virtual server: what lb/l7's HttpOptions is called in sluice.yaml, and its limits.
//
// Called by: schema.h. Runs on: control thread. Tested by: tests/control/config/http_test.cc
#pragma once

#include "control/config/model.h"
#include "control/config/text.h"

namespace sluice::config {

inline constexpr Range<Duration> kHttpTimeRange{100ms, 86400s};
inline constexpr Range<std::uint32_t> kCountRange{0, 4294967295};

template <typename V>
void describe(V& v, lb::HttpLimits& l) {
  v.field("head-bytes-max", l.head_bytes_max, Range<std::uint32_t>{256, lb::kHttpHeadBytesMax});
  v.field("target-bytes-max", l.target_bytes_max, Range<std::uint32_t>{64, lb::kHttpHeadBytesMax});
  v.field("headers-max", l.headers_max, Range<std::uint32_t>{4, lb::kHttpHeadersMax});
  v.field("body-bytes-max", l.body_bytes_max, Range<std::uint64_t>{0, std::uint64_t{1} << 59});
  v.field("body-rate-min", l.body_rate_min, kCountRange);
  v.field("requests-max", l.requests_max, kCountRange);
  v.field("requests-per-second", l.requests_per_s, kCountRange);
  v.field("connections-per-second", l.connections_per_s, kCountRange);
}

template <typename V>
void describe(V& v, lb::HttpTimes& t) {
  v.field("head", t.head, kHttpTimeRange);
  v.field("body", t.body, kHttpTimeRange);
  v.field("idle", t.idle, kHttpTimeRange);
  v.field("server-connect", t.server_connect, kHttpTimeRange);
  v.field("server-response", t.server_response, kHttpTimeRange);
}

template <typename V>
void describe(V& v, lb::OneConnect& o) {
  v.field("connections-max", o.connections_max, Range<std::uint32_t>{1, 1 << 20});
  v.field("requests-max", o.requests_max, Range<std::uint32_t>{1, 1 << 30});
  v.field("age-max", o.age_max, kHttpTimeRange);
  v.field("idle", o.idle, kHttpTimeRange);
}

template <typename V>
void describe(V& v, lb::HeaderRule& r) {
  v.field("side", r.side);
  v.field("action", r.action);
  v.required("name", r.name);
  v.field("value", r.value);
}

template <typename V>
void describe(V& v, lb::CookiePersistence& c) {
  v.field("kind", c.kind);
  v.field("name", c.name);
  v.field("expires", c.expires, Range<Duration>{0s, 366 * 86400s});
  v.field("http-only", c.http_only);
  v.field("secure", c.secure);
}

template <typename V>
void describe(V& v, lb::Redirect& r) {
  v.field("status", r.status, Range<std::uint16_t>{0, 599});
  v.field("scheme", r.scheme);
  v.field("host", r.host);
  v.field("port", r.port, Range<std::uint16_t>{0, 65535});
  v.field("path", r.path);
}

template <typename V>
void describe(V& v, lb::HttpRoute& r) {
  v.field("host", r.host);
  v.field("path", r.path);
  v.field("exact", r.exact);
  v.required("pool", r.pool);
}

template <typename V>
void describe(V& v, lb::HttpOptions& h) {
  v.object("limits", h.limits);
  v.object("times", h.times);
  v.object("oneconnect", h.oneconnect);
  v.field("x-forwarded-for", h.forwarded.x_forwarded_for);
  v.field("x-forwarded-proto", h.forwarded.x_forwarded_proto);
  v.field("x-forwarded-port", h.forwarded.x_forwarded_port);
  v.objects("header-rules", h.header_rules, lb::kHeaderRulesMax);
  v.object("cookie-persistence", h.cookie);
  v.object("redirect", h.redirect);
  v.objects("routes", h.routes, lb::kHttpRoutesMax);
  v.field("proxy-protocol-in", h.proxy_protocol_in);
  v.field("proxy-protocol-out", h.proxy_protocol_out);
  v.field("fallback", h.fallback);
  v.field("access-log", h.access_log);
  v.field("access-log-every", h.access_log_every, Range<std::uint32_t>{1, 1000000});
  v.field("keep-alive", h.keep_alive);
  v.field("upgrade", h.upgrade);
  v.field("connect-method", h.connect_method);
  v.field("trace-method", h.trace_method);
}

}  // namespace sluice::config
