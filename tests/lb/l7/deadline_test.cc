// Bodies that stall: the client is told 408, or 504 when it is the member that does not read.
#include "tests/lb/l7/http_world.h"

namespace sluice::lb {
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

}  // namespace
}  // namespace sluice::lb
