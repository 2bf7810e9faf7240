// HttpWorld: a Datapath with a virtual server in mode http, clients and members around it with a real TCP stack, and
// virtual time.
//
//   HttpWorld world;                                    // 172.16.40.80:80, members 10.244.0.76:80 and 10.244.1.37:80
//   Far& client = world.connect();
//   client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
//   world.run_until([&] { return client.has("\r\n\r\nhello"); });
//
// Every frame of the engine is checked (lengths, checksums); at the end no packet, conn or count may be left.
// Called by: tests/lb/l7/*.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "dataplane/ip/fib.h"
#include "dataplane/tcp/stack.h"
#include "lb/datapath/datapath.h"
#include "lb/l7/profile.h"
#include "lb/l7/proxy.h"
#include "tests/support/eal.h"
#include "tests/support/lb_pool.h"
#include "tests/support/packets.h"

namespace sluice::lb {

class HttpWorld;

// One end of a connection outside of the engine: a client's or a member's.
struct Far {
  HttpWorld* world = nullptr;
  tcp::Conn* conn = nullptr;  // null once it is over
  Ipv4Endpoint local, remote;
  bool is_member = false;
  std::string received;     // everything
  std::size_t handled = 0;  // a member: bytes of `received` that were answered
  std::string to_send;      // waits for room
  std::size_t piece = 0;    // 0: as much as there is; else this many bytes in a packet of its own
  bool close_when_sent = false;
  bool reading = true;  // false: what comes stays in the receive queue
  bool established = false;
  bool peer_closed = false;
  bool closed = false;
  tcp::CloseReason reason = tcp::CloseReason::none;

  void send(std::string_view bytes);
  void close();
  void abort();
  bool has(std::string_view text) const { return received.find(text) != std::string::npos; }
  std::size_t count(std::string_view text) const;
};

struct HttpWorldOptions {
  HttpOptions http;
  std::uint32_t buffers = 8191;
  std::uint32_t conns_max = 4096;
  Duration delay = 100us;  // one way
  bool checks = true;      // of every frame that the engine sends
  bool bursts = false;     // what arrives at the same instant comes to the engine in one burst
};

class HttpWorld {
 public:
  explicit HttpWorld(const HttpWorldOptions& options = {});
  ~HttpWorld();

  // Installs the virtual server with these options (anew: a change of configuration), and pool members.
  void install(const HttpOptions& http);
  void install();
  std::function<void(VirtualServerSpec&)> edit_server;  // before it is installed
  std::vector<MemberSpec> members;                      // of pool "web"
  Balance balance = Balance::round_robin;
  ServiceDownAction service_down = ServiceDownAction::none;
  std::vector<PoolSpec> more_pools;

  Far& connect(std::string_view from = "172.16.40.10", std::uint16_t port = 0);
  bool run_until(const std::function<bool()>& condition, Duration limit = 10s);
  void run_for(Duration time);
  // A request on a connection of its own; everything that came until it closed or 10 s went by.
  std::string get(std::string_view request);

  // What members do: called whenever one of their conns has new bytes. Default: answers each request with
  // `answer` (see default_member).
  std::function<void(Far&)> member;
  std::function<bool(const std::string& head, Far&)> answer;          // false: no answer
  std::vector<std::string> requests;                                  // heads (and bodies) that members got, in order
  bool members_listen = true;                                         // false: SYNs are refused
  std::function<bool(const test::Bytes& frame, bool to_engine)> tap;  // false: the frame is lost
  std::function<void(packet::Packet, const test::Bytes& frame)> on_received;  // by the engine, before it acts
  std::function<void(const test::SentFrame&)> on_sent;

  Proxy& proxy() { return datapath_->proxy(); }
  Datapath& datapath() { return *datapath_; }
  const VirtualServer& server() const { return snapshot_->virtual_servers()[0]; }
  HttpTotals http() const { return server().runtime->http.sum(); }
  MemberRuntime& member_runtime(std::size_t i) { return *snapshot_->pools()[0]->members[i].runtime; }
  std::vector<ErrorRecord> errors() const;
  std::list<Far>& fars() { return fars_; }
  std::size_t member_conns() const;  // open ones
  Registry& registry() { return registry_; }
  packet::Drops& drops() { return drops_; }
  std::uint32_t engine_buffers() const { return pool_->in_use(); }
  // rx + generated = tx + drops + consumed + what conns hold.
  void check_accounting();

  Instant now = instant_ns(1'000'000'000'000);

 private:
  friend struct Far;
  class FarNetwork;
  struct Flight {
    Instant at;
    std::uint64_t number;
    bool to_engine;
    test::Bytes frame;
    bool operator>(const Flight& other) const { return std::pair(at, number) > std::pair(other.at, other.number); }
  };
  void turn();
  void far_turn();
  void pump(Far& far);
  void default_member(Far& far);
  void deliver(const Flight& flight);
  void to_far(const test::Bytes& frame);
  void fly(bool to_engine, test::Bytes frame);

  HttpWorldOptions options_;
  test::TestPool pool_;
  test::TestPool far_pool_;
  test::CollectSink sink_;
  packet::Drops drops_;
  packet::Drops far_drops_;
  Registry registry_{1};
  std::shared_ptr<const Snapshot> snapshot_;
  std::shared_ptr<const HttpProfile> profile_;
  std::unique_ptr<Datapath> datapath_;
  tcp::Options far_options_;
  std::unique_ptr<FarNetwork> far_network_;
  std::unique_ptr<tcp::Stack> far_stack_;
  std::list<Far> fars_;
  std::priority_queue<Flight, std::vector<Flight>, std::greater<>> flights_;
  std::uint64_t number_ = 0;
  std::uint16_t next_port_ = 40000;
  std::uint64_t received_ = 0, sent_ = 0;
};

// "HTTP/1.1 200 OK" with a body and its length.
std::string ok(std::string_view body, std::string_view more_fields = "");

}  // namespace sluice::lb
