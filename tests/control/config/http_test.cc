// `http:` and `oneconnect` of a virtual server: every key is read, printed and read again; every wrong value has its
// place.
//
// Runs on: the test. Covers: control/config/http_schema.h, control/config/validate_http.cc.
#include <gtest/gtest.h>

#include "control/config/parse.h"
#include "control/config/print.h"

namespace sluice::config::http_test {
namespace {

constexpr std::string_view kBase = R"(
ports: {int_vlan: {device: "net_null0"}}
self-ips: [{address: 172.16.40.202/24, port: int_vlan}]
pools:
  web: {members: ["10.244.0.76:80"]}
  api: {members: ["10.244.0.77:80"]}
virtual-servers:
)";

constexpr std::string_view kEveryHttpKey = R"(
  web:
    destination: 172.16.40.80:80
    mode: http
    pool: web
    oneconnect: true
    http:
      limits: {head-bytes-max: 8192, target-bytes-max: 4096, headers-max: 100, body-bytes-max: 1000000, body-rate-min: 500, requests-max: 50,
               requests-per-second: 9000, connections-per-second: 800}
      times: {head: 5s, body: 20s, idle: 1m, server-connect: 3s, server-response: 90s}
      oneconnect: {connections-max: 10, requests-max: 20, age-max: 1h, idle: 30s}
      x-forwarded-for: true
      x-forwarded-proto: true
      x-forwarded-port: true
      header-rules:
        - {name: X-Trace, value: "on; deep"}
        - {side: response, action: replace, name: Server, value: sluice}
        - {side: response, action: remove, name: X-Powered-By}
      cookie-persistence: {kind: hashed, name: SRV, expires: 1h, http-only: false, secure: true}
      redirect: {status: 308, scheme: https, host: www.example.com, port: 8443, path: /new}
      routes:
        - {host: api.example.com, path: /v1, pool: api}
        - {host: "*.example.com", path: /ping, exact: true, pool: api}
        - {path: /static, pool: web}
      proxy-protocol-in: required
      fallback: page
      access-log: sampled
      access-log-every: 10
      keep-alive: false
      upgrade: true
      connect-method: true
      trace-method: true
)";

ParseOutcome parse_server(std::string_view server) { return parse("s.yaml", std::string(kBase) + std::string(server)); }

TEST(HttpConfig, EveryKeyIsReadPrintedAndReadAgain) {
  const auto outcome = parse_server(kEveryHttpKey);
  for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
  ASSERT_TRUE(outcome.config);
  const VirtualServer& server = outcome.config->virtual_servers.at(0);
  EXPECT_TRUE(server.oneconnect);
  EXPECT_EQ(server.http.limits.headers_max, 100U);
  EXPECT_EQ(server.http.times.server_response, 90s);
  EXPECT_EQ(server.http.oneconnect.age_max, 3600s);
  ASSERT_EQ(server.http.header_rules.size(), 3U);
  EXPECT_EQ(server.http.header_rules[1].action, HeaderRuleAction::replace);
  EXPECT_EQ(server.http.header_rules[2].side, HeaderRuleSide::response);
  EXPECT_EQ(server.http.cookie.kind, CookiePersistKind::hashed);
  EXPECT_EQ(server.http.redirect.status, 308);
  ASSERT_EQ(server.http.routes.size(), 3U);
  EXPECT_TRUE(server.http.routes[1].exact);
  EXPECT_EQ(server.http.proxy_protocol_in, ProxyProtocolIn::required);
  EXPECT_EQ(server.http.access_log_every, 10U);
  EXPECT_FALSE(server.http.keep_alive);
  for (const bool all : {false, true}) {
    const std::string text = print(*outcome.config, {.all = all});
    const auto again = parse("printed.yaml", text);
    for (const auto& error : again.errors) ADD_FAILURE() << error.text();
    ASSERT_TRUE(again.config) << text;
    EXPECT_EQ(*again.config, *outcome.config) << text;
  }
}

