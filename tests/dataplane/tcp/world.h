// Two TCP stacks of ours and a link between them that loses, delays, reorders, duplicates and corrupts, from a seed.
//
//   World world({.seed = 7, .lose = 0.05});
//   Conn* conn = world.connect();
//   world.a.write(conn, 1'000'000);           // a pattern; the other side checks every byte of it
//   world.run_until([&] { return …; }, 60s);
//
// Every segment crosses the link as bytes: it is written by one stack, checked by the tests' own checker, and parsed by
// the other as if it came from a NIC. Time is virtual.
#pragma once

#include <functional>
#include <map>
#include <queue>
#include <string>

#include "dataplane/base/rng.h"
#include "dataplane/tcp/stack.h"
#include "tests/support/eal.h"
#include "tests/support/packets.h"

namespace sluice::tcp::test {

struct LinkOptions {
  std::uint64_t seed = 1;
  double lose = 0;
  double duplicate = 0;
  double corrupt = 0;
  double reorder = 0;  // such segments wait up to `reorder_by` longer
  Duration reorder_by = 5ms;
  Duration delay = 1ms;            // one way
  std::uint64_t bits_per_s = 0;    // 0: no limit
  std::uint32_t queue_max = 1000;  // segments that wait for the line when it is limited
  std::uint32_t mtu = 0;           // larger packets are dropped on the way; 0: none is too large
  double icmp = 1;                 // how often the sender of such a packet is told
};

struct WorldOptions {
  LinkOptions link;
  Options tcp;
  Limits limits{.conns_max = 4096, .chunks_max = 8192};
  std::uint32_t buffers = 8191;
};

class World;

// One stack, its pool, and an application that writes patterns, checks what comes and closes when told.
class Host : public Network {
 public:
  Host(World& world, std::string name, Ipv4Address address, const WorldOptions& options);
  ~Host() override;

  void output(Instant now, Conn& conn, packet::Packet segment) override;
  void output_reply(Instant now, const Tuple& tuple, packet::Packet segment) override;

  struct Flow {
    std::uint64_t to_write = 0;  // bytes of the pattern not yet handed to the stack
    std::uint64_t written = 0;
    std::uint64_t read = 0;
    bool close_when_written = false;
    bool close_on_peer_close = true;
    bool reading = true;  // false: bytes stay in the receive queue
    bool established = false;
    bool peer_closed = false;
    bool closed = false;
    CloseReason reason = CloseReason::none;
  };

  // Runs what a worker runs: ready conns, then flush.
  void turn(Instant now);
  void deliver(Instant now, const sluice::test::Bytes& l3);
  Flow& flow(const Conn* conn) { return flows_[conn]; }
  void pump(Instant now, Conn& conn);
  void read(Conn& conn);  // takes and checks all that waits

  World& world;
  std::string name;
  Ipv4Address address;
  sluice::test::TestPool pool;
  packet::Drops drops;
  Options options;
  std::uint16_t listen_port = 80;
  std::uint32_t write_size = 4000;  // bytes handed over at once, each in a packet chain of its own
  std::unique_ptr<Stack> stack;
  Conn* accepted = nullptr;  // the last one
  std::vector<Conn*> all_accepted;
  std::map<const Conn*, Flow> flows_;
  std::vector<std::pair<Tuple, Flow>> ended;  // conns that are over, with how
};

class World {
 public:
  explicit World(const WorldOptions& options = {});

  // a opens a conn to b's port 80.
  Conn* connect(std::uint16_t src_port = 40000);
  // Runs until the condition holds; false when `limit` of virtual time went by first.
  bool run_until(const std::function<bool()>& condition, Duration limit);
  void run_for(Duration duration) {
    run_until([] { return false; }, duration);
  }
  void transmit(Host& from, const sluice::test::Bytes& l3);
  void report_too_large(Host& to, const sluice::test::Bytes& l3);
  // Puts bytes on the way to a host without any fault; for scripted segments.
  void inject(Host& to, const sluice::test::Bytes& l3, Duration delay = 0ms);
  // What is on the way is lost: no segment outlives its MSL (RFC 9293 section 3.4.1), whatever the clock did.
  void lose_flights();
  // May look at or change a segment, or drop it (false). Before the faults.
  std::function<bool(Host& from, sluice::test::Bytes& l3)> tap;

  Instant now = instant_ns(1'000'000'000'000);
  LinkOptions link;
  Rng rng;
  std::uint64_t sent = 0;
  std::uint64_t lost = 0;
  std::uint64_t digest = 0xcbf29ce484222325;  // of every segment and when it left: the same for the same seed
  bool check_segments = false;                // by the tests' own checker
  bool trace = false;                         // a line for each segment
  Host a;
  Host b;

 private:
  struct Flight {
    Instant at;
    std::uint64_t number;
    Host* to;
    sluice::test::Bytes l3;
    bool too_large = false;  // comes back to its sender as an ICMP error
    bool operator>(const Flight& other) const { return std::pair(at, number) > std::pair(other.at, other.number); }
  };
  std::priority_queue<Flight, std::vector<Flight>, std::greater<>> flights_;
  std::map<Host*, std::queue<Instant>> lines_;
  std::uint64_t number_ = 0;
};

// The byte at a place of a stream: the same for writer and checker, different for each direction.
constexpr std::uint8_t pattern(std::uint64_t place, std::uint32_t salt) {
  return static_cast<std::uint8_t>((place * 2654435761U >> 8) ^ place ^ salt);
}

}  // namespace sluice::tcp::test
