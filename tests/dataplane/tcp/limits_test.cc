// What a worker's stack does when its limits are reached; see Limits in stack.h.
#include <gmock/gmock.h>

#include "dataplane/packet/chain.h"
#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

WorldOptions limited(std::uint32_t conns, std::uint32_t half_open, std::uint32_t chunks = 1000) {
  WorldOptions options = Script::quiet();
  options.limits = {.conns_max = conns, .chunks_max = chunks, .half_open_max = half_open};
  return options;
}

std::uint32_t cookie_ack(const std::string& text) { return static_cast<std::uint32_t>(std::stoul(text.substr(7))) + 1; }

TEST(Limits, IdleConnTakesAtMost512BytesAndNoBuffer) {
  static_assert(sizeof(Conn) <= 512);
  Script s;
  s.open_passive();
  s.in("A seq 1 ack 1 len 100");
  s.write(100);
  s.in("A seq 101 ack 101");
  s.wait(100ms);
  EXPECT_EQ(s.stack().chunks_in_use(), 0u);
  EXPECT_EQ(s.world.a.pool->in_use(), 0u);
}

TEST(Limits, FloodOfSynsNeverKeepsOutWhoAnswers) {
  Script s(limited(16, 8));
  for (std::uint16_t port = 50000; port < 50100; ++port) {  // nobody answers these
    s.peer_port = port;
    s.in("S seq 0 <mss 1460>");
  }
  EXPECT_EQ(s.stack().half_open(), 8u);
  s.forget();
  unsigned completed = 0;
  for (std::uint16_t port = 40000; port < 40016; ++port) {  // as many clients as there are slots, amid the flood
    s.peer_port = port;
    s.our_isn = 0;
    s.in("S seq 0 <mss 1460>");
    const std::uint32_t ack = cookie_ack(s.out());
    s.peer_port = static_cast<std::uint16_t>(port + 20000);
    s.in("S seq 0 <mss 1460>");
    s.forget();
    s.peer_port = port;
    s.our_isn = 0;
    s.in("A seq 1 ack " + std::to_string(ack));
    s.forget();
    const Conn* conn = s.stack().find({.local = {s.world.a.address, 80}, .remote = {s.world.b.address, port}});
    completed += conn && conn->state == State::established;
  }
  EXPECT_EQ(completed, 16u);
  EXPECT_EQ(s.stack().half_open(), 0u);
  EXPECT_EQ(s.stack().counters().half_open_evicted.get(), 8u);
  EXPECT_EQ(s.stack().conns_in_use(), 16u);
}

TEST(Limits, WhoReturnsACookieToAFullTableIsReset) {
  Script s(limited(4, 4));
  for (std::uint16_t port = 40000; port < 40003; ++port) ASSERT_TRUE(s.open_from(port)) << port;
  for (std::uint16_t port = 40003; port < 40006; ++port) {
    s.peer_port = port;
    s.our_isn = 0;
    s.in("S seq 0 <mss 1460>");
    const std::uint32_t ack = cookie_ack(s.out());
    s.our_isn = 0;
    s.in("A seq 1 ack " + std::to_string(ack));
    EXPECT_EQ(s.out(), port == 40003 ? "" : "R seq " + std::to_string(ack)) << port;
  }
  EXPECT_EQ(s.stack().conns_in_use(), 4u);
  EXPECT_EQ(s.stack().counters().no_conn_slot.get(), 2u);
  EXPECT_EQ(s.stack().connect(s.world.now, {.local = {s.world.a.address, 999}, .remote = {s.world.b.address, 80}},
                              s.world.a.options, nullptr),
            nullptr);
}

TEST(Limits, OldestTimeWaitMakesRoom) {
  Script s(limited(4, 4));
  for (std::uint16_t port = 40000; port < 40003; ++port) {
    ASSERT_TRUE(s.open_from(port));
    s.close();
    s.in("FA seq 1 ack 2");
    ASSERT_EQ(s.conn().state, State::time_wait);
    s.stack().release(s.world.now, s.conn());
    s.turn();
  }
  EXPECT_EQ(s.stack().conns_in_use(), 3u);
  for (std::uint16_t port = 41000; port < 41003; ++port) EXPECT_TRUE(s.open_from(port)) << port;
  EXPECT_EQ(s.stack().counters().time_waits_evicted.get(), 3u);
  EXPECT_EQ(s.stack().conns_in_use(), 3u);
  const Tuple last{.local = {s.world.a.address, 80}, .remote = {s.world.b.address, 40002}};
  EXPECT_EQ(s.stack().find(last), nullptr);
}

TEST(Limits, BytesWithoutAChunkAreLeftForThePeerToSendAgain) {
  Script s(limited(16, 8, 4));
  s.open_passive("<mss 1000>");
  s.flow().reading = false;
  for (int i = 0; i < 6; ++i) s.in("A seq " + std::to_string(1 + 1000 * i) + " ack 1 len 1000");
  EXPECT_EQ(s.conn().receive_queue.bytes(), 4000u);
  EXPECT_EQ(s.stack().counters().no_chunk.get(), 2u);
  s.flow().reading = true;
  while (const packet::Packet packet = s.stack().receive(s.conn())) s.world.a.drops.consume(packet);
  s.flow().read = 4000;
  for (int i = 4; i < 6; ++i) s.in("A seq " + std::to_string(1 + 1000 * i) + " ack 1 len 1000");
  EXPECT_EQ(s.flow().read, 6000u);
}

TEST(Limits, SenderOfSingleBytesCannotHoldABufferForEach) {
  Script s;
  s.open_passive("<mss 1460>");
  s.flow().reading = false;
  for (int i = 0; i < 3000; ++i) s.in("A seq " + std::to_string(1 + i) + " ack 1 len 1");
  EXPECT_EQ(s.conn().receive_queue.bytes(), 3000u);
  EXPECT_LT(s.world.a.pool->in_use(), 10u);
}

TEST(Limits, PoolThatRunsDryStopsNothingForGood) {
  WorldOptions options = Script::quiet();
  options.buffers = 63;
  Script s(options);
  std::vector<packet::Packet> hoard;
  s.open_passive("<mss 1000>");
  while (const packet::Packet packet = s.world.a.pool->allocate()) hoard.push_back(packet);
  const packet::Packet mine = hoard.back();
  hoard.pop_back();
  std::fill_n(mine.append(1000), 1000, std::uint8_t{7});
  packet::add_reference(mine);  // somebody else reads it too: headers need a packet of their own
  ASSERT_TRUE(s.stack().send(s.world.now, s.conn(), mine));
  s.turn();
  EXPECT_EQ(s.out(), "") << "no buffer for its headers";
  for (const packet::Packet packet : hoard) packet::discard(packet);
  s.wait(300ms);
  EXPECT_EQ(s.out(), "PA seq 1 ack 1 len 1000");
  s.in("A seq 1 ack 1001");
  packet::discard(mine);
}

}  // namespace
}  // namespace sluice::tcp::test
