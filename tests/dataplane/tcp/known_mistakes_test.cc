// The mistakes that userspace TCP stacks are known for, each with a test that would show it.
#include <gmock/gmock.h>

#include "tests/dataplane/tcp/script.h"

namespace sluice::tcp::test {
namespace {

using sluice::test::Bytes;
using sluice::test::Frame;

TEST(KnownMistakes, OptionsSentThoughNotNegotiated) {
  for (const char* offer : {"<mss 1460>", "<mss 1460,sack>", "<mss 1460,ws 3>", "<mss 1460,ts 1 0>"}) {
    Script s;
    s.in(std::string("S seq 0 ") + offer);
    const std::string syn_ack = s.out();
    const auto offered = [&](const char* option) { return std::string_view(offer).find(option) != std::string::npos; };
    EXPECT_EQ(syn_ack.find("sack") != syn_ack.npos, offered("sack")) << syn_ack;
    EXPECT_EQ(syn_ack.find("ws") != syn_ack.npos, offered("ws")) << syn_ack;
    EXPECT_EQ(syn_ack.find("ts") != syn_ack.npos, offered("ts")) << syn_ack;
    s.in(std::string("A seq 1 ack 1") + (offered("ts") ? " <ts 2 0>" : ""));
    s.in(std::string("A seq 101 ack 1 len 10") + (offered("ts") ? " <ts 2 0>" : ""));  // a hole
    const std::string ack = s.out();
    EXPECT_EQ(ack.find("sack 101 111") != ack.npos, offered("sack")) << ack;
    EXPECT_EQ(s.conn().timestamps_on, offered("ts"));
    EXPECT_EQ(s.conn().window_scale_on, offered("ws"));
  }
}

TEST(KnownMistakes, OptionsOfASynAckThatWeDidNotOffer) {
  WorldOptions options = Script::quiet();
  options.tcp.sack = options.tcp.timestamps = options.tcp.window_scale = false;
  Script s(options);
  s.begin_active();
  EXPECT_EQ(s.out(), "S seq 0 <mss 1460>");
  s.in("SA seq 0 ack 1 <mss 1460,sack,ts 5 0,ws 7>");
  EXPECT_FALSE(s.conn().sack_permitted || s.conn().timestamps_on || s.conn().window_scale_on);
  EXPECT_EQ(s.out(), "A seq 1 ack 1");
}

TEST(KnownMistakes, TimestampEchoFrozen) {
  Script s;
  s.open_passive("<mss 1460,ts 100 0>");
  for (std::uint32_t i = 0; i < 20; ++i) {
    s.in("A seq " + std::to_string(1 + 10 * i) + " ack 1 len 10 <ts " + std::to_string(200 + i * 7) + " 0>");
    s.wait(50ms);  // acknowledged
    EXPECT_EQ(s.conn().ts_recent, 200 + i * 7);
  }
  s.in("A seq 201 ack 1 <ts 4000 0>");
  EXPECT_EQ(s.conn().ts_recent, 4000u) << "a bare ACK moves it too";
}

TEST(KnownMistakes, AckOfUnsentDataAccepted) {
  Script s;
  s.open_passive();
  s.write(100);
  s.forget();
  s.in("A seq 1 ack 102 len 10");
  EXPECT_EQ(s.conn().flight(), 100u);
  EXPECT_EQ(s.flow().read, 0u) << "the segment that says so is not taken at all";
  EXPECT_EQ(s.out(), "A seq 101 ack 1");
  s.in("A seq 1 ack 101 len 10");
  EXPECT_EQ(s.conn().flight(), 0u);
  EXPECT_EQ(s.flow().read, 10u);
}

TEST(KnownMistakes, UnvalidatedRst) {
  for (const char* rst : {"R seq 0", "R seq 2", "R seq 1000", "RA seq 65536 ack 1", "R seq -5"}) {
    Script s;
    s.open_passive();
    s.in(rst);
    EXPECT_EQ(s.conn().state, State::established) << rst;
  }
  Script s;
  s.begin_active();
  s.in("RA seq 0 ack 2");
  EXPECT_EQ(s.conn().state, State::syn_sent) << "an RST that does not acknowledge our SYN";
}

TEST(KnownMistakes, DataInSyn) {
  Script s;
  s.in("S seq 0 len 400 <mss 1460>");
  EXPECT_EQ(s.out(), "SA seq 0 ack 1 <mss 1460>") << "not acknowledged";
  s.in("A seq 1 ack 1");
  EXPECT_EQ(s.flow().read, 0u) << "nor delivered before the handshake is over";
  s.in("PA seq 1 ack 1 len 400");
  EXPECT_EQ(s.flow().read, 400u) << "nor twice";

  Script t;
  t.begin_active();
  t.in("SA seq 0 ack 1 len 400 <mss 1460>");
  EXPECT_EQ(t.conn().state, State::established);
  EXPECT_EQ(t.flow().read, 0u);
  t.in("PA seq 1 ack 1 len 400");
  EXPECT_EQ(t.flow().read, 400u);
}

TEST(KnownMistakes, DataAfterFin) {
  Script s;
  s.open_passive();
  s.flow().close_on_peer_close = false;
  s.in("A seq 21 ack 1 len 100");  // lies behind the FIN that comes next
  s.in("FA seq 1 ack 1 len 10");
  s.in("A seq 11 ack 1 len 50");
  s.in("A seq 12 ack 1 len 50");
  EXPECT_EQ(s.flow().read, 10u);
  EXPECT_TRUE(s.flow().peer_closed);
  EXPECT_EQ(s.conn().rcv_nxt.value - Script::kPeerIsn, 12u);
  EXPECT_EQ(s.stack().chunks_in_use(), 0u) << "what lay behind is thrown away";
}

TEST(KnownMistakes, SameSequenceWithDifferentLength) {
  Script s;  // the script's bytes are a pattern of their place: the host checks every byte that is delivered
  s.open_passive();
  s.in("A seq 101 ack 1 len 50");
  s.in("A seq 101 ack 1 len 200");
  s.in("A seq 101 ack 1 len 10");
  s.in("A seq 51 ack 1 len 400");
  s.in("A seq 1 ack 1 len 300");
  s.in("A seq 1 ack 1 len 500");
  EXPECT_EQ(s.flow().read, 500u);
  EXPECT_EQ(s.conn().rcv_nxt.value - Script::kPeerIsn, 501u);
}

TEST(KnownMistakes, FirstCopyOfBytesIsKept) {
  Script s;
  s.open_passive("<mss 1460>");
  s.in("A seq 11 ack 1 len 10");
  // The same place with other bytes: no reader may get a mixture that depends on what it looks at.
  s.world.a.deliver(s.world.now, Frame()
                                     .ip(s.world.b.address, s.world.a.address)
                                     .tcp(40000, 80)
                                     .seq(Script::kPeerIsn + 11, s.our_isn + 1)
                                     .payload(Bytes(10, 0xee))
                                     .l3());
  s.in("A seq 1 ack 1 len 10");
  EXPECT_EQ(s.flow().read, 20u);
}

TEST(KnownMistakes, DataOffsetOrIhlNotValidated) {
  Script s;
  s.open_passive("<mss 1460>");
  Bytes good = Frame()
                   .ip(s.world.b.address, s.world.a.address)
                   .tcp(40000, 80)
                   .seq(Script::kPeerIsn + 1, s.our_isn + 1)
                   .payload(Bytes(40, 0x11))
                   .l3();
  const auto deliver_with = [&](std::size_t place, std::uint8_t value) {
    Bytes bad = good;
    bad[place] = value;
    // With checksums that are right, so that nothing but the length itself speaks against it.
    if ((bad[0] & 15) >= 5 && (bad[0] & 15) * 4U <= bad.size()) wire::write_ipv4_checksum(bad.data());
    const std::size_t header = (bad[0] & 15) * 4U;
    if (header + 20 <= bad.size()) {
      wire::store_be16(bad.data() + header + wire::kTcpChecksum, 0);
      wire::ChecksumSum sum;
      sum.add_pseudo_header(s.world.b.address, s.world.a.address, wire::kProtocolTcp,
                            static_cast<std::uint16_t>(bad.size() - header));
      sum.add({bad.data() + header, bad.size() - header});
      wire::store_be16(bad.data() + header + wire::kTcpChecksum, sum.finish());
    }
    s.world.a.deliver(s.world.now, bad);
    s.turn();
  };
  for (std::uint8_t words = 0; words < 5; ++words) deliver_with(32, static_cast<std::uint8_t>(words << 4));
  deliver_with(32, 0xf0 & 0xff);  // 60 bytes of header: exactly all there is, options of 0x11
  good.resize(20 + 20 + 20);      // now 40 bytes of TCP
  wire::store_be16(good.data() + 2, 60);
  deliver_with(32, 0xb0);  // 44 bytes of header in 40
  for (std::uint8_t ihl = 0; ihl < 5; ++ihl) deliver_with(0, static_cast<std::uint8_t>(0x40 | ihl));
  deliver_with(0, 0x4f);  // 60 bytes of IPv4 header: exactly all there is
  EXPECT_EQ(s.flow().read, 0u);
  EXPECT_EQ(s.conn().rcv_nxt.value - Script::kPeerIsn, 1u);
  EXPECT_EQ(s.conn().state, State::established);
}

TEST(KnownMistakes, TimeWaitWithoutTimer) {
  Script s;
  s.open_passive("<mss 1460>");
  s.close();
  s.in("FA seq 1 ack 2");
  EXPECT_EQ(s.conn().state, State::time_wait);
  s.stack().release(s.world.now, s.conn());
  s.wait(2100ms);
  EXPECT_EQ(s.stack().conns_in_use(), 0u);
  EXPECT_EQ(s.stack().next_timer(), kInstantMax) << "nothing is left that would wake us";
}

TEST(KnownMistakes, WindowsRightEdgeMovedBack) {
  for (const bool scaled : {false, true}) {
    WorldOptions options = Script::quiet();
    options.tcp.receive_buffer_bytes = scaled ? 300'000 : 10'000;
    Script s(options);
    std::uint32_t edge = 0;
    s.world.tap = [&](Host& from, Bytes& l3) {
      if (&from != &s.world.a) return false;
      const auto header = wire::parse_tcp({l3.data() + 20, l3.size() - 20});
      const bool syn = (header->flags & wire::kTcpSyn) != 0;
      const std::uint32_t now_edge = header->acknowledgment +
                                     (std::uint32_t{header->window} << (syn ? 0 : s.world.a.accepted->rcv_wscale)) -
                                     Script::kPeerIsn;
      EXPECT_GE(now_edge, edge);
      edge = std::max(edge, now_edge);
      return false;
    };
    s.in(scaled ? "S seq 0 <mss 1000,ws 2>" : "S seq 0 <mss 1000>");
    s.our_isn = s.conn().iss.value;
    s.in("A seq 1 ack 1");
    s.flow().reading = false;
    std::uint32_t at = 1;
    Rng rng(7);
    for (int i = 0; i < 400; ++i) {
      const auto n = static_cast<std::uint32_t>(rng.between(1, 1000));
      s.in("A seq " + std::to_string(at) + " ack 1 len " + std::to_string(n));
      at = s.conn().rcv_nxt.value - Script::kPeerIsn;
      if (rng.chance(0.2))
        if (const std::uint32_t held = s.conn().receive_queue.bytes(); held > 0)
          s.stack().consume(s.conn(), static_cast<std::uint32_t>(rng.between(1, held)));
      s.turn();
    }
    EXPECT_GT(edge, 20'000u);
  }
}

}  // namespace
}  // namespace sluice::tcp::test
