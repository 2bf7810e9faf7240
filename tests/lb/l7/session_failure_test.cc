// What a session survives: resets and ends at every byte of a message in both directions, garbage, silence, slow and
// unreading clients, members that go down. Each test ends without a packet, conn, count or session left.
//
// Runs on: the test. Covers: lb/l7 session_*.cc, proxy.cc.
#include <random>

#include "tests/lb/l7/http_world.h"

namespace sluice::lb::session_failure_test {
namespace {

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: example.com\r\n\r\n";

HttpWorldOptions with_pages() {
  HttpWorldOptions options;
  options.http.fallback = FallbackAction::page;
  return options;
}

// Once all clients are gone, nothing of them is left.
void expect_nothing_left(HttpWorld& world) {
  world.run_for(12s);
  EXPECT_EQ(world.proxy().session_count(), 0u);
  EXPECT_EQ(world.proxy().stack().conns_in_use(), 0u);
  EXPECT_EQ(world.engine_buffers(), 0u);
  EXPECT_EQ(world.member_conns(), 0u);
}

class EveryByte : public testing::TestWithParam<bool> {};  // true: FIN, false: RST

TEST_P(EveryByte, OfARequest) {
  HttpWorld world;
  const std::string request =
      "POST /a HTTP/1.1\r\nHost: example.com\r\nTransfer-Encoding: chunked\r\n\r\n5;x=1\r\nhello\r\n0\r\n\r\n";
  for (std::size_t cut = 0; cut <= request.size(); ++cut) {
    Far& client = world.connect();
    client.send(request.substr(0, cut));
    world.run_for(2ms);
    GetParam() ? client.close() : client.abort();
    world.run_for(4ms);
    EXPECT_EQ(world.proxy().session_count(), 0u) << cut;
    if (!GetParam()) continue;
    EXPECT_EQ(client.has("HTTP/1.1 400"), cut > 0 && cut < request.size()) << cut << client.received;
    EXPECT_EQ(client.has("HTTP/1.1 200"), cut == request.size()) << cut << client.received;
  }
  EXPECT_EQ(world.requests.size(), 1u);
  expect_nothing_left(world);
}

TEST_P(EveryByte, OfAResponse) {
  HttpWorld world(with_pages());
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string response = head + "5;x=1\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n";
  for (std::size_t cut = 0; cut <= response.size(); ++cut) {
    Far* member = nullptr;
    world.member = [&](Far& far) {
      member = &far;
      far.send(response.substr(0, cut));
    };
    Far& client = world.connect();
    client.send(kGet);
    world.run_for(2ms);
    ASSERT_NE(member, nullptr);
    if (member->conn != nullptr) GetParam() ? member->close() : member->abort();
    world.run_for(4ms);
    if (cut < head.size()) {
      EXPECT_EQ(client.received.substr(0, 12), "HTTP/1.1 502") << cut;
    } else if (cut < response.size()) {
      EXPECT_TRUE(client.closed && client.reason == tcp::CloseReason::reset_by_peer) << cut;
      EXPECT_FALSE(client.has("0\r\n")) << cut << client.received;  // nobody takes it for whole
    } else {
      EXPECT_TRUE(client.has("hello\r\n0\r\nX-Sum: 1\r\n\r\n")) << client.received;
      EXPECT_FALSE(client.closed);
    }
    client.close();
    world.run_for(1ms);
  }
  expect_nothing_left(world);
}

INSTANTIATE_TEST_SUITE_P(Failure, EveryByte, testing::Bool(),
                         [](const auto& one) { return one.param ? "EndsWithFin" : "EndsWithReset"; });

TEST(Failure, MembersThatSendGarbage) {
  HttpWorld world(with_pages());
  std::mt19937_64 random(7);
  const std::string good = ok("hello", "X-Field: some value\r\n");
  std::string garbage;
  world.member = [&](Far& far) {
    far.piece = 1 + random() % 64;
    far.send(garbage);
    far.close();
  };
  unsigned pages = 0;
  for (int i = 0; i < 300; ++i) {
    garbage = i % 2 == 0 ? std::string(1 + random() % 200, '\0') : good;
    if (i % 2 == 0) {
      for (char& c : garbage) c = static_cast<char>(random());
    } else {
      for (std::size_t n = 1 + random() % 3; n > 0; --n)
        garbage[random() % garbage.size()] = static_cast<char>(random());
    }
    Far& client = world.connect();
    client.send(kGet);
    world.run_for(5ms);
    EXPECT_TRUE(client.received.empty() || client.received.starts_with("HTTP/1.1 ")) << client.received;
    pages += client.received.starts_with("HTTP/1.1 502") ? 1 : 0;
    if (client.conn != nullptr) client.abort();
    world.run_for(1ms);
  }
  EXPECT_GT(pages, 150u);
  EXPECT_EQ(world.proxy().session_count(), 0u);
  expect_nothing_left(world);
}

TEST(Failure, ClientsThatSendGarbage) {
  HttpWorld world;
  std::mt19937_64 random(11);
  for (int i = 0; i < 200; ++i) {
    std::string bytes(1 + random() % 300, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    Far& client = world.connect();
    client.piece = 1 + random() % 100;
    client.send(bytes);
    world.run_for(3ms);
    EXPECT_TRUE(client.received.empty() || client.received.starts_with("HTTP/1.1 4") ||
                client.received.starts_with("HTTP/1.1 5"))
        << client.received;
    if (client.conn != nullptr) client.abort();
  }
  EXPECT_TRUE(world.requests.empty());
  expect_nothing_left(world);
}

TEST(Failure, ASlowHeadIsEndedAfterItsTime) {
  HttpWorld world;
  Far& client = world.connect();
  const Instant begin = world.now;
  for (int second = 0; second < 15 && !client.peer_closed; ++second) {
    client.send(kGet.substr(static_cast<std::size_t>(second), 1));
    world.run_for(1s);
  }
  EXPECT_EQ(client.received.substr(0, 12), "HTTP/1.1 408");
  EXPECT_LE(world.now - begin, 12s);
  EXPECT_EQ(world.http().client_timeouts, 1u);
  ASSERT_EQ(world.errors().size(), 1u);
  EXPECT_STREQ(world.errors()[0].reason, "the head did not arrive in time");
  client.close();
  expect_nothing_left(world);
}

TEST(Failure, ManySlowHeadsLeaveOthersAlone) {
  HttpWorld world;
  for (int i = 0; i < 1000; ++i) {
    Far& slow = world.connect("172.16.40.11");
    slow.send("GET / HTTP/1.1\r\nX-Long: " + std::string(700, 'x'));
  }
  world.run_for(1s);
  EXPECT_EQ(world.proxy().session_count(), 1000u);
  EXPECT_LE(world.engine_buffers(), 10u);  // what has come was gathered: no packet waits
  Far& client = world.connect();
  client.send(kGet);
  EXPECT_TRUE(world.run_until([&] { return client.has("hello of"); }, 10ms));
  client.close();
  world.run_for(10s);
  EXPECT_EQ(world.http().client_timeouts, 1000u);
  for (Far& far : world.fars()) far.close();
  expect_nothing_left(world);
}

TEST(Failure, ABodyThatStopsIsEndedAfterTheIdleTime) {
  HttpWorldOptions options;
  options.http.times.idle = 5s;
  HttpWorld world(options);
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun");
  world.run_for(4s);
  EXPECT_FALSE(client.closed);
  EXPECT_TRUE(world.run_until([&] { return client.has("HTTP/1.1 408 "); }, 3s));
  EXPECT_EQ(world.http().client_timeouts, 1u);
  client.close();
  world.run_for(5s);
  expect_nothing_left(world);
}

TEST(Failure, AClientThatNeverReadsHoldsABoundedAmount) {
  HttpWorld world;
  world.answer = [](const std::string&, Far& far) {
    far.send(ok(std::string(3'000'000, 'x')));
    return true;
  };
  Far& stuck = world.connect();
  stuck.reading = false;
  stuck.send(kGet);
  world.run_for(2s);
  // 128 KB in either direction of the exchange, in packets of 1,400 bytes and their headers' packets.
  EXPECT_LE(world.engine_buffers(), 600u);
  EXPECT_GE(world.engine_buffers(), 100u);
  world.answer = [](const std::string&, Far& far) {
    far.send(ok("for others"));
    return true;
  };
  Far& client = world.connect();
  client.send(kGet);
  EXPECT_TRUE(world.run_until([&] { return client.has("for others"); }, 10ms));
  client.close();
  EXPECT_TRUE(world.run_until([&] { return world.proxy().session_count() == 0; }, 40s));
  EXPECT_EQ(world.http().client_timeouts, 1u);
  EXPECT_STREQ(world.errors().at(0).reason, "the client does not read its answer");
  stuck.abort();
  for (Far& far : world.fars())
    if (far.conn != nullptr) far.abort();
  expect_nothing_left(world);
}

TEST(Failure, AClientThatVanishesInItsHandshakeIsForgottenAfterTenSeconds) {
  HttpWorld world;
  world.tap = [](const test::Bytes&, bool to_engine) { return to_engine; };
  world.connect();
  world.run_for(1s);
  EXPECT_EQ(world.proxy().stack().half_open(), 1u);
  world.run_for(10s);
  EXPECT_EQ(world.proxy().stack().conns_in_use(), 0u);
  EXPECT_EQ(world.server().runtime->half_open, 0u);
  world.tap = nullptr;
  expect_nothing_left(world);
}

TEST(Failure, AMemberSilentToTheSynIsLeftAfterTenSeconds) {
  HttpWorld world(with_pages());
  world.tap = [](const test::Bytes& frame, bool to_engine) {
    return to_engine || test::describe(frame).find("> 10.244") == std::string::npos;
  };
  Far& client = world.connect();
  client.send(kGet);
  world.run_for(9s);
  EXPECT_EQ(client.received, "");
  world.run_for(2s);
  EXPECT_EQ(client.received.substr(0, 12), "HTTP/1.1 504");
  client.close();
  world.run_for(3s);
  EXPECT_EQ(world.proxy().stack().conns_in_use(), 0u);  // the half-open one to the member is gone, too
  world.tap = nullptr;
  expect_nothing_left(world);
}

TEST(Failure, SeveralInterimResponsesInARowArePassedOn) {
  for (const std::size_t piece : {0u, 1u, 7u}) {
    HttpWorld world;
    world.answer = [&](const std::string&, Far& far) {
      far.piece = piece;
      far.send(
          "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n"
          "Link: </b>\r\n\r\n" +
          ok("done"));
      return true;
    };
    Far& client = world.connect();
    for (std::size_t n = 1; n <= 2; ++n) {
      client.send(kGet);
      ASSERT_TRUE(world.run_until([&] { return client.count("done") == n; })) << piece << client.received;
      EXPECT_EQ(client.count("HTTP/1.1 103 Early Hints\r\nLink: </"), 2 * n) << client.received;
      EXPECT_EQ(client.count("HTTP/1.1 100 Continue\r\n\r\n"), n);
    }
    EXPECT_EQ(world.http().responses_1xx, 6u);
    client.close();
    const std::string old = world.get("GET / HTTP/1.0\r\n\r\n");  // RFC 9110 15.2: none to a 1.0 client
    EXPECT_EQ(old.substr(0, 15), "HTTP/1.1 200 OK");
    EXPECT_EQ(old.find("Early"), std::string::npos);
    expect_nothing_left(world);
  }
}

TEST(Failure, EndlessInterimResponsesAreBounded) {
  HttpWorld world;
  world.answer = [](const std::string&, Far& far) {
    std::string flood;
    for (int i = 0; i < 20000; ++i) flood += "HTTP/1.1 100 \r\n\r\n";
    far.send(flood + ok("at last"));
    return true;
  };
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("at last"); }));
  EXPECT_EQ(client.count("HTTP/1.1 100 Continue\r\n\r\n"), 20000u);
  client.close();
  expect_nothing_left(world);
}

