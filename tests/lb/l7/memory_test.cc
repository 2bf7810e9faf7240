// Packet buffers are few: conns whose peers do not read may not starve all others of the worker.
#include <fmt/format.h>

#include "tests/lb/l7/http_world.h"

namespace sluice::lb::memory_test {
namespace {

constexpr std::uint32_t kBuffers = 1023;
constexpr std::size_t kLarge = 600'000;  // more than the client's own window and both queues of ours
const std::string kGetLarge = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string kGetSmall = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n";

void answer_by_path(HttpWorld& world) {
  world.answer = [](const std::string& head, Far& far) {
    far.send(ok(head.starts_with("GET /large") ? std::string(kLarge, 'x') : "small"));
    return true;
  };
}

// New clients come one after the other, and each has its answer within two seconds.
void expect_served(HttpWorld& world, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    Far& client = world.connect("172.16.40.20");
    client.send(kGetSmall);
    EXPECT_TRUE(world.run_until([&] { return client.has("small"); }, 2s)) << "client " << i << " is starved";
    client.close();
    world.run_for(10ms);
  }
}

void end_all(HttpWorld& world) {
  for (Far& far : world.fars())
    if (far.conn != nullptr) far.abort();
  world.run_for(10s);
}

TEST(Memory, ClientsThatNeverReadDoNotStarveOthers) {
  HttpWorld world({.buffers = kBuffers});
  answer_by_path(world);
  Far& bystander = world.connect("172.16.40.21");
  bystander.send(kGetSmall);
  ASSERT_TRUE(world.run_until([&] { return bystander.has("small"); }, 1s));
  std::vector<Far*> hogs;
  for (int i = 0; i < 40; ++i) {  // of which four could take every buffer
    hogs.push_back(&world.connect("172.16.40.11"));
    hogs.back()->reading = false;
    hogs.back()->send(kGetLarge);
    world.run_for(20ms);
  }
  world.run_for(1s);
  EXPECT_LT(world.engine_buffers(), kBuffers * 7 / 8);
  expect_served(world, 20);
  bystander.send(kGetSmall);
  EXPECT_TRUE(world.run_until([&] { return bystander.count("small") == 2; }, 1s)) << "who holds little is not touched";
  const auto reset = std::count_if(hogs.begin(), hogs.end(), [](const Far* far) { return far->closed; });
  EXPECT_GT(reset, 10);
  EXPECT_EQ(world.http().no_memory, static_cast<std::uint64_t>(reset));
  EXPECT_EQ(world.proxy().counters().relieved.get(), static_cast<std::uint64_t>(reset));
  EXPECT_STREQ(world.errors().at(0).reason,
               "the worker's packet buffers run out, and this connection holds most of them");
  end_all(world);
}

TEST(Memory, MembersThatNeverReadDoNotStarveOthers) {
  HttpWorld world({.buffers = kBuffers});
  world.member = [](Far& far) {
    if (far.received.starts_with("POST")) {
      far.reading = false;
    } else if (far.received.find("\r\n\r\n", far.handled) != std::string::npos) {
      far.handled = far.received.size();
      far.send(ok("small"));
    }
  };
  unsigned posts = 0;
  for (; posts < 40; ++posts) {
    Far& client = world.connect("172.16.40.11");
    client.send(
        fmt::format("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{}", kLarge, std::string(kLarge, 'x')));
    world.run_for(20ms);
  }
  world.run_for(1s);
  expect_served(world, 20);
  EXPECT_GT(world.http().no_memory, 10u);
  end_all(world);
}

// Answers that are over for their session still wait in the stack for clients that do not read.
TEST(Memory, WhatIsLeftOfEndedSessionsDoesNotStarveOthers) {
  HttpWorld world({.buffers = kBuffers});
  world.answer = [](const std::string& head, Far& far) {
    far.send(ok(head.starts_with("GET /large") ? std::string(320'000, 'x') : "small"));
    return true;
  };
  for (int i = 0; i < 40; ++i) {
    Far& client = world.connect("172.16.40.11");
    client.reading = false;
    client.send("GET /large HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    world.run_for(100ms);
  }
  world.run_for(3s);  // longer than a session lingers
  expect_served(world, 20);
  EXPECT_GT(world.proxy().counters().relieved.get(), world.http().no_memory) << "conns without a session, too";
  end_all(world);
}

// All of them read, only slowly: nobody need be reset, because windows shrink first.
TEST(Memory, ShortageShrinksWindowsBeforeAnyoneIsReset) {
  HttpWorld world({.buffers = 4095});
  answer_by_path(world);
  std::vector<Far*> clients;
  for (int i = 0; i < 40; ++i) {  // 40 times 187 packets would be needed
    clients.push_back(&world.connect("172.16.40.11"));
    clients.back()->reading = false;
    clients.back()->send(kGetLarge);
    world.run_for(5ms);
  }
  world.run_for(200ms);
  for (Far* client : clients) client->reading = true;
  EXPECT_TRUE(world.run_until(
      [&] {
        return std::all_of(clients.begin(), clients.end(),
                           [](const Far* far) { return far->received.size() >= kLarge; });
      },
      60s));
  EXPECT_EQ(world.http().no_memory, 0u);
  for (Far* client : clients) client->close();
  world.run_for(5s);
}

}  // namespace
}  // namespace sluice::lb::memory_test
