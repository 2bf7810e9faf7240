// Requests through the proxy, end to end: keep-alive, pipelining, bodies of every framing, what is answered by us.
#include "tests/lb/l7/http_world.h"

namespace sluice::lb::session_test {
namespace {

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";

TEST(Session, ARequestIsAnswered) {
  HttpWorld world;
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("hello of 10.244.0.76 to GET /a HTTP/1.1"); }));
  EXPECT_EQ(client.received.substr(0, 15), "HTTP/1.1 200 OK");
  ASSERT_EQ(world.requests.size(), 1u);
  EXPECT_EQ(world.requests[0].substr(0, 17), "GET /a HTTP/1.1\r\n");
  EXPECT_NE(world.requests[0].find("Host: example.com\r\n"), std::string::npos);
  EXPECT_EQ(world.server().runtime->connections.current(), 1u);
  EXPECT_EQ(world.member_runtime(0).connections.current(), 1u);
  const HttpTotals http = world.http();
  EXPECT_EQ(http.requests, 1u);
  EXPECT_EQ(http.responses_2xx, 1u);
  EXPECT_EQ(http.server_connects, 1u);
  EXPECT_EQ(http.total.count(), 1u);
  EXPECT_GE(http.total.quantile(0.5), 256us);
  client.close();
  world.run_for(3s);
  EXPECT_TRUE(client.closed);
  EXPECT_EQ(world.server().runtime->connections.current(), 0u);
  EXPECT_EQ(world.proxy().session_count(), 0u);
  EXPECT_EQ(world.member_conns(), 0u);
}

TEST(Session, KeepAliveUsesOneServerConnection) {
  HttpWorld world;
  Far& client = world.connect();
  for (int i = 1; i <= 20; ++i) {
    client.send(kGet);
    ASSERT_TRUE(world.run_until([&] { return client.count("hello of") == std::size_t(i); }));
  }
  EXPECT_EQ(world.http().server_connects, 1u);
  EXPECT_EQ(world.http().server_reuse, 19u);
  EXPECT_EQ(world.requests.size(), 20u);
  client.close();
  world.run_for(3s);
}

TEST(Session, PipelinedRequestsAreAnsweredInOrderOneAtATime) {
  HttpWorld world;
  world.answer = [](const std::string& head, Far& far) {
    far.send(ok(head.substr(4, 2)));
    return true;
  };
  Far& client = world.connect();
  std::string all;
  for (char c = 'a'; c <= 'j'; ++c) all += std::string("GET /") + c + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(all);
  ASSERT_TRUE(world.run_until([&] { return client.count("200 OK") == 10; }));
  std::string bodies;
  for (std::size_t at = 0; (at = client.received.find("\r\n\r\n", at)) != std::string::npos; at += 4) {
    bodies += client.received.substr(at + 5, 1);
  }
  EXPECT_EQ(bodies, "abcdefghij");
  client.close();
  world.run_for(3s);
}

TEST(Session, ClientThatAsksForCloseGetsIt) {
  HttpWorld world;
  const std::string got = world.get("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_NE(got.find("Connection: close\r\n"), std::string::npos);
  EXPECT_NE(got.find("hello of"), std::string::npos);
  EXPECT_NE(world.requests[0].find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(world.proxy().session_count(), 0u);
}

TEST(Session, Http10ClientsAreClosedUnlessTheyKeepAlive) {
  HttpWorld world;
  EXPECT_NE(world.get("GET / HTTP/1.0\r\n\r\n").find("hello of"), std::string::npos);
  Far& client = world.connect();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.has("hello of"); }));
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.count("hello of") == 2; }));
  client.close();
  world.run_for(3s);
}

TEST(Session, BodiesOfEverySizePassBothWays) {
  HttpWorld world;
  world.answer = [](const std::string& request, Far& far) {
    far.send(ok(request.substr(request.find("\r\n\r\n") + 4)));
    return true;
  };
  for (const std::size_t size : {1u, 100u, 1300u, 1500u, 5000u, 70000u, 500000u}) {
    std::string body(size, 'x');
    for (std::size_t i = 0; i < size; ++i) body[i] = static_cast<char>('a' + i * 7 % 26);
    Far& client = world.connect();
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + body);
    ASSERT_TRUE(world.run_until([&] { return client.received.size() > size && client.has(body); })) << size;
    client.close();
    world.run_for(3s);
    EXPECT_TRUE(client.closed);
  }
}

TEST(Session, ChunkedBodiesPassWithTrailers) {
  HttpWorld world;
  std::string got;
  world.answer = [&](const std::string& request, Far& far) {
    got = request;
    far.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    far.send("6;ext=1\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n");
    return true;
  };
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.has("X-Sum: 1\r\n\r\n"); }));
  EXPECT_NE(got.find("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), std::string::npos) << got;
  EXPECT_TRUE(client.has("5\r\nhello\r\n6\r\n world\r\n0\r\n")) << client.received;
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.count("200 OK") == 2; }));
  client.close();
  world.run_for(3s);
}

TEST(Session, AResponseUntilCloseEndsAndTheClientLivesOn) {
  HttpWorld world;
  world.answer = [](const std::string&, Far& far) {
    far.send("HTTP/1.1 200 OK\r\n\r\nall there is");
    far.close();
    return true;
  };
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("0\r\n\r\n"); })) << client.received;
  EXPECT_TRUE(client.has("Transfer-Encoding: chunked"));
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.count("all there is") == 2; }));
  EXPECT_EQ(world.http().server_connects, 2u);
  client.close();
  world.run_for(3s);
}

