// A whole node on a virtual clock: the production duty cycle over a memory port, with a virtual server in mode tcp and
// one in mode http; real TCP stacks as clients and members, and links between them with faults from a seed.
//
// Oracles: what a client reads is what its member wrote for it, and the other way; a conn has one member for life;
// every frame of the node has right lengths and checksums; when the faults stop, new clients are served; afterwards no
// packet, conn, session, flow or count is left. Called by: ./test, by hand (--seeds N). Follows: design.md ("Pure
// machines, one clock"). Tested by: the same seed gives the same digest.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <list>
#include <queue>

#include "dataplane/base/rng.h"
#include "dataplane/ip/fib.h"
#include "dataplane/ip/neighbor.h"
#include "dataplane/packet/chain.h"
#include "dataplane/port/memory_port.h"
#include "dataplane/tcp/stack.h"
#include "dataplane/worker/worker.h"
#include "lb/datapath/datapath.h"
#include "lb/l7/proxy.h"
#include "tests/sim/seeds.h"
#include "tests/support/eal.h"
#include "tests/support/lb_pool.h"
#include "tests/support/packets.h"

namespace sluice::lb {
namespace {

using sluice::test::Bytes;

constexpr std::uint16_t kEchoPort = 7;
constexpr std::uint16_t kHttpPort = 80;
constexpr const char* kMembers[] = {"10.244.0.76", "10.244.1.37", "10.244.1.38"};
// Digest of everything that leaves the node, and when.
constexpr std::uint64_t kDigestBegin = 0xcbf29ce484222325, kDigestPrime = 0x100000001b3;

char pattern(std::uint64_t place, std::uint64_t salt) {
  return static_cast<char>('a' + (place * 2654435761U / 64 + place + salt * 7) % 26);
}
std::string body_of(std::uint64_t length, std::uint64_t salt) {
  std::string text(length, ' ');
  for (std::uint64_t i = 0; i < length; ++i) text[i] = pattern(i, salt);
  return text;
}

struct Faults {
  double lose = 0, duplicate = 0, reorder = 0, corrupt = 0;
  Duration delay = 200us, reorder_by = 2ms;
};

// One end of a conn outside of the node.
struct End {
  tcp::Conn* conn = nullptr;  // null once it is over
  Ipv4Endpoint local, remote;
  bool is_member = false;
  std::string received, to_send;
  std::size_t handled = 0;
  bool close_when_sent = false, closed = false, peer_closed = false;
  tcp::CloseReason reason = tcp::CloseReason::none;
  // A client's plan: what it asks for, one after the other, and what must come back.
  std::uint64_t salt = 0;
  std::vector<std::uint64_t> requests;  // mode http: body lengths
  std::size_t asked = 0, answered = 0;
  std::string echo;    // mode tcp: what it sends
  std::string member;  // who answers
};

class Node final : public tcp::Network {
 public:
  Node(std::uint64_t seed, Rng& rng)
      : rng_(rng),
        pool_(8191),
        far_pool_(16383),
        worker_(0, 0, *pool_, true),
        far_stack_(now_, {.conns_max = 4096, .chunks_max = 16384}, HashSeed{seed, 2}, *this, *far_pool_, far_drops_) {
    packet::PortInfo info;
    info.name = "int";
    info.id = 0;
    info.mac = sluice::test::kOwnMac;
    port_ = std::make_unique<port::MemoryPort>(port::MemoryPort::Options{.info = info, .queues = 1, .depth = 4096});
    worker_.add_rx(0, port_->queue(0));
    worker_.transmitter().add_queue(0, packet::PortKind::network, port_->queue(0));
    DatapathOptions options;
    options.ports = {info};
    options.flows_max = 4096;
    options.conns_max = 4096;
    options.seed = HashSeed{seed, 3};
    options.start = now_;
    auto made = Datapath::create(options, worker_.transmitter(), worker_.drops(), worker_.pool(), nullptr);
    if (!made) std::abort();
    datapath_ = made->get();
    worker_.set_application(std::move(*made));
    const auto route = [&](const char* prefix, ip::NextHop hop) {
      EXPECT_TRUE(datapath_->fib().apply({*Ipv4Prefix::parse(prefix), {hop}}).has_value());
    };
    route("172.16.40.0/24", ip::NextHop::connected(0));
    for (const char* ours : {"172.16.40.80/32", "172.16.40.202/32"}) route(ours, ip::NextHop::local());
    route("10.0.0.0/8", ip::NextHop::via(0, address("172.16.40.199")));
    for (const char* known : {"172.16.40.199", "172.16.40.10", "172.16.40.11"})
      EXPECT_TRUE(datapath_->neighbors().set_permanent(now_, 0, address(known), sluice::test::kPeerMac).has_value());
    Builder builder(registry_, balance::state_factory(1));
    builder.add_self_ip({*Ipv4Interface::parse("172.16.40.202/24"), 0});
    for (const auto& [name, mode, at] : {std::tuple{"web", Mode::http, kHttpPort}, {"echo", Mode::tcp, kEchoPort}}) {
      PoolSpec pool;
      pool.name = name;
      pool.balance = rng_.chance(0.5) ? Balance::round_robin : Balance::least_connections_member;
      for (const char* member : kMembers) {
        MemberSpec& spec = pool.members.emplace_back();
        spec.endpoint = {address(member), at};
        spec.verdict.status = MonitorStatus::up;
      }
      builder.add_pool(pool);
      VirtualServerSpec server;
      server.name = name;
      server.destination = {address("172.16.40.80"), at};
      server.mode = mode;
      server.pool = name;
      builder.add_virtual_server(server);
    }
    auto next = builder.build(now_, nullptr);
    if (!next) std::abort();
    snapshot_ = *next;
    datapath_->install(now_, snapshot_.get());
    far_options_.retries_max = far_options_.syn_retries_max = 100;
    far_options_.connect_timeout = far_options_.fin_wait_timeout = 10h;
    far_options_.idle_timeout = far_options_.zero_window_timeout = 0s;
    far_options_.time_wait = 1s;
    far_options_.sack = rng_.chance(0.8);
    far_options_.timestamps = rng_.chance(0.8);
    far_options_.window_scale = rng_.chance(0.8);
    far_options_.mss_max = static_cast<std::uint16_t>(rng_.chance(0.6) ? 1460 : rng_.between(200, 1460));
    far_options_.receive_buffer_bytes =
        static_cast<std::uint32_t>(rng_.chance(0.7) ? 262'144 : rng_.between(500, 9000));
  }

  ~Node() override {
    datapath_->on_stop(now_);
    worker_.transmitter().drop_all(DropReason::shutting_down);
    port_->drain();
  }

  End& client(std::uint16_t port) {
    End& end = ends_.emplace_back();
    end.local = {address(rng_.chance(0.5) ? "172.16.40.10" : "172.16.40.11"), next_port_++};
    end.remote = {address("172.16.40.80"), port};
    end.salt = ends_.size();
    if (port == kHttpPort) {
      for (std::uint64_t n = rng_.between(1, 6); n > 0; --n)
        end.requests.push_back(rng_.chance(0.2) ? rng_.below(150'000) : rng_.below(3000));
    } else {
      end.echo = body_of(rng_.chance(0.2) ? rng_.below(100'000) : rng_.between(1, 4000), end.salt);
      end.to_send = end.echo;
    }
    end.conn = far_stack_.connect(now_, {end.local, end.remote}, far_options_, &end);
    EXPECT_NE(end.conn, nullptr);
    return end;
  }

  bool run_until(const std::function<bool()>& condition, Duration limit) {
    const Instant until = now_ + limit;
    for (;;) {
      far_turn();
      while (worker_.duty_cycle(now_)) take();
      take();
      if (condition()) return true;
      Instant next = std::min(far_stack_.next_timer(), datapath_->next_timer());
      if (!flights_.empty()) next = std::min(next, flights_.top().at);
      if (next > until) {
        now_ = until;
        return false;
      }
      now_ = std::max(now_, next);
      while (!flights_.empty() && flights_.top().at <= now_) {
        const Flight flight = flights_.top();
        flights_.pop();
        deliver(flight);
      }
      far_stack_.on_timers(now_, 1000);
    }
  }
  void run_for(Duration time) {
    run_until([] { return false; }, time);
  }

  // Nobody is in the middle of anything any more.
  bool is_quiet() {
    return std::ranges::all_of(ends_, [](const End& end) { return end.closed; }) && far_stack_.conns_in_use() == 0 &&
           proxy().stack().conns_in_use() == 0 && flights_.empty();
  }

  void judge_end() {
    EXPECT_EQ(far_pool_->in_use(), 0u);
    EXPECT_EQ(pool_->in_use(), 0u) << "packets were leaked";
    EXPECT_EQ(proxy().counters().sessions_open.get(), 0u);
    EXPECT_EQ(proxy().stack().chunks_in_use(), 0u);
    for (const auto& server : snapshot_->virtual_servers()) {
      EXPECT_EQ(server.runtime->connections.current(), 0u) << server.name;
      EXPECT_EQ(server.runtime->half_open.load(), 0u) << server.name;
    }
    for (const auto& pool : snapshot_->pools())
      for (const auto& runtime : pool->runtimes)
        EXPECT_EQ(runtime->connections.current(), 0u) << runtime->endpoint.text();
    const packet::Drops& drops = worker_.drops();
    EXPECT_EQ(received_ + drops.generated(), sent_ + drops.counters().total() + drops.consumed());
  }

  // Whether this client got all that it asked for.
  static bool is_served(const End& end) {
    if (end.reason != tcp::CloseReason::finished) return false;
    if (!end.requests.empty()) return end.answered == end.requests.size();
    return end.received.size() == end.member.size() + end.echo.size() && !end.received.empty();
  }

  Faults faults;
  std::uint64_t digest() const { return digest_; }
  std::list<End>& ends() { return ends_; }
  std::string state() {
    std::string text;
    for (const End& end : ends_) {
      if (end.closed) continue;
      text += fmt::format("{} > {} {} got {} asked {} answered {}; ", end.local.text(), end.remote.text(),
                          end.conn ? tcp::name_of(end.conn->state) : "-", end.received.size(), end.asked, end.answered);
    }
    proxy().stack().visit(0, UINT32_MAX, [&](tcp::Conn& conn) {
      text +=
          fmt::format("node {} > {} {}; ", conn.tuple.local.text(), conn.tuple.remote.text(), tcp::name_of(conn.state));
    });
    return text;
  }

  // ---- tcp::Network of the far side
  void output(Instant at, tcp::Conn& conn, packet::Packet segment) override { output_reply(at, conn.tuple, segment); }
  void output_reply(Instant, const tcp::Tuple& tuple, packet::Packet segment) override {
    const auto length = static_cast<std::uint16_t>(segment.length());
    Bytes frame(wire::kEthernetLength + wire::kIpv4Length);
    std::copy_n(sluice::test::kOwnMac.bytes.data(), 6, frame.data());
    std::copy_n(sluice::test::kPeerMac.bytes.data(), 6, frame.data() + 6);
    wire::store_be16(frame.data() + 12, wire::kEtherTypeIpv4);
    wire::emit_ipv4(frame.data() + wire::kEthernetLength,
                    {.total_length = static_cast<std::uint16_t>(length + wire::kIpv4Length),
                     .dont_fragment = true,
                     .protocol = wire::kProtocolTcp,
                     .source = tuple.local.address,
                     .destination = tuple.remote.address});
    const Bytes bytes = sluice::test::to_bytes(segment);
    far_drops_.consume(segment);
    frame.insert(frame.end(), bytes.begin(), bytes.end());
    std::uint8_t* tcp = frame.data() + wire::kEthernetLength + wire::kIpv4Length;
    wire::store_be16(tcp + wire::kTcpChecksum,
                     wire::l4_checksum(tuple.local.address, tuple.remote.address, wire::kProtocolTcp, {tcp, length}));
    fly(true, std::move(frame));
  }

 private:
  struct Flight {
    Instant at;
    std::uint64_t number;
    bool to_node;
    Bytes frame;
    bool operator>(const Flight& other) const { return std::pair(at, number) > std::pair(other.at, other.number); }
  };

  Proxy& proxy() { return datapath_->proxy(); }

  void fly(bool to_node, Bytes frame) {
    if (rng_.chance(faults.lose)) return;
    for (int copies = rng_.chance(faults.duplicate) ? 2 : 1; copies > 0; --copies) {
      Bytes copy = frame;
      if (rng_.chance(faults.corrupt)) {
        corrupted_ = true;
        copy[14 + rng_.below(copy.size() - 14)] ^= static_cast<std::uint8_t>(1 + rng_.below(255));
      }
      Duration delay = faults.delay;
      if (rng_.chance(faults.reorder))
        delay += Duration(static_cast<std::int64_t>(rng_.below(static_cast<std::uint64_t>(faults.reorder_by.count()))));
      flights_.push({now_ + delay, number_++, to_node, std::move(copy)});
    }
  }

  void deliver(const Flight& flight) {
    if (!flight.to_node) return to_far(flight.frame);
    packet::Packet packet = sluice::test::to_packet(*pool_, flight.frame);
    if (port_->inject(0, {&packet, 1}) == 1)
      ++received_;
    else
      packet::discard(packet);
  }

  // What the node sent.
  void take() {
    for (;;) {
      packet::Batch batch;
      port_->take(0, batch);
      if (batch.count == 0) return;
      for (const packet::Packet packet : batch.view()) {
        ++sent_;
        const Bytes frame = sluice::test::to_bytes(packet);
        packet::discard(packet);
        // What is only passed on is as good as it came in.
        if (!corrupted_) {
          EXPECT_EQ(sluice::test::faults(frame), "") << sluice::test::describe(frame);
        }
        for (const std::uint8_t byte : frame) digest_ = (digest_ ^ byte) * kDigestPrime;
        digest_ = (digest_ ^ static_cast<std::uint64_t>(to_ns(now_))) * kDigestPrime;
        fly(false, frame);
      }
    }
  }

  void to_far(const Bytes& frame) {
    packet::Packet packet = sluice::test::to_packet(*far_pool_, frame);
    wire::Layers layers;
    const wire::ParseOptions parse{sluice::test::kPeerMac, true};
    const auto reason = wire::parse(packet.bytes(), packet.length(), parse, layers);
    if (reason || layers.kind != wire::PacketKind::tcp) return far_drops_.consume(packet);
    wire::ChecksumSum sum;
    sum.add_pseudo_header(layers.source, layers.destination, wire::kProtocolTcp, layers.l4_length());
    packet::add_to_checksum(packet, layers.l4_offset, layers.l4_length(), sum);
    if (sum.finish() != 0) return far_drops_.consume(packet);
    const tcp::Tuple tuple{{layers.destination, layers.dst_port}, {layers.source, layers.src_port}};
    tcp::Conn* conn = far_stack_.find(tuple);
    if (conn && far_stack_.recycle(now_, *conn, packet, layers)) conn = nullptr;
    if (conn) return far_stack_.input(now_, *conn, packet, layers);
    if (tuple.local.port != kEchoPort && tuple.local.port != kHttpPort)
      return far_stack_.refuse(now_, tuple, packet, layers);
    if (tcp::Conn* fresh = far_stack_.accept(now_, tuple, packet, layers, far_options_, nullptr)) {
      End& end = ends_.emplace_back();
      end.conn = fresh;
      end.local = tuple.local;
      end.remote = tuple.remote;
      end.is_member = true;
      if (tuple.local.port == kEchoPort) end.to_send = tuple.local.address.text() + "!";
      fresh->owner = &end;
    }
  }

  void far_turn() {
    while (tcp::Conn* conn = far_stack_.take_ready()) {
      const std::uint8_t events = std::exchange(conn->events, std::uint8_t{0});
      if (conn->owner == nullptr) continue;
      End& end = *static_cast<End*>(conn->owner);
      while (const packet::Packet packet = far_stack_.receive(*conn)) {
        const Bytes bytes = sluice::test::to_bytes(packet);
        end.received.append(bytes.begin(), bytes.end());
        far_drops_.consume(packet);
      }
      if (events & tcp::kPeerClosed) end.peer_closed = true;
      if (end.is_member)
        serve(end);
      else
        check(end);
      if (end.peer_closed) end.close_when_sent = true;
      if (events & tcp::kClosed) {
        end.closed = true;
        end.reason = conn->close_reason;
        end.conn = nullptr;
        far_stack_.release(now_, *conn);
        continue;
      }
      pump(end);
    }
    for (End& end : ends_)
      if (!end.closed) pump(end);
    far_stack_.flush(now_);
  }

  void pump(End& end) {
    if (end.conn == nullptr || end.conn->state == tcp::State::closed) return;
    while (!end.to_send.empty() && end.conn->can_send()) {
      const std::size_t n = std::min<std::size_t>({end.to_send.size(), far_stack_.send_room(*end.conn), 1400});
      if (n == 0) break;
      const packet::Packet packet =
          packet::from_bytes(*far_pool_, {reinterpret_cast<const std::uint8_t*>(end.to_send.data()), n});
      if (!packet) break;
      if (!far_stack_.send(now_, *end.conn, packet)) {
        far_drops_.consume(packet);
        break;
      }
      end.to_send.erase(0, n);
    }
    if (end.to_send.empty() && end.close_when_sent && !end.conn->fin_queued) far_stack_.close(now_, *end.conn);
  }

  // A member: echoes, or answers "GET /<length>/<salt>".
  void serve(End& end) {
    if (end.local.port == kEchoPort) {
      end.to_send += end.received.substr(end.handled);
      end.handled = end.received.size();
      return;
    }
    for (;;) {
      const std::size_t head = end.received.find("\r\n\r\n", end.handled);
      if (head == std::string::npos) return;
      unsigned long long length = 0, salt = 0;
      EXPECT_EQ(std::sscanf(end.received.c_str() + end.handled, "GET /%llu/%llu ", &length, &salt), 2)
          << end.received.substr(end.handled);
      end.handled = head + 4;
      end.to_send += fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Member: {}\r\n\r\n", length,
                                 end.local.address.text()) +
                     body_of(length, salt);
    }
  }

  // A client: is what came what it must be?
  void check(End& end) {
    if (end.requests.empty()) {
      const std::size_t bang = end.received.find('!');
      if (bang == std::string::npos) return;
      end.member = end.received.substr(0, bang + 1);
      const std::string_view got = std::string_view(end.received).substr(bang + 1);
      EXPECT_EQ(got, std::string_view(end.echo).substr(0, got.size())) << end.local.text();
      if (got.size() == end.echo.size()) end.close_when_sent = true;
      return;
    }
    for (;;) {
      if (end.asked == end.answered && end.asked < end.requests.size() && end.conn->state == tcp::State::established) {
        end.to_send += fmt::format("GET /{}/{} HTTP/1.1\r\nHost: sim\r\n\r\n", end.requests[end.asked], end.salt);
        ++end.asked;
      }
      const std::size_t head = end.received.find("\r\n\r\n", end.handled);
      if (head == std::string::npos) return;
      const std::string text = end.received.substr(end.handled, head - end.handled);
      if (text.rfind("HTTP/1.1 200", 0) != 0) {  // our own page: a member could not be reached in time
        end.close_when_sent = true;
        return;
      }
      if (end.answered == end.requests.size()) {
        ADD_FAILURE() << "more answers than requests: " << text;
        return;
      }
      const std::uint64_t length = end.requests[end.answered];
      if (end.received.size() < head + 4 + length) return;
      EXPECT_NE(text.find(fmt::format("Content-Length: {}", length)), std::string::npos) << text;
      EXPECT_EQ(end.received.compare(head + 4, length, body_of(length, end.salt)), 0) << end.local.text();
      const std::size_t at = text.find("X-Member: ");
      const std::string who = at == std::string::npos ? "?" : text.substr(at, text.find("\r\n", at) - at);
      if (end.member.empty()) end.member = who;
      EXPECT_EQ(who, end.member) << "one member for each client conn";
      end.handled = head + 4 + length;
      if (++end.answered == end.requests.size()) end.close_when_sent = true;
    }
  }

  Rng& rng_;
  Instant now_ = instant_ns(1'000'000'000'000);
  sluice::test::TestPool pool_, far_pool_;
  Registry registry_{1};
  std::shared_ptr<const Snapshot> snapshot_;
  std::unique_ptr<port::MemoryPort> port_;
  worker::Worker worker_;
  Datapath* datapath_ = nullptr;
  tcp::Options far_options_;
  packet::Drops far_drops_;
  tcp::Stack far_stack_;
  std::list<End> ends_;
  std::priority_queue<Flight, std::vector<Flight>, std::greater<>> flights_;
  std::uint64_t number_ = 0, received_ = 0, sent_ = 0;
  std::uint64_t digest_ = kDigestBegin;
  std::uint16_t next_port_ = 40000;
  bool corrupted_ = false;
};

std::uint64_t run(std::uint64_t seed) {
  Rng rng(seed * 0x9e3779b97f4a7c15 + 2);
  Node node(seed, rng);
  const bool heavy = rng.chance(0.3);  // then conns of the node may time out, but nothing may go wrong
  const auto draw = [&](double most) {
    return rng.chance(0.5) ? most * static_cast<double>(rng.below(1000)) / 1000 : 0;
  };
  Faults& faults = node.faults;
  faults.lose = draw(heavy ? 0.5 : 0.05);
  faults.duplicate = draw(0.1);
  faults.reorder = draw(0.4);
  faults.corrupt = draw(heavy ? 0.2 : 0.03);
  faults.delay = Duration(10us) * rng.between(1, 2000);
  faults.reorder_by = Duration(100us) * rng.between(1, 200);
  const std::uint64_t clients = rng.between(2, 25);
  for (std::uint64_t i = 0; i < clients; ++i) {
    node.client(rng.chance(0.5) ? kHttpPort : kEchoPort);
    node.run_for(Duration(1us) * rng.below(200'000));
  }
  node.run_for(Duration(1ms) * rng.below(3000));
  node.faults = {};
  // The faults are over: who comes now is served, whatever became of the others.
  std::vector<End*> fresh;
  for (int i = 0; i < 4; ++i) fresh.push_back(&node.client(i % 2 == 0 ? kHttpPort : kEchoPort));
  const bool served =
      node.run_until([&] { return std::ranges::all_of(fresh, [](const End* end) { return end->closed; }); }, 120s);
  EXPECT_TRUE(served) << node.state();
  for (const End* end : fresh) EXPECT_TRUE(Node::is_served(*end)) << end->local.text() << " " << node.state();
  EXPECT_TRUE(node.run_until([&] { return node.is_quiet(); }, 2h)) << "does not come to an end: " << node.state();
  if (!heavy) {
    for (const End& end : node.ends())
      EXPECT_TRUE(end.is_member || Node::is_served(end))
          << end.local.text() << " > " << end.remote.text() << " " << tcp::name_of(end.reason);
  }
  node.run_for(1h);  // flows of mode tcp age
  node.judge_end();
  return node.digest();
}

TEST(NodeSim, ServesThroughFaultsAndForgetsNothing) { sim::for_each_seed(12, run); }

}  // namespace
}  // namespace sluice::lb

SLUICE_SIM_MAIN()
