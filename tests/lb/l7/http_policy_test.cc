// Where requests go by host and path, what a redirect says, and the cookies that keep a client with its member.
//
// Runs on: the test. Covers: http_policy, cookie_persist.
#include "lb/l7/http_policy.h"

#include <gtest/gtest.h>

#include "lb/l7/cookie_persist.h"
#include "lb/l7/head_judge.h"
#include "lb/l7/head_scan.h"

namespace sluice::lb::http::http_policy_test {
namespace {

const std::vector<HttpRoute> kRoutes = {
    {"", "/", false, "rest"},                         // 0
    {"shop.example.com", "/", false, "shop"},         // 1
    {"shop.example.com", "/cart", false, "cart"},     // 2
    {"shop.example.com", "/cart/pay", false, "pay"},  // 3
    {"shop.example.com", "/cart", true, "exact"},     // 4
    {"*.example.com", "/", false, "any"},             // 5
    {"", "/static/", false, "static"},                // 6
};

TEST(Router, HostThenExactThenLongestPath) {
  const Router router(kRoutes);
  EXPECT_EQ(router.find("shop.example.com", "/"), 1U);
  EXPECT_EQ(router.find("SHOP.example.COM:8080", "/x"), 1U);
  EXPECT_EQ(router.find("shop.example.com.", "/x"), 1U);
  EXPECT_EQ(router.find("shop.example.com", "/cart"), 4U);
  EXPECT_EQ(router.find("shop.example.com", "/cart/"), 2U);
  EXPECT_EQ(router.find("shop.example.com", "/cartoon"), 1U);
  EXPECT_EQ(router.find("shop.example.com", "/cart/pay/now"), 3U);
  EXPECT_EQ(router.find("www.example.com", "/cart"), 5U);
  EXPECT_EQ(router.find("a.b.example.com", "/"), 0U);
  EXPECT_EQ(router.find("example.com", "/static"), 6U);
  EXPECT_EQ(router.find("", "/static/x"), 6U);
  EXPECT_EQ(router.find("[2001:db8::1]:80", ""), 0U);
}

TEST(Router, PathsAreComparedNormalised) {
  const Router router(kRoutes);
  EXPECT_EQ(router.find("shop.example.com", "/x/../cart/pay"), 3U);
  EXPECT_EQ(router.find("shop.example.com", "/%63art/%70ay"), 3U);
  EXPECT_EQ(router.find("shop.example.com", "//cart/./pay"), 3U);
  EXPECT_EQ(router.find("shop.example.com", "/cart/%2e%2e/x"), 1U);
  EXPECT_EQ(router.find("shop.example.com", "/cart%2Fpay"), 1U);
}

TEST(Router, WithoutARouteThereIsNone) {
  EXPECT_EQ(Router().find("h", "/"), kNoRoute);
  const std::vector<HttpRoute> one = {{"h", "/a", false, "p"}};
  EXPECT_EQ(Router(one).find("h", "/b"), kNoRoute);
  EXPECT_EQ(Router(one).find("i", "/a"), kNoRoute);
  EXPECT_EQ(Router(one).find(std::string(300, 'h'), "/a"), kNoRoute);
}

TEST(NormalisePath, AsRfc3986Says) {
  const auto normalised = [](std::string_view path) {
    std::string out(path.size(), '\0');
    return std::string(normalise_path(path, out));
  };
  EXPECT_EQ(normalised("/a/b"), "/a/b");
  EXPECT_EQ(normalised("/a/./b/../c"), "/a/c");
  EXPECT_EQ(normalised("/../../a"), "/a");
  EXPECT_EQ(normalised("/a/.."), "/");
  EXPECT_EQ(normalised("/a/."), "/a/");
  EXPECT_EQ(normalised("/a//b/"), "/a/b/");
  EXPECT_EQ(normalised("/%7Eu/%zz%2"), "/~u/%zz%2");
  EXPECT_EQ(normalised("/.hidden/..."), "/.hidden/...");
}

struct ParsedRequest {
  std::string text;
  HttpOptions options;
  Head head;
  explicit ParsedRequest(std::string t) : text(std::move(t)) {
    EXPECT_EQ(scan_head(text, true, options.limits, head).status, ScanStatus::complete);
    EXPECT_FALSE(judge_request(head, options));
  }
};

std::string location(const Redirect& redirect, const ParsedRequest& request) {
  std::string out(300, '\0');
  out.resize(write_location(redirect, request.head, out));
  return out;
}

TEST(Redirect, KeepsWhatItIsNotTold) {
  const ParsedRequest request("GET /a?b|c HTTP/1.1\r\nHost: h.example:8080\r\n\r\n");
  EXPECT_EQ(location({.status = 301, .scheme = "https"}, request), "https://h.example/a?b%7Cc");
  EXPECT_EQ(location({.status = 301, .scheme = "https", .port = 443}, request), "https://h.example/a?b%7Cc");
  EXPECT_EQ(location({.status = 302, .host = "i", .port = 81, .path = "/x"}, request), "http://i:81/x");
  std::string small(8, '\0');
  EXPECT_EQ(write_location({.status = 301}, request.head, small), 0U);
}

TEST(Cookie, BigIpsEncoding) {
  const auto value = [](Ipv4Endpoint member) {
    std::string out(30, '\0');
    out.resize(write_bigip_value(member, out));
    return out;
  };
  const Ipv4Endpoint member{Ipv4Address::from_octets(10, 1, 1, 100), 8080};
  EXPECT_EQ(value(member), "1677787402.36895.0000");  // F5 K6917
  EXPECT_EQ(parse_bigip_value("1677787402.36895.0000"), member);
  EXPECT_EQ(parse_bigip_value(value({{0xffffffff}, 65535})), (Ipv4Endpoint{{0xffffffff}, 65535}));
  for (const char* wrong : {"", "1.2", "1.2.0001", "1.2.0000x", "01.2.0000", "4294967296.1.0000", "1.65536.0000",
                            "-1.2.0000", "rd5o00000000000000000000ffffc0000201o80", "+1.2.0000", ".2.0000"})
    EXPECT_FALSE(parse_bigip_value(wrong)) << wrong;
}

TEST(Cookie, HashedValuesTellTheirMemberOnlyToUs) {
  const Ipv4Endpoint member{Ipv4Address::from_octets(10, 1, 1, 100), 8080};
  std::string out(16, '\0');
  EXPECT_EQ(write_hashed_value(hashed_seed("web"), member, out), 16U);
  EXPECT_EQ(parse_hashed_value(out), hashed_value(hashed_seed("web"), member));
  EXPECT_NE(hashed_value(hashed_seed("web"), member), hashed_value(hashed_seed("api"), member));
  EXPECT_NE(hashed_value(hashed_seed("web"), member), hashed_value(hashed_seed("web"), {member.address, 8081}));
  EXPECT_FALSE(parse_hashed_value("0123"));
  EXPECT_FALSE(parse_hashed_value("0123456789ABCDEF"));
}

TEST(Cookie, IsFoundAmongOthers) {
  const ParsedRequest request(
      "GET / HTTP/1.1\r\nHost: h\r\nCookie: a=1;BIGipServerweb=x=y ; c\r\nCookie: BIGipServerweb=2; d=\r\n\r\n");
  EXPECT_EQ(find_cookie(request.head, "BIGipServerweb"), "x=y");
  EXPECT_EQ(find_cookie(request.head, "d"), "");
  EXPECT_FALSE(find_cookie(request.head, "c"));
  EXPECT_FALSE(find_cookie(request.head, "bigipserverweb"));
}

TEST(Cookie, NamesAndAttributes) {
  EXPECT_EQ(cookie_name({}, "web"), "BIGipServerweb");
  EXPECT_EQ(cookie_name({}, "/Common/web pool"), "BIGipServer~Common~web~pool");
  EXPECT_EQ(cookie_name({.name = "SRV"}, "web"), "SRV");
  std::string out(200, '\0');
  out.resize(write_set_cookie({.expires = 3600s, .secure = true}, "SRV", "v", out));
  EXPECT_EQ(out, "SRV=v; Max-Age=3600; path=/; Httponly; Secure");
  std::string session(200, '\0');
  session.resize(write_set_cookie({.http_only = false}, "SRV", "v", session));
  EXPECT_EQ(session, "SRV=v; path=/");
}

}  // namespace
}  // namespace sluice::lb::http::http_policy_test
