// A TCP stack of ours against a peer that does whatever a segment can say, from a seed, and then behaves.
//
// The peer opens properly, then sends its bytes in any order, overlapping, twice, with holes; acknowledges late, never,
// what was not sent, with SACK blocks that are true or invented; opens, shuts and shrinks its window; sends RSTs and
// SYNs that are not exact, old timestamps, garbage. When it behaves again, all bytes must have arrived both ways.
// Called by: ./test, by hand. Follows: RFC 9293, 5961, 2018, 7323. Tested by: the same seed gives the same digest.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/dataplane/tcp/world.h"
#include "tests/sim/seeds.h"

namespace sluice::tcp::test {
namespace {

using sluice::test::Bytes;
using sluice::test::Frame;

class PeerRun {
 public:
  explicit PeerRun(std::uint64_t seed) : rng_(seed * 0x9e3779b97f4a7c15 + 1), world_(options(seed, rng_)) {
    isn_ = static_cast<std::uint32_t>(rng_());
    total_ = rng_.between(0, 60'000);
    offer_timestamps_ = rng_.chance(0.6);
    offer_sack_ = rng_.chance(0.7);
    offer_scale_ = rng_.chance(0.5);
    mss_ = static_cast<std::uint16_t>(rng_.chance(0.7) ? 1460 : rng_.between(64, 1460));
    world_.tap = [this](Host& from, Bytes& l3) {
      if (&from == &world_.a) take(l3);
      return false;
    };
  }

  std::uint64_t go() {
    open();
    if (!::testing::Test::HasFailure()) {
      const std::uint64_t steps = rng_.between(20, 400);
      for (std::uint64_t i = 0; i < steps && !::testing::Test::HasFailure(); ++i) misbehave();
      behave();
    }
    return digest_;
  }

 private:
  static WorldOptions options(std::uint64_t seed, Rng& rng) {
    WorldOptions options;
    options.link.seed = seed;
    options.limits = {.conns_max = 8, .chunks_max = 2048};
    options.buffers = 2047;
    Options& tcp = options.tcp;
    tcp.sack = rng.chance(0.8);
    tcp.timestamps = rng.chance(0.7);
    tcp.window_scale = rng.chance(0.7);
    tcp.nagle = rng.chance(0.3);
    tcp.delayed_ack = rng.chance(0.7);
    tcp.congestion = rng.chance(0.5) ? CongestionControl::cubic : CongestionControl::newreno;
    tcp.receive_buffer_bytes = static_cast<std::uint32_t>(rng.chance(0.4) ? rng.between(1, 3000) : 262'144);
    tcp.retries_max = tcp.syn_retries_max = 200;
    tcp.connect_timeout = tcp.fin_wait_timeout = 1000h;
    tcp.idle_timeout = tcp.zero_window_timeout = 0s;
    return options;
  }

  // ---- what our stack sends
  void take(const Bytes& l3) {
    for (const std::uint8_t byte : l3) digest_ = (digest_ ^ byte) * 0x100000001b3;
    Bytes frame = l3;
    frame.insert(frame.begin(), {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0});
    EXPECT_EQ(sluice::test::faults(frame), "");
    const auto header = wire::parse_tcp({l3.data() + 20, l3.size() - 20});
    ASSERT_TRUE(header.has_value());
    const auto list = wire::parse_tcp_options({l3.data() + 40, static_cast<std::size_t>(header->header_length - 20)});
    if (header->flags & wire::kTcpRst) {
      // In answer to nonsense that belongs to no conn it may be; from the conn itself never.
      if (conn_ && header->sequence == conn_->snd_nxt.value && (header->flags & wire::kTcpAck)) ++resets_;
      return;
    }
    if (list.timestamps) last_ts_ = list.timestamps->value;
    const bool syn = (header->flags & wire::kTcpSyn) != 0;
    if (syn) {
      theirs_ = header->sequence;
      scale_ = list.window_scale && offer_scale_ ? *list.window_scale : 0;
      timestamps_on_ = list.timestamps && offer_timestamps_;
      sack_on_ = list.sack_permitted && offer_sack_;
    } else {
      EXPECT_EQ(list.timestamps.has_value(), timestamps_on_);
      EXPECT_TRUE(list.sack_count == 0 || sack_on_);
    }
    const std::uint32_t acked = header->acknowledgment - isn_ - 1;
    if (sim::seeds().trace)
      std::printf("%.6f a flags %02x seq %u ack %u len %zu win %u edge %u\n", to_seconds(world_.now - Instant{}),
                  header->flags, header->sequence - theirs_, acked, l3.size() - 20 - header->header_length,
                  header->window, edge_);
    EXPECT_LE(acked, total_ + 1) << "acknowledges what was never sent";
    EXPECT_GE(static_cast<std::int32_t>(acked - acked_), 0) << "acknowledgments never go back";
    acked_ = acked;
    const std::uint32_t edge = acked + (std::uint32_t{header->window} << (syn ? 0 : scale_));
    if (!syn || edge_ == 0) {
      EXPECT_GE(static_cast<std::int32_t>(edge - edge_), 0) << "the window's right edge moved back";
      edge_ = edge;
    }
    for (unsigned i = 0; i < list.sack_count; ++i) EXPECT_LT(list.sack[i].begin - isn_, list.sack[i].end - isn_);
    const std::size_t length = l3.size() - 20 - header->header_length;
    if (syn) return;
    const std::uint64_t at = header->sequence - theirs_ - 1;
    if (length == 0 && !(header->flags & wire::kTcpFin)) return;
    EXPECT_LE(length + (timestamps_on_ ? 12 : 0), std::max<std::size_t>(mss_, 64));
    if (got_.size() < at + length) got_.resize(at + length);
    for (std::size_t i = 0; i < length; ++i) {
      const std::uint8_t byte = l3[20 + header->header_length + i];
      ASSERT_EQ(byte, pattern(at + i, world_.a.address.value)) << "at " << at + i;
      got_[at + i] = true;
    }
    if (header->flags & wire::kTcpFin) fin_at_ = at + length;
    news_ = true;
  }

  std::uint64_t received() const {  // in order
    const auto hole = std::find(got_.begin(), got_.end(), false);
    const auto n = static_cast<std::uint64_t>(hole - got_.begin());
    return n == fin_at_ ? n + 1 : n;
  }

  // ---- what the peer sends
  struct Say {
    unsigned flags = wire::kTcpAck;
    std::uint64_t at = 0;  // place in its stream
    std::uint64_t ack = 0;
    std::size_t length = 0;
    unsigned window = 65535;
    std::int64_t ts_shift = 0;
    std::vector<std::uint32_t> blocks;
    bool garbage = false;
  };

  static void put(Bytes& out, std::uint32_t v) {
    for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<std::uint8_t>(v >> shift));
  }

  void say(const Say& s) {
    Bytes list;
    if ((s.flags & wire::kTcpSyn) && !conn_) {
      list = {2, 4, static_cast<std::uint8_t>(mss_ >> 8), static_cast<std::uint8_t>(mss_)};
      if (offer_sack_) list.insert(list.end(), {1, 1, 4, 2});
      if (offer_scale_) list.insert(list.end(), {1, 3, 3, 2});
    }
    if ((s.flags & wire::kTcpSyn) && !conn_ ? offer_timestamps_ : timestamps_on_) {
      list.insert(list.end(), {1, 1, 8, 10});
      put(list, static_cast<std::uint32_t>(1000 + to_ns(world_.now) / 1'000'000 + s.ts_shift));
      put(list, last_ts_);
    }
    if (!s.blocks.empty()) {
      list.insert(list.end(), {1, 1, 5, static_cast<std::uint8_t>(2 + 4 * s.blocks.size())});
      for (const std::uint32_t edge : s.blocks) put(list, edge);
    }
    if (s.garbage) {
      list.clear();
      for (std::uint64_t i = rng_.below(10) * 4; i > 0; --i) list.push_back(static_cast<std::uint8_t>(rng_.below(256)));
    }
    if (sim::seeds().trace)
      std::printf("%.6f p flags %02x seq %llu ack %llu len %zu win %u%s blocks %zu\n",
                  to_seconds(world_.now - Instant{}), s.flags, static_cast<unsigned long long>(s.at + 1),
                  static_cast<unsigned long long>(s.ack + 1), s.length, s.window, s.garbage ? " garbage" : "",
                  s.blocks.size());
    Bytes payload(s.length);
    for (std::size_t i = 0; i < s.length; ++i) payload[i] = pattern(s.at + i, world_.b.address.value);
    world_.a.deliver(world_.now, Frame()
                                     .ip(world_.b.address, world_.a.address)
                                     .tcp(40000, 80)
                                     .flags(s.flags)
                                     .seq(static_cast<std::uint32_t>(isn_ + 1 + s.at),
                                          static_cast<std::uint32_t>(theirs_ + 1 + s.ack))
                                     .window(s.window)
                                     .tcp_options(list)
                                     .payload(payload)
                                     .l3());
    world_.a.turn(world_.now);
  }

  void open() {
    say({.flags = wire::kTcpSyn, .at = static_cast<std::uint64_t>(-1)});
    conn_ = world_.a.accepted;
    ASSERT_NE(conn_, nullptr);
    Host::Flow& flow = world_.a.flow(conn_);
    flow.to_write = rng_.below(80'000);
    flow.close_when_written = rng_.chance(0.5);
    writes_ = flow.to_write;
    say({});
    ASSERT_TRUE(conn_->synchronized());
  }

  bool is_alive() const { return !world_.a.flows_[conn_].closed; }

  void misbehave() {
    if (!is_alive()) return;
    Say s;
    s.ack = rng_.chance(0.7) ? received() : rng_.below(received() + 1);
    const std::uint64_t low = acked_ > 3000 ? acked_ - 3000 : 0;
    s.at = std::min<std::uint64_t>(rng_.chance(0.5) ? acked_ : low + rng_.below(12'000), total_);
    s.window = window();
    switch (rng_.below(12)) {
      case 0:
      case 1:
      case 2:
      case 3:  // bytes: early, late, twice, in odd pieces
        s.length = std::min<std::uint64_t>(rng_.between(1, rng_.chance(0.5) ? 60 : 1460), total_ - s.at);
        if (s.at + s.length == total_ && rng_.chance(0.3)) s.flags |= wire::kTcpFin;
        break;
      case 4:  // a bare ACK, old or new
        break;
      case 5:  // SACK: true or invented
        if (sack_on_) add_blocks(s);
        break;
      case 6:  // what was never sent
        s.ack = conn_->snd_nxt.value - theirs_ + rng_.below(100'000);
        break;
      case 7:  // an RST that is not exact
        s.flags = wire::kTcpRst;
        s.at = conn_->rcv_nxt.value - isn_ - 1 + rng_.between(1, 70'000);
        break;
      case 8:
        s.flags = wire::kTcpSyn;
        s.at = rng_.chance(0.5) ? acked_ : rng_();
        break;
      case 9:
        s.ts_shift = -static_cast<std::int64_t>(rng_.between(1, 100'000'000));
        s.length = std::min<std::uint64_t>(100, total_ - s.at);
        break;
      case 10:
        s.garbage = true;
        s.flags = static_cast<unsigned>(rng_.below(256)) & ~unsigned{wire::kTcpRst | wire::kTcpFin};
        s.at = rng_.chance(0.5) ? s.at : rng_();
        s.ack = received();
        break;
      case 11:
        world_.run_for(Duration(1us) * rng_.below(rng_.chance(0.1) ? 20'000'000 : 300'000));
        return;
    }
    // A SYN to a conn in TIME-WAIT may well open a new one (RFC 6191), which is not this test's.
    if (conn_->state == State::time_wait) s.flags &= ~unsigned{wire::kTcpSyn};
    say(s);
    if (rng_.chance(0.1)) {
      Host::Flow& flow = world_.a.flow(conn_);
      flow.reading = !flow.reading;
      if (flow.reading) world_.a.read(*conn_);
    }
    if (rng_.chance(0.5)) world_.run_for(Duration(1us) * rng_.below(30'000));
  }

  unsigned window() {
    if (rng_.chance(0.1)) return 0;
    return static_cast<unsigned>(rng_.chance(0.3) ? rng_.below(200) : rng_.below(65536));
  }

  void add_blocks(Say& s) {
    for (std::uint64_t n = rng_.between(1, 3); n > 0; --n) {
      if (rng_.chance(0.3)) {  // anywhere
        s.blocks.push_back(static_cast<std::uint32_t>(rng_()));
        s.blocks.push_back(static_cast<std::uint32_t>(rng_()));
      } else {  // of what was sent, whether it came or not
        const std::uint64_t sent = std::max<std::uint64_t>(conn_->snd_nxt.value - theirs_, 2);
        const std::uint64_t from = rng_.below(sent - 1);
        s.blocks.push_back(static_cast<std::uint32_t>(theirs_ + 1 + from));
        s.blocks.push_back(static_cast<std::uint32_t>(theirs_ + 1 + from + rng_.between(1, 4000)));
      }
    }
  }

  // A peer as it should be: acknowledges what it has, sends what is missing, closes.
  void behave() {
    Host::Flow& flow = world_.a.flow(conn_);
    flow.reading = true;
    flow.close_when_written = true;
    if (is_alive()) world_.a.read(*conn_);
    for (int turns = 0; turns < 20'000 && is_alive() && !is_done(); ++turns) {
      Say s;
      s.ack = received();
      s.at = std::min<std::uint64_t>(acked_, total_ + 1);
      if (acked_ <= total_) {
        const std::uint32_t room = edge_ - acked_;
        s.length = std::min<std::uint64_t>({1000, total_ - acked_, room});
        if (acked_ + s.length == total_) s.flags |= wire::kTcpFin;
      }
      news_ = false;
      say(s);
      world_.run_for(news_ ? 1ms : 250ms);
    }
    if (is_alive()) say({.at = total_ + 1, .ack = received()});  // the FIN of ours that came last
    EXPECT_EQ(resets_, 0u) << "the conn was given up";
    EXPECT_EQ(received(), writes_ + 1) << "not all of ours came: " << name_of(conn_->state) << " flight "
                                       << conn_->flight() << " wnd " << conn_->snd_wnd;
    EXPECT_EQ(flow.read, total_);
    world_.run_for(10s);
    EXPECT_TRUE(flow.closed);
    EXPECT_EQ(name_of(flow.reason), name_of(CloseReason::finished));
    EXPECT_EQ(world_.a.stack->conns_in_use(), 0u);
    EXPECT_EQ(world_.a.stack->chunks_in_use(), 0u);
    EXPECT_EQ(world_.a.pool->in_use(), 0u);
  }

  bool is_done() const { return received() == writes_ + 1 && acked_ == total_ + 1; }

  Rng rng_;
  mutable World world_;
  Conn* conn_ = nullptr;
  std::uint32_t isn_ = 0;
  std::uint64_t total_ = 0;   // bytes that the peer sends
  std::uint64_t writes_ = 0;  // bytes that our application sends
  bool offer_timestamps_ = false, offer_sack_ = false, offer_scale_ = false;
  bool timestamps_on_ = false, sack_on_ = false;
  std::uint16_t mss_ = 1460;
  std::uint8_t scale_ = 0;
  std::uint32_t theirs_ = 0;  // our stack's ISN
  std::uint32_t acked_ = 0;   // of the peer's bytes, by our stack
  std::uint32_t edge_ = 0;
  std::uint32_t last_ts_ = 0;
  std::vector<bool> got_;
  std::uint64_t fin_at_ = UINT64_MAX;
  unsigned resets_ = 0;
  bool news_ = false;
  std::uint64_t digest_ = 0xcbf29ce484222325;
};

TEST(TcpPeerSim, WhateverAPeerSaysNothingIsLostAndNothingInvented) {
  sim::for_each_seed(150, [](std::uint64_t seed) { return PeerRun(seed).go(); });
}

}  // namespace
}  // namespace sluice::tcp::test