TEST(HttpConfig, WithoutHttpTheDefaultsAreBigIps) {
  const auto outcome = parse_server("  web: {destination: 172.16.40.80:80, mode: http, pool: web}\n");
  ASSERT_TRUE(outcome.config);
  const auto& http = outcome.config->virtual_servers.at(0).http;
  EXPECT_EQ(http, lb::HttpOptions{});
  EXPECT_EQ(http.limits.head_bytes_max, 32768U);
  EXPECT_EQ(http.limits.headers_max, 64U);
  EXPECT_EQ(http.oneconnect.connections_max, 10000U);
  EXPECT_EQ(http.oneconnect.requests_max, 1000U);
  EXPECT_EQ(http.fallback, FallbackAction::reset);
  EXPECT_EQ(print(*outcome.config).find("oneconnect"), std::string::npos);
}

struct WrongCase {
  const char* http;     // behind "http: "
  const char* path;     // of the error, below virtual-servers.web
  const char* message;  // part of it
};

class WrongHttp : public ::testing::TestWithParam<WrongCase> {};

TEST_P(WrongHttp, HasOneErrorAtItsPlace) {
  const WrongCase& wrong = GetParam();
  const auto outcome = parse_server(std::string("  web: {destination: 172.16.40.80:80, mode: http, pool: web, http: ") +
                                    wrong.http + "}\n");
  ASSERT_EQ(outcome.errors.size(), 1U);
  const std::string text = outcome.errors[0].text();
  EXPECT_NE(text.find(std::string("virtual-servers.web.") + wrong.path), std::string::npos) << text;
  EXPECT_NE(text.find(wrong.message), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongHttp,
    ::testing::Values(
        WrongCase{"{limits: {headers-max: 257}}", "http.limits.headers-max", "256"},
        WrongCase{"{limits: {head-bytes-max: 300, target-bytes-max: 400}}", "http.limits.target-bytes-max",
                  "is more than"},
        WrongCase{"{times: {head: 0s}}", "http.times.head", ""},
        WrongCase{"{header-rules: [{name: Content-Length, value: '5'}]}", "http.header-rules[0]", "itself decides"},
        WrongCase{"{header-rules: [{name: 'a b', value: '5'}]}", "http.header-rules[0]", "no header name"},
        WrongCase{"{header-rules: [{name: X, value: \"a\\r\\nEvil: 1\"}]}", "http.header-rules[0]", "line ends"},
        WrongCase{"{header-rules: [{action: remove, name: X, value: a}]}", "http.header-rules[0]", "to be removed"},
        WrongCase{"{cookie-persistence: {name: A}}", "http.cookie-persistence.kind", "is missing"},
        WrongCase{"{cookie-persistence: {kind: insert, name: 'A;B'}}", "http.cookie-persistence.name",
                  "no cookie name"},
        WrongCase{"{redirect: {status: 303, scheme: https}}", "http.redirect.status", "308"},
        WrongCase{"{redirect: {host: a.example.com}}", "http.redirect.status", "is missing"},
        WrongCase{"{redirect: {status: 301}}", "http.redirect", "itself"},
        WrongCase{"{redirect: {status: 301, host: 'A.example.com:1'}}", "http.redirect.host", "lower case"},
        WrongCase{"{routes: [{host: a.example.com, pool: nowhere}]}", "http.routes[0].pool", "nowhere"},
        WrongCase{"{routes: [{path: v1, pool: api}]}", "http.routes[0].path", "no path"},
        WrongCase{"{routes: [{path: /a, pool: api}, {path: /a, pool: web}]}", "http.routes[1]", "another route"},
        WrongCase{"{access-log: loud}", "http.access-log", "sampled"}, WrongCase{"{colour: red}", "http", "colour"}));

TEST(HttpConfig, OnlyInModeHttp) {
  const auto outcome = parse_server(
      "  web: {destination: 172.16.40.80:80, mode: tcp, pool: web, oneconnect: true, http: {upgrade: true}}\n");
  ASSERT_EQ(outcome.errors.size(), 2U);
  EXPECT_NE(outcome.errors[0].text().find("contradicts mode: tcp"), std::string::npos) << outcome.errors[0].text();
}

TEST(HttpConfig, SharedConnectionsTellNoClient) {
  const auto outcome = parse_server(
      "  web: {destination: 172.16.40.80:80, mode: http, pool: web, oneconnect: true, http: {proxy-protocol-out: "
      "v2}}\n");
  ASSERT_EQ(outcome.errors.size(), 1U);
  EXPECT_NE(outcome.errors[0].text().find("proxy-protocol-out"), std::string::npos);
}

}  // namespace
}  // namespace sluice::config::http_test