TEST(Failure, NoRetryOnceAMemberHasBegunToAnswer) {
  HttpWorld world;
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("hello"); }));
  Far* member = nullptr;
  world.answer = [&](const std::string&, Far& far) {
    far.send("HTTP/1.1 103 Early Hints\r\n\r\n");
    member = &far;
    return true;
  };
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("Early Hints"); }));
  member->abort();
  ASSERT_TRUE(world.run_until([&] { return client.closed; }));
  EXPECT_EQ(world.http().retries, 0u);
  EXPECT_EQ(world.requests.size(), 2u);
  expect_nothing_left(world);
}

TEST(Failure, AnEarlyAnswerSurvivesTheResetBehindIt) {
  HttpWorld world;
  const std::string body(200'000, 'n');
  Far* member = nullptr;
  world.member = [&](Far& far) {
    if (member == nullptr) far.send(ok(body));
    member = &far;
  };
  Far& client = world.connect();
  client.reading = false;
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nfirst");
  world.run_for(50ms);
  client.send(std::string(3000, 'x'));
  ASSERT_NE(member, nullptr);
  member->abort();
  client.send(std::string(3000, 'y'));
  world.run_for(50ms);
  client.reading = true;
  EXPECT_TRUE(world.run_until([&] { return client.has(body); }, 1s)) << client.received.size();
  EXPECT_TRUE(world.run_until([&] { return client.peer_closed; }, 1s));
  client.close();
  expect_nothing_left(world);
}

// ---- a member goes down

class Reselect : public testing::Test {
 protected:
  Reselect() {
    world.service_down = ServiceDownAction::reselect;
    world.install();
    world.answer = [this](const std::string&, Far& far) {
      if (silent.is_zero() || far.local.address == silent) {
        silent = far.local.address;  // the first one that is asked says nothing
        return true;
      }
      far.send(ok("from the other"));
      return true;
    };
  }
  void down(Ipv4Address address) {
    for (MemberSpec& member : world.members)
      if (member.endpoint.address == address) member.verdict.status = MonitorStatus::down;
    world.install();
  }
  HttpWorld world;
  Ipv4Address silent;
};

TEST_F(Reselect, ARequestThatMayBeSentTwiceGoesToAnotherMember) {
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return world.requests.size() == 1; }));
  down(silent);
  ASSERT_TRUE(world.run_until([&] { return client.has("from the other"); }, 100ms));
  EXPECT_EQ(world.requests.size(), 2u);
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.count("from the other") == 2; }, 100ms));
  client.close();
  expect_nothing_left(world);
}

