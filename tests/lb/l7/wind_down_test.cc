// Before a restart: exchanges end well, idle connections close, new clients are left to the process after us.
#include "tests/lb/l7/http_world.h"

namespace sluice::lb::wind_down_test {
namespace {

constexpr auto kRequest = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

TEST(WindDown, AnExchangeEndsWellAndIsTheLast) {
  HttpWorld world;
  Far* asked = nullptr;
  world.answer = [&](const std::string&, Far& far) {
    asked = &far;
    return false;
  };
  Far& client = world.connect();
  client.send(kRequest);
  ASSERT_TRUE(world.run_until([&] { return asked != nullptr; }));
  EXPECT_EQ(world.proxy().wind_down(world.now), 1u);
  asked->send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  ASSERT_TRUE(world.run_until([&] { return client.peer_closed; }));
  EXPECT_TRUE(client.has("hello"));
  EXPECT_TRUE(client.has("Connection: close"));
  world.run_for(1ms);
  EXPECT_EQ(world.proxy().wind_down(world.now), 0u) << "the client has acknowledged everything";
  client.close();
  world.run_for(5s);
  EXPECT_EQ(client.reason, tcp::CloseReason::finished);
}

TEST(WindDown, AnAnswerUnderWayGoesOnToItsEnd) {
  HttpWorld world;
  Far* asked = nullptr;
  world.answer = [&](const std::string&, Far& far) {
    asked = &far;
    far.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    return true;
  };
  Far& client = world.connect();
  client.send(kRequest);
  ASSERT_TRUE(world.run_until([&] { return client.has("hello"); }));
  EXPECT_EQ(world.proxy().wind_down(world.now), 1u);
  world.run_for(1s);
  EXPECT_FALSE(client.peer_closed);
  EXPECT_EQ(world.proxy().wind_down(world.now), 1u);
  asked->send("world");
  ASSERT_TRUE(world.run_until([&] { return client.peer_closed; }));
  EXPECT_TRUE(client.has("helloworld"));
  client.close();
  world.run_for(5s);
  EXPECT_EQ(world.proxy().wind_down(world.now), 0u);
}

// The session is over with the answer; the connection is not.
TEST(WindDown, AClientThatClosedBehindItsRequestGetsAllOfTheAnswer) {
  HttpWorld world;
  Far& client = world.connect();
  bool lost = false;
  world.tap = [&](const test::Bytes&, bool to_engine) { return to_engine || !lost; };
  world.answer = [&](const std::string&, Far& far) {
    lost = true;  // what the engine sends from here on, members' packets included, until it is over
    far.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    return true;
  };
  client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  client.close();
  world.run_for(100ms);
  EXPECT_FALSE(client.has("hello"));
  EXPECT_GE(world.proxy().wind_down(world.now), 1u);
  lost = false;
  ASSERT_TRUE(world.run_until([&] { return client.has("hello"); }));
  world.run_for(3s);
  EXPECT_EQ(world.proxy().wind_down(world.now), 0u);
}

TEST(WindDown, AnIdleConnectionClosesAndANewOneMayStillAsk) {
  HttpWorld world;
  Far& idle = world.connect();
  idle.send(kRequest);
  ASSERT_TRUE(world.run_until([&] { return idle.has("\r\n\r\n"); }));
  Far& fresh = world.connect();
  ASSERT_TRUE(world.run_until([&] { return fresh.established; }));
  world.run_for(1ms);
  EXPECT_EQ(world.proxy().wind_down(world.now), 2u) << "a FIN is under way, and a new one may ask yet";
  ASSERT_TRUE(world.run_until([&] { return idle.peer_closed; }));
  world.run_for(1ms);
  EXPECT_EQ(world.proxy().wind_down(world.now), 1u) << "it may ask yet";
  EXPECT_FALSE(fresh.peer_closed);
  fresh.send(kRequest);
  ASSERT_TRUE(world.run_until([&] { return fresh.peer_closed; }));
  EXPECT_TRUE(fresh.has("HTTP/1.1 200 "));
  idle.close();
  fresh.close();
  world.run_for(5s);
}

TEST(WindDown, ASilentNewClientIsNotWaitedForLong) {
  HttpWorld world;
  Far& silent = world.connect();
  ASSERT_TRUE(world.run_until([&] { return silent.established; }));
  world.run_for(1s);
  world.proxy().wind_down(world.now);
  world.run_for(1ms);
  EXPECT_EQ(world.proxy().wind_down(world.now), 0u);
  EXPECT_TRUE(silent.peer_closed);
  silent.close();
  world.run_for(5s);
}

TEST(WindDown, ASynIsLeftToTheProcessAfterUs) {
  HttpWorld world;
  EXPECT_EQ(world.proxy().wind_down(world.now), 0u);
  Far& late = world.connect();
  world.run_for(500ms);
  EXPECT_FALSE(late.established);
  EXPECT_FALSE(late.closed) << "no reset: it is sent again";
  EXPECT_GE(world.drops().counters().get(DropReason::shutting_down), 1u);
  late.abort();
  world.run_for(5s);
}

}  // namespace
}  // namespace sluice::lb::wind_down_test
