// A stack of ours against a peer written by hand: each test reads as a trace of segments in and out.
//
//   Script s;
//   s.in("S seq 0 <mss 1460,sack,ts 100 0,ws 7>");
//   EXPECT_EQ(s.out(), "SA seq 0 ack 1 win 65535 <mss 1460,ws 3,sack,ts>");
//   s.in("A seq 1 ack 1");
//
// Numbers are relative: the peer's to its ISN (kPeerIsn), ours to conn.iss; "len n" is n bytes of pattern. Our
// timestamp values are not printed unless asked; the peer's echo is filled in with our last one unless given.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/dataplane/tcp/world.h"

namespace sluice::tcp::test {

class Script {
 public:
  static constexpr std::uint32_t kPeerIsn = 0xfffffff0;  // wraps soon

  explicit Script(const WorldOptions& options = quiet());
  static WorldOptions quiet();  // no idle timeout, no delayed ACK surprises beyond the default

  // Handshakes, after which nothing is pending.
  void open_passive(std::string_view syn_options = "<mss 1460,sack,ts 1 0,ws 7>", Duration round_trip = 0s);
  void begin_active();  // our SYN is out
  void open_active(std::string_view syn_ack_options = "<mss 1460,sack,ts 1 0,ws 7>");

  void in(std::string_view segment);  // a segment from the peer, then one turn
  void wait(Duration duration) { world.run_for(duration); }
  std::string out();               // the oldest segment we sent and not yet looked at; "" when none
  std::vector<std::string> all();  // all of them
  void forget() { sent_.clear(); }
  void write(std::uint64_t bytes);  // our application
  void close();
  // A conn more, from this port; it becomes conn(). False when there is none.
  bool open_from(std::uint16_t port, std::string_view syn_options = "<mss 1460>");
  void turn() { world.a.turn(world.now); }
  Conn& conn() { return *conn_; }
  std::uint32_t last_timestamp() const { return our_last_ts_; }  // of the segments looked at
  Host::Flow& flow() { return world.a.flow(conn_); }
  Stack& stack() { return *world.a.stack; }

  World world;
  std::uint32_t our_isn = 0;
  std::uint32_t ts_clock = 1;  // the peer's timestamp when a segment gives none
  bool with_timestamps = false;
  std::uint16_t peer_port = 40000;  // may be changed: the peer then has another conn

 private:
  std::string describe(const sluice::test::Bytes& l3);

  std::vector<sluice::test::Bytes> sent_;
  Conn* conn_ = nullptr;
  std::uint32_t our_last_ts_ = 0;
  std::uint16_t our_port_ = 80;
};

}  // namespace sluice::tcp::test