TEST_F(Reselect, OneThatMayNotEndsWithItsMember) {
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  ASSERT_TRUE(world.run_until([&] { return world.requests.size() == 1; }));
  down(silent);
  ASSERT_TRUE(world.run_until([&] { return client.closed; }, 100ms));
  EXPECT_EQ(world.requests.size(), 1u);
  EXPECT_STREQ(world.errors().at(0).reason, "the member went down");
  expect_nothing_left(world);
}

TEST_F(Reselect, WhileConnectingAnyRequestMoves) {
  silent = world.members[0].endpoint.address;
  world.tap = [](const test::Bytes& frame, bool to_engine) {
    return to_engine || test::describe(frame).find("> 10.244.0.76") == std::string::npos;
  };
  std::vector<Far*> clients;
  for (int i = 0; i < 2; ++i) {  // one of the two is balanced to the member whose SYNs are lost
    clients.push_back(&world.connect());
    clients.back()->send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    world.run_for(5ms);
  }
  down(silent);
  for (Far* client : clients) {
    EXPECT_TRUE(world.run_until([&] { return client->has("from the other"); }, 100ms));
    client->close();
  }
  EXPECT_EQ(world.requests.size(), 2u);
  expect_nothing_left(world);
}

TEST_F(Reselect, AnIdleConnectionAsksAnotherMemberNext) {
  silent = address("192.0.2.1");
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("from the other"); }));
  for (const Far& far : world.fars())
    if (far.is_member) silent = far.local.address;
  down(silent);
  world.run_for(10ms);
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.count("from the other") == 2; }, 100ms));
  client.close();
  expect_nothing_left(world);
}

