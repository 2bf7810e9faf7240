// What a virtual server is told about its requests: OneConnect, persistence, routes, redirects, header rules, PROXY
// headers, limits. Through sessions on real TCP stacks.
//
// Runs on: the test. Covers: lb/l7 session_*.cc, idle_servers, http_policy, cookie_persist, proxy_protocol.
#include "tests/lb/l7/http_world.h"

namespace sluice::lb::session_policy_test {
namespace {

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";

HttpOptions oneconnect() {
  HttpOptions http;
  http.oneconnect.enabled = true;
  return http;
}

// The addresses of the members that answered, in order.
std::vector<std::string> answered_by(const Far& client) {
  std::vector<std::string> out;
  constexpr std::string_view kText = "hello of ";
  for (std::size_t at = 0; (at = client.received.find(kText, at)) != std::string::npos; at += kText.size()) {
    const std::size_t begin = at + kText.size();
    out.push_back(client.received.substr(begin, client.received.find(' ', begin) - begin));
  }
  return out;
}

void ask(HttpWorld& world, Far& client, std::size_t n, std::string_view request = kGet) {
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t before = client.count("hello of ");
    client.send(request);
    ASSERT_TRUE(world.run_until([&] { return client.count("hello of ") > before; }, 1s)) << client.received;
  }
}

TEST(WithoutOneConnect, AClientConnectionStaysWithItsMember) {
  HttpWorld world;
  Far& client = world.connect();
  ask(world, client, 6);
  const auto by = answered_by(client);
  EXPECT_EQ(std::count(by.begin(), by.end(), by[0]), 6);
  client.close();
  world.run_for(3s);
}

TEST(WithoutOneConnect, AlsoWhenTheMemberClosesAfterEachAnswer) {
  HttpWorld world;
  world.answer = [](const std::string&, Far& far) {
    far.send(ok("hello of " + far.local.address.text() + " ", "Connection: close\r\n"));
    far.close();
    return true;
  };
  Far& client = world.connect();
  for (int i = 0; i < 5; ++i) {
    ask(world, client, 1);
    world.run_for(10ms);
  }
  const auto by = answered_by(client);
  EXPECT_EQ(std::count(by.begin(), by.end(), by[0]), 5);
  EXPECT_EQ(world.http().server_connects, 5u);
  EXPECT_FALSE(client.received.find("Connection: close") != std::string::npos);  // the member's word, not ours
  client.close();
  world.run_for(3s);
}

TEST(OneConnect, EachRequestIsBalancedAndConnectionsAreShared) {
  HttpWorld world({.http = oneconnect()});
  Far& first = world.connect();
  ask(world, first, 4);
  const auto by = answered_by(first);
  EXPECT_NE(by[0], by[1]);
  EXPECT_EQ(by[0], by[2]);
  EXPECT_EQ(world.http().server_connects, 2u);
  Far& second = world.connect("172.16.40.12");
  ask(world, second, 4);
  EXPECT_EQ(world.http().server_connects, 2u);
  EXPECT_EQ(world.http().server_reuse, 6u);
  EXPECT_EQ(world.member_runtime(0).connections.current(), 0u);  // an idle one is no connection of the member
  EXPECT_EQ(world.member_runtime(0).idle_conns, 1u);
  first.close();
  second.close();
  world.run_for(61s);  // oneconnect.idle
  EXPECT_EQ(world.member_conns(), 0u);
}

TEST(OneConnect, LimitsOfRequestsAgeAndNumber) {
  HttpOptions http = oneconnect();
  http.oneconnect.requests_max = 3;
  HttpWorld world({.http = http});
  world.members.pop_back();
  world.install();
  Far& client = world.connect();
  ask(world, client, 7);
  EXPECT_EQ(world.http().server_connects, 3u);
  http.oneconnect.requests_max = 1000;
  http.oneconnect.age_max = 1s;
  world.install(http);
  ask(world, client, 1);
  world.run_for(2s);
  EXPECT_EQ(world.member_conns(), 0u);
  http.oneconnect.age_max = 1000s;
  http.oneconnect.connections_max = 0;
  world.install(http);
  ask(world, client, 1);
  world.run_for(10ms);
  EXPECT_EQ(world.member_conns(), 0u);
  client.close();
  world.run_for(3s);
}

// A reused connection that dies under a request: GET goes again on a new one, POST does not.
TEST(OneConnect, SafeRetryOnly) {
  HttpWorld world({.http = oneconnect()});
  world.members.pop_back();
  world.install();
  Far& client = world.connect();
  ask(world, client, 1);
  world.answer = [&](const std::string& head, Far& far) {
    if (world.http().server_connects == 1) {
      far.abort();
      return false;
    }
    far.send(ok("hello of " + far.local.address.text() + " to " + head.substr(0, 4)));
    return true;
  };
  ask(world, client, 1);
  EXPECT_EQ(world.http().retries, 1u);
  EXPECT_EQ(world.requests.size(), 3u);
  EXPECT_EQ(world.requests[1], world.requests[2]);
  world.answer = [&](const std::string&, Far& far) {
    far.abort();
    return false;
  };
  client.send("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_TRUE(world.run_until([&] { return client.closed; }, 1s));
  EXPECT_EQ(world.http().retries, 1u);
  EXPECT_EQ(world.requests.size(), 4u);
  world.run_for(3s);
}

TEST(OneConnect, AnIdleConnectionThatSpeaksOrClosesIsNotUsed) {
  HttpWorld world({.http = oneconnect()});
  world.members.pop_back();
  world.install();
  Far& client = world.connect();
  ask(world, client, 1);
  for (Far& far : world.fars())
    if (far.is_member) far.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
  world.run_for(1ms);
  ask(world, client, 1);
  EXPECT_FALSE(client.has("evil"));
  EXPECT_EQ(world.http().server_connects, 2u);
  for (Far& far : world.fars())
    if (far.is_member) far.close();
  world.run_for(1ms);
  ask(world, client, 1);
  EXPECT_EQ(world.http().server_connects, 3u);
  client.close();
  world.run_for(61s);
}

TEST(OneConnect, NotSharedBehindAProxyHeader) {
  HttpOptions http = oneconnect();
  http.proxy_protocol_out = ProxyProtocolOut::v1;
  HttpWorld world({.http = http});
  Far& client = world.connect("172.16.40.10", 41000);
  world.member = [&](Far& far) {
    if (far.received.ends_with("\r\n\r\n")) far.send(ok("hello of us "));
  };
  ask(world, client, 2);
  EXPECT_EQ(world.http().server_connects, 2u);
  for (const Far& far : world.fars()) {
    if (!far.is_member) continue;
    EXPECT_TRUE(far.received.starts_with("PROXY TCP4 172.16.40.10 172.16.40.80 41000 80\r\nGET /a")) << far.received;
  }
  client.close();
  world.run_for(3s);
}

TEST(ProxyHeaderIn, SaysWhoTheClientIs) {
  HttpOptions http;
  http.proxy_protocol_in = ProxyProtocolIn::required;
  http.forwarded.x_forwarded_for = true;
  HttpWorld world({.http = http});
  Far& client = world.connect();
  client.piece = 5;
  client.send("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" + std::string(kGet));
  ASSERT_TRUE(world.run_until([&] { return client.has("hello of"); }, 1s));
  EXPECT_NE(world.requests[0].find("X-Forwarded-For: 192.0.2.1\r\n"), std::string::npos) << world.requests[0];
  Far& liar = world.connect();
  liar.send(kGet);
  EXPECT_TRUE(world.run_until([&] { return liar.closed; }, 1s));
  EXPECT_EQ(world.requests.size(), 1u);
  EXPECT_EQ(world.http().bad_requests, 1u);
  client.close();
  world.run_for(3s);
}

TEST(Cookies, KeepAClientWithItsMember) {
  for (const CookiePersistKind kind : {CookiePersistKind::insert, CookiePersistKind::hashed}) {
    HttpOptions http;
    http.cookie.kind = kind;
    HttpWorld world({.http = http});
    const std::string first = world.get("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const std::size_t at = first.find("Set-Cookie: BIGipServerweb=");
    ASSERT_NE(at, std::string::npos) << first;
    const std::string cookie = first.substr(at + 12, first.find(';', at) - at - 12);
    const std::string member = first.substr(first.find("hello of "), 19);
    for (int i = 0; i < 4; ++i) {
      const std::string next =
          world.get("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: a=b; " + cookie + "\r\n\r\n");
      EXPECT_NE(next.find(member), std::string::npos) << next;
      EXPECT_EQ(next.find("Set-Cookie"), std::string::npos);
      EXPECT_EQ(world.requests.back().find("BIGip"), std::string::npos) << world.requests.back();
      EXPECT_NE(world.requests.back().find("Cookie: a=b\r\n"), std::string::npos);
    }
  }
}

TEST(Routes, ChooseThePoolByHostAndPath) {
  HttpOptions http;
  http.routes = {{.host = "shop.example", .path = "/cart", .pool = "cart"}};
  HttpWorld world;
  PoolSpec cart;
  cart.name = "cart";
  cart.members.resize(1);
  cart.members[0].endpoint = endpoint("10.244.7.7:80");
  cart.members[0].verdict.status = MonitorStatus::up;
  world.more_pools = {cart};
  world.install(http);
  Far& client = world.connect();
  ask(world, client, 1, "GET /cart/1 HTTP/1.1\r\nHost: SHOP.example:80\r\n\r\n");
  ask(world, client, 1, "GET /cartoon HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  ask(world, client, 1, "GET /x/../cart HTTP/1.1\r\nHost: shop.example\r\n\r\n");
  const auto by = answered_by(client);
  EXPECT_EQ(by[0], "10.244.7.7");
  EXPECT_NE(by[1], "10.244.7.7");
  EXPECT_EQ(by[2], "10.244.7.7");
  client.close();
  world.run_for(3s);
}

TEST(Redirects, AreAnsweredHereAndKeepTheConnection) {
  HttpOptions http;
  http.redirect = {.status = 301, .scheme = "https"};
  HttpWorld world({.http = http});
  Far& client = world.connect();
  for (std::size_t n = 1; n <= 3; ++n) {
    client.send("GET /a?b HTTP/1.1\r\nHost: example.com\r\n\r\n");
    ASSERT_TRUE(world.run_until([&] { return client.count("Location: https://example.com/a?b\r\n") == n; }, 1s));
  }
  EXPECT_TRUE(world.requests.empty());
  client.close();
  world.run_for(3s);
  const std::string with_body = world.get("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello");
  EXPECT_NE(with_body.find("Connection: close\r\n"), std::string::npos);
}

TEST(Rules, ChangeBothDirections) {
  HttpOptions http;
  http.forwarded = {.x_forwarded_for = true, .x_forwarded_proto = true, .x_forwarded_port = true};
  http.header_rules = {{HeaderRuleSide::request, HeaderRuleAction::insert, "X-In", "1"},
                       {HeaderRuleSide::request, HeaderRuleAction::remove, "X-Secret", ""},
                       {HeaderRuleSide::response, HeaderRuleAction::replace, "Server", "sluice"}};
  HttpWorld world({.http = http});
  world.answer = [](const std::string&, Far& far) {
    far.send(ok("hello of me", "Server: nginx\r\n"));
    return true;
  };
  Far& client = world.connect();
  ask(world, client, 1, "GET / HTTP/1.1\r\nHost: x\r\nX-Secret: s\r\nX-Forwarded-For: 10.1.1.1\r\n\r\n");
  const std::string& request = world.requests[0];
  EXPECT_NE(request.find("X-In: 1\r\n"), std::string::npos) << request;
  EXPECT_EQ(request.find("X-Secret"), std::string::npos);
  EXPECT_NE(request.find("X-Forwarded-For: 10.1.1.1, 172.16.40.10\r\n"), std::string::npos) << request;
  EXPECT_NE(request.find("X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n"), std::string::npos);
  EXPECT_TRUE(client.has("Server: sluice\r\n") && !client.has("nginx"));
  client.close();
  world.run_for(3s);
}

TEST(Limits, OfRequestsOnAConnectionAndOfRates) {
  HttpOptions http;
  http.limits.requests_max = 3;
  HttpWorld world({.http = http});
  Far& client = world.connect();
  ask(world, client, 3);
  EXPECT_TRUE(client.has("Connection: close\r\n"));
  EXPECT_TRUE(world.run_until([&] { return client.peer_closed; }, 1s));
  client.close();
  http.limits.requests_max = 0;
  http.limits.requests_per_s = 5;
  world.install(http);
  std::vector<Far*> many;
  for (int i = 0; i < 8; ++i) {
    many.push_back(&world.connect());
    many.back()->send(kGet);
  }
  world.run_for(10ms);
  unsigned refused = 0;
  for (Far* one : many) {
    refused += one->received.starts_with("HTTP/1.1 503") ? 1 : 0;
    one->close();
  }
  EXPECT_EQ(refused, 3u);
  EXPECT_EQ(world.http().limited, refused);
  world.run_for(10s);
}

TEST(Methods, ConnectPassesOnlyWhenEnabled) {
  HttpWorld world;
  EXPECT_EQ(world.get("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").substr(0, 12), "HTTP/1.1 405");
  EXPECT_EQ(world.get("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n").substr(0, 12), "HTTP/1.1 405");
  HttpOptions http;
  http.connect_method = true;
  world.install(http);
  world.member = [](Far& far) {
    if (far.handled == 0) {
      far.send("HTTP/1.1 200 OK\r\n\r\n");
    } else {
      far.send("echo " + far.received.substr(far.handled));
    }
    far.handled = far.received.size();
  };
  Far& client = world.connect();
  client.send("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.has("\r\n\r\n"); }, 1s));
  client.send("no http");
  EXPECT_TRUE(world.run_until([&] { return client.has("echo no http"); }, 1s)) << client.received;
  client.close();
  world.run_for(3s);
  EXPECT_EQ(world.proxy().session_count(), 0u);
}

TEST(Methods, AnUpgradeIsNotPassedUnlessEnabled) {
  HttpWorld world;
  Far& client = world.connect();
  ask(world, client, 1, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  EXPECT_EQ(world.requests[0].find("pgrade"), std::string::npos) << world.requests[0];
  world.answer = [](const std::string&, Far& far) {
    far.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    return true;
  };
  client.send(kGet);
  EXPECT_TRUE(world.run_until([&] { return client.closed; }, 1s));
  EXPECT_FALSE(client.has("101"));
  EXPECT_EQ(world.http().bad_responses, 1u);
  world.run_for(3s);
}

TEST(Expect, AFinalAnswerWithoutContinueClosesBehindIt) {
  HttpWorld world;
  world.member = [](Far& far) {
    if (far.handled++ == 0) far.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n");
  };
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.peer_closed; }, 1s));
  EXPECT_TRUE(client.has("417 Expectation Failed") && client.has("Connection: close"));
  client.close();
  world.run_for(3s);
}

TEST(AbsoluteForm, BecomesOriginFormWithItsHost) {
  HttpWorld world;
  Far& client = world.connect();
  ask(world, client, 1, "GET http://example.com:80/a?b HTTP/1.1\r\nHost: example.com\r\n\r\n");
  EXPECT_TRUE(world.requests[0].starts_with("GET /a?b HTTP/1.1\r\nHost: example.com:80\r\n")) << world.requests[0];
  client.close();
  world.run_for(3s);
}

}  // namespace
}  // namespace sluice::lb::session_policy_test