TEST(Session, HeadAndNoContentHaveNoBody) {
  HttpWorld world;
  world.answer = [](const std::string& head, Far& far) {
    far.send(head.starts_with("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
                                      : "HTTP/1.1 204 No Content\r\n\r\n");
    return true;
  };
  Far& client = world.connect();
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.has("1000\r\n"); }));
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("204 No Content"); }));
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.count("200 OK") == 2; }));
  client.close();
  world.run_for(3s);
}

TEST(Session, ContinueIsRelayed) {
  HttpWorld world;
  world.member = [&](Far& far) {
    if (far.handled == 0 && far.has("\r\n\r\n")) {
      far.handled = 1;
      far.send("HTTP/1.1 100 Continue\r\n\r\n");
    } else if (far.has("body!")) {
      far.send(ok("done"));
    }
  };
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.has("100 Continue\r\n\r\n"); }));
  client.send("body!");
  ASSERT_TRUE(world.run_until([&] { return client.has("done"); }));
  client.close();
  world.run_for(3s);
}

TEST(Session, AnEarlyAnswerClosesBehindIt) {
  HttpWorld world;
  world.member = [&](Far& far) {
    if (far.handled++ == 0) far.send(ok("too large, thanks"));
  };
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nfirst");
  ASSERT_TRUE(world.run_until([&] { return client.has("thanks"); }));
  EXPECT_TRUE(client.has("Connection: close\r\n"));
  client.send(std::string(100000, 'x'));
  ASSERT_TRUE(world.run_until([&] { return client.peer_closed; }));
  client.close();
  world.run_for(5s);
  EXPECT_EQ(world.proxy().session_count(), 0u);
}

TEST(Session, AHalfClosedClientGetsItsAnswer) {
  HttpWorld world;
  Far& client = world.connect();
  client.send(kGet);
  client.close();
  ASSERT_TRUE(world.run_until([&] { return client.has("hello of"); }));
  ASSERT_TRUE(world.run_until([&] { return client.closed; }));
  EXPECT_EQ(client.reason, tcp::CloseReason::finished);
  world.run_for(3s);
}

TEST(Session, NonsenseIsAnsweredWith400AndRecorded) {
  HttpWorld world;
  const std::string got = world.get("GET / HTTP/1.1\r\nHost : x\r\n\r\n");
  EXPECT_EQ(got.substr(0, 12), "HTTP/1.1 400");
  EXPECT_TRUE(world.requests.empty());
  const auto errors = world.errors();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].status, 400);
  EXPECT_EQ(errors[0].virtual_server.view(), "www");
  EXPECT_EQ(errors[0].client.address, address("172.16.40.10"));
  EXPECT_GE(errors[0].offset, 16u);
  EXPECT_NE(std::string(errors[0].reason), "");
}

TEST(Session, WithoutAMemberTheClientIsResetOrGetsAPage) {
  HttpWorld world;
  for (MemberSpec& member : world.members) member.verdict.status = MonitorStatus::down;
  world.install();
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.closed; }));
  EXPECT_EQ(client.reason, tcp::CloseReason::reset_by_peer);
  HttpOptions http;
  http.fallback = FallbackAction::page;
  world.install(http);
  EXPECT_EQ(world.get(kGet).substr(0, 12), "HTTP/1.1 503");
  EXPECT_EQ(world.http().no_member, 2u);
}

TEST(Session, RefusedAndSilentMembers) {
  HttpOptions http;
  http.fallback = FallbackAction::page;
  http.times.server_response = 3s;
  HttpWorld world({.http = http});
  world.members_listen = false;
  EXPECT_EQ(world.get(kGet).substr(0, 12), "HTTP/1.1 503");
  world.members_listen = true;
  world.answer = [](const std::string&, Far&) { return true; };
  EXPECT_EQ(world.get(kGet).substr(0, 12), "HTTP/1.1 504");
  world.answer = [](const std::string&, Far& far) {
    far.send("HTTP/1.1 2000 Hm\r\n\r\n");
    return true;
  };
  EXPECT_EQ(world.get(kGet).substr(0, 12), "HTTP/1.1 502");
  world.answer = [](const std::string&, Far& far) {
    far.close();
    return true;
  };
  EXPECT_EQ(world.get(kGet).substr(0, 12), "HTTP/1.1 502");
  EXPECT_EQ(world.http().connect_failures, 1u);
  EXPECT_EQ(world.http().response_timeouts, 1u);
  EXPECT_EQ(world.http().bad_responses, 1u);
  EXPECT_EQ(world.http().aborted_by_server, 1u);
}

TEST(Session, AMemberThatIsSilentToTheSynTimesOut) {
  HttpOptions http;
  http.fallback = FallbackAction::page;
  http.times.server_connect = 2s;
  HttpWorld world({.http = http});
  world.tap = [](const test::Bytes& frame, bool to_engine) {
    return to_engine || test::describe(frame).find("> 10.244") == std::string::npos;
  };
  EXPECT_EQ(world.get(kGet).substr(0, 12), "HTTP/1.1 504");
  EXPECT_EQ(world.http().connect_timeouts, 1u);
  world.tap = nullptr;
}

TEST(Session, Upgrade) {
  HttpOptions http;
  http.upgrade = true;
  HttpWorld world({.http = http});
  world.member = [&](Far& far) {
    if (far.handled == 0) {
      far.handled = far.received.size();
      far.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi");
    } else {
      far.send("echo " + far.received.substr(far.handled));
      far.handled = far.received.size();
    }
  };
  Far& client = world.connect();
  client.send("GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.has("101") && client.has("\r\n\r\nhi"); })) << client.received;
  client.send("\x81\x05 any bytes");
  ASSERT_TRUE(world.run_until([&] { return client.has("echo \x81\x05 any bytes"); }));
  client.close();
  world.run_for(3s);
  EXPECT_EQ(world.proxy().session_count(), 0u);
}

}  // namespace
}  // namespace sluice::lb::session_test