TEST(Failure, AMemberKilledInMidResponseLeavesOthersAlone) {
  HttpWorld world;
  std::vector<Far*> members;
  world.answer = [&](const std::string&, Far& far) {
    far.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
    members.push_back(&far);
    return true;
  };
  Far& first = world.connect();
  Far& second = world.connect();
  first.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return first.has("half "); }));
  second.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return second.has("half "); }));
  members[0]->abort();
  ASSERT_TRUE(world.run_until([&] { return first.closed; }));
  EXPECT_EQ(first.reason, tcp::CloseReason::reset_by_peer);
  EXPECT_EQ(world.http().aborted_by_server, 1u);
  members[1]->send("whole");
  ASSERT_TRUE(world.run_until([&] { return second.has("half whole"); }));
  second.close();
  expect_nothing_left(world);
}

// The bytes of the member come first in the turn in which the client's RST comes too.
TEST(Failure, AClientThatResetsAmongTheBytesOfItsAnswerIsCounted) {
  HttpWorldOptions options;
  options.bursts = true;
  HttpWorld world(options);
  Far* member = nullptr;
  world.answer = [&](const std::string&, Far& far) {
    far.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ");
    member = &far;
    return true;
  };
  Far& client = world.connect();
  client.send(kGet);
  ASSERT_TRUE(world.run_until([&] { return client.has("half "); }));
  member->send("wh");
  world.run_for(0ns);
  client.abort();
  ASSERT_TRUE(world.run_until([&] { return member->closed; }));
  EXPECT_EQ(world.http().aborted_by_client, 1u);
  EXPECT_EQ(world.http().aborted_by_server, 0u);
  expect_nothing_left(world);
}

}  // namespace
}  // namespace sluice::lb::session_failure_test
