// Bodies that stall: the client is told 408, or 504 when it is the member that does not read.
#include "tests/lb/l7/http_world.h"

namespace sluice::lb::deadline_test {
namespace {

HttpWorldOptions options() {
  HttpWorldOptions out;
  out.http.times.idle = 2s;
  out.http.fallback = FallbackAction::page;
  return out;
}

TEST(Deadline, ABodyThatDoesNotComeIs408) {
  HttpWorld world(options());
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc");
  ASSERT_TRUE(world.run_until([&] { return client.has("HTTP/1.1 408 "); }));
  EXPECT_EQ(world.http().client_timeouts, 1u);
  const auto errors = world.errors();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(errors[0].status, 408);
  EXPECT_EQ(errors[0].side, ErrorSide::request);
  EXPECT_STREQ(errors[0].reason, "the body did not arrive in time");
  EXPECT_EQ(errors[0].member, world.member_runtime(0).endpoint);
  client.close();
  world.run_for(5s);
  EXPECT_EQ(world.member_conns(), 0u);
}

TEST(Deadline, AMemberThatDoesNotReadTheBodyIs504) {
  HttpWorld world(options());
  world.member = [](Far& far) { far.reading = false; };
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + std::string(1000000, 'x'));
  ASSERT_TRUE(world.run_until([&] { return client.has("HTTP/1.1 504 "); }, 30s));
  EXPECT_EQ(world.http().response_timeouts, 1u);
  EXPECT_EQ(world.http().client_timeouts, 0u);
  EXPECT_STREQ(world.errors().at(0).reason, "the member did not read the request in time");
  client.abort();
  for (Far& far : world.fars()) {
    if (far.is_member && far.conn != nullptr) far.abort();
  }
  world.run_for(10s);
}

// One byte in each three seconds: the idle time never passes.
void trickle(HttpWorld& world, Far& client, unsigned seconds) {
  for (unsigned at = 0; at < seconds && !client.peer_closed; at += 3) {
    client.send("x");
    world.run_for(3s);
  }
}

HttpWorldOptions with_body_time() {
  HttpWorldOptions out = options();
  out.http.times.idle = 5s;
  out.http.times.body = 10s;
  out.http.limits.body_rate_min = 100;
  return out;
}

TEST(Deadline, ABodyThatComesByteByByteIs408) {
  HttpWorld world(with_body_time());
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
  trickle(world, client, 9);
  EXPECT_FALSE(client.has("408"));
  trickle(world, client, 6);
  EXPECT_TRUE(client.has("HTTP/1.1 408 ")) << "it is over, however often something came";
  EXPECT_EQ(world.http().client_timeouts, 1u);
  EXPECT_STREQ(world.errors().at(0).reason, "the body came too slowly");
  client.close();
  world.run_for(10s);
  EXPECT_EQ(world.member_conns(), 0u);
}

TEST(Deadline, ABodyInChunksByteByByteIs408Too) {
  HttpWorld world(with_body_time());
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (unsigned at = 0; at < 15 && !client.has("408"); at += 3) {
    client.send("1\r\nx\r\n");
    world.run_for(3s);
  }
  EXPECT_TRUE(client.has("HTTP/1.1 408 "));
  client.close();
  world.run_for(10s);
}

TEST(Deadline, WhatABodyBringsBuysItTime) {
  HttpWorld world(with_body_time());
  Far& client = world.connect();
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3000\r\n\r\n");
  for (int second = 0; second < 30; ++second) {  // the rate that is asked for, three times as long as the time
    client.send(std::string(100, 'x'));
    world.run_for(1s);
  }
  EXPECT_TRUE(client.has("HTTP/1.1 200 ")) << client.received;
  EXPECT_TRUE(world.errors().empty());
  client.close();
  world.run_for(10s);
}

TEST(Deadline, AMemberThatTakesTheBodySlowlyIsNotTheClientsFault) {
  HttpWorldOptions with = with_body_time();
  with.http.limits.body_rate_min = 1'000'000;  // as good as no time bought
  HttpWorld world(with);
  world.member = [](Far& far) { far.reading = false; };
  Far& client = world.connect();
  constexpr std::size_t kBody = 700'000;
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(kBody) + "\r\n\r\n" +
              std::string(kBody, 'x'));
  world.run_for(1s);
  // The member wakes for a moment every three seconds; what it takes is far less than a window.
  for (int i = 0; i < 10; ++i) {
    for (Far& far : world.fars())
      if (far.is_member) far.reading = true;
    world.run_for(1us);
    for (Far& far : world.fars())
      if (far.is_member) far.reading = false;
    world.run_for(3s);
    if (client.has("408")) break;
  }
  EXPECT_FALSE(client.has("408"));
  EXPECT_EQ(world.http().client_timeouts, 0u);
  client.abort();
  for (Far& far : world.fars())
    if (far.is_member && far.conn != nullptr) far.abort();
  world.run_for(10s);
}

}  // namespace
}  // namespace sluice::lb::deadline_test
