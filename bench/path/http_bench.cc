// What a request costs in mode http: the whole engine between clients and members that run on TCP stacks of their own.
//
// The clock runs only while the engine works (rx burst to tx flush, timers, freeing what was sent): clients, members
// and the copies that stand for the wire and the NICs are outside of it. What the engine sends is copied before the
// other side may touch it, as a NIC would; time is virtual.
//
//   bench-http [--case NAME] [--conns N] [--requests N] [--samples N] [--json]
//
// Cases: keepalive (1 KB answers), oneconnect, close (a connection per request), body64k, body256k, body1m, and only
// when named: crowd (100,000 keep-alive connections: memory of each, and latency at a fixed rate of requests). Prints
// requests per busy second of the core, cycles and packets per request, cycles per body byte, and how many packets of
// body bytes were copied: the last bytes of each such packet that the engine receives say where they lie, and in what
// it sends they must lie there still.
#include <fmt/format.h>
#include <malloc.h>
#include <rte_cycles.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "dataplane/ip/fib.h"
#include "dataplane/ip/neighbor.h"
#include "dataplane/packet/chain.h"
#include "dataplane/port/eal.h"
#include "dataplane/tcp/stack.h"
#include "lb/balance/balance.h"
#include "lb/datapath/datapath.h"
#include "lb/l7/profile.h"
#include "lb/l7/proxy.h"

namespace sluice::bench {
namespace {

using packet::Packet;

constexpr MacAddress kOwnMac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kPeerMac{{2, 0, 0, 0, 0, 2}};
constexpr Ipv4Address kVirtual = Ipv4Address::from_octets(172, 16, 40, 80);

struct Settings {
  std::string name = "keepalive";
  std::uint32_t conns = 256;
  std::uint64_t requests = 200'000;
  unsigned samples = 5;
  std::size_t body = 1024;
  bool close = false;
  bool json = false;
  bool oneconnect = false;
};

template <typename T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "{}\n", result.error().text());
  std::exit(1);
}

// What the engine has handed to its port.
class Tx final : public packet::TxSink {
 public:
  void flush(packet::PortId port) override {
    auto& batch = batches_[port];
    for (const Packet p : batch.view()) sent.push_back(p);
    batch.count = 0;
  }
  std::vector<Packet> sent;
};

// Clients and members: one stack that owns every address but the engine's.
class World final : public tcp::Network {
 public:
  explicit World(const Settings& settings);
  ~World() override;

  void run(std::uint64_t requests);
  // Every client's connection, with a request each, some thousand at a time.
  void open_all();
  // Requests at `rate` a second, each on a connection chosen at random; time passes as the engine takes it. Latencies,
  // from the moment a request was due to the turn in which its answer left the engine.
  std::vector<Duration> run_at(double rate, std::uint64_t requests);
  Instant now() const { return now_; }
  std::uint64_t cycles = 0;
  std::uint64_t answered = 0;
  std::uint64_t packets = 0;       // in and out of the engine
  std::uint64_t bodies = 0;        // packets with body bytes that the engine sent
  std::uint64_t moved_bodies = 0;  // of them, those whose bytes no longer lay where they had been received
  std::uint64_t failed = 0;

  void output(Instant now, tcp::Conn& conn, Packet segment) override { output_reply(now, conn.tuple, segment); }
  void output_reply(Instant, const tcp::Tuple& tuple, Packet segment) override;

 private:
  struct Client {
    tcp::Conn* conn = nullptr;
    std::size_t left = 0;  // bytes of the answer that are to come; 0: its head is next
    bool waiting = false;
    Instant due{};
  };
  void turn(Duration least);
  void far_turn();
  void engine_turn();
  void to_far(Packet frame);
  void on_client(Client& client, tcp::Conn& conn, std::uint8_t events);
  void on_member(tcp::Conn& conn, std::uint8_t events);
  void connect(Client& client);
  void ask(Client& client, tcp::Conn& conn);

  Settings settings_;
  packet::PacketPool pool_;
  packet::PacketPool far_pool_;
  packet::Drops drops_, far_drops_;
  Tx tx_;
  lb::Registry registry_{1};
  std::shared_ptr<const lb::Snapshot> snapshot_;
  std::unique_ptr<lb::Datapath> datapath_;
  tcp::Options far_options_;
  std::unique_ptr<tcp::Stack> far_;
  std::vector<Packet> to_engine_;
  std::vector<Client> clients_;
  std::string request_, response_;
  std::uint64_t to_ask_ = 0;
  bool at_rate_ = false;
  std::vector<Duration> latencies_;
  std::uint32_t next_port_ = 1024;
  std::uint32_t next_address_ = 0;
  Instant now_ = instant_ns(1'000'000'000'000);
};

World::World(const Settings& settings)
    : settings_(settings),
      pool_(must(packet::PacketPool::create("engine", 65535, 256, -1))),
      far_pool_(must(packet::PacketPool::create("far", 65535, 256, -1))),
      clients_(settings.conns) {
  lb::DatapathOptions options;
  packet::PortInfo port;
  port.name = "bench";
  port.id = 0;
  port.mac = kOwnMac;
  port.tx_ipv4_checksum = port.tx_l4_checksum = port.rx_checksum_flags = true;
  options.ports = {port};
  options.conns_max = 1u << 20;
  options.start = now_;
  datapath_ = must(lb::Datapath::create(options, tx_, drops_, pool_, nullptr));
  const auto route = [&](const char* prefix, ip::NextHop hop) {
    if (!datapath_->fib().apply({*Ipv4Prefix::parse(prefix), {hop}})) std::exit(1);
  };
  const auto node = *Ipv4Address::parse("172.16.40.199");
  route("10.0.0.0/8", ip::NextHop::via(0, node));
  route("172.16.40.0/24", ip::NextHop::connected(0));
  route("172.16.40.80/32", ip::NextHop::local());
  if (!datapath_->neighbors().set_permanent(now_, 0, node, kPeerMac)) std::exit(1);

  lb::Builder builder(registry_, lb::balance::state_factory(1));
  builder.add_self_ip({*Ipv4Interface::parse("172.16.40.202/24"), 0});
  lb::PoolSpec pool;
  pool.name = "web";
  pool.balance = lb::Balance::least_connections_member;
  for (unsigned i = 0; i < 4; ++i) {
    lb::MemberSpec& member = pool.members.emplace_back();
    member.endpoint = {{0x0af40001 + i}, 80};
    member.verdict.status = lb::MonitorStatus::up;
  }
  builder.add_pool(pool);
  lb::VirtualServerSpec server;
  server.name = "www";
  server.destination = {kVirtual, 80};
  server.mode = lb::Mode::http;
  server.pool = "web";
  lb::HttpOptions http;
  http.oneconnect.enabled = settings.oneconnect;
  server.http = std::make_shared<lb::HttpProfile>(http, 1);
  builder.add_virtual_server(server);
  snapshot_ = must(builder.build(now_, nullptr));
  datapath_->install(now_, snapshot_.get());

  far_options_.idle_timeout = 0s;
  far_options_.time_wait = 1ms;
  far_ = std::make_unique<tcp::Stack>(now_, tcp::Limits{.conns_max = 1u << 21, .chunks_max = 65536}, HashSeed{3, 4},
                                      *this, far_pool_, far_drops_);
  request_ = fmt::format("GET /index.html HTTP/1.1\r\nHost: 172.16.40.80\r\nUser-Agent: bench\r\nAccept: */*\r\n{}\r\n",
                         settings.close ? "Connection: close\r\n" : "");
  response_ = fmt::format(
      "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 18:00:00 GMT\r\nContent-Type: text/html\r\n"
      "Content-Length: {}\r\nLast-Modified: Sun, 22 Nov 2026 17:00:00 GMT\r\nETag: \"5f0-400\"\r\n"
      "Accept-Ranges: bytes\r\n\r\n",
      settings.body);
  response_ += std::string(settings.body, 'x');
}

World::~World() {
  datapath_->on_stop(now_);
  for (const Packet p : to_engine_) packet::discard(p);
  for (packet::PortId i = 0; i < 1; ++i) tx_.flush(i);
  for (const Packet p : tx_.sent) packet::discard(p);
  far_.reset();
  datapath_.reset();
  pool_.destroy();
  far_pool_.destroy();
}

// The last bytes of a packet that holds body bytes only say their own address.
struct Stamp {
  static constexpr std::uint64_t kMagic = 0x5a1c'e5a1'ce5a'1ce5;
  static constexpr std::uint32_t kLeast = 600;  // payload bytes: so many are body
  std::uint64_t magic;
  const void* where;
};

// A frame as the NIC would have put it into one of the engine's buffers, checksum found good.
void World::output_reply(Instant, const tcp::Tuple& tuple, Packet segment) {
  const std::uint32_t length = segment.length();
  const Packet frame = pool_.allocate();
  if (!frame) {
    far_drops_.consume(segment);
    return;
  }
  std::uint8_t* p = frame.append(static_cast<std::uint16_t>(wire::kEthernetLength + wire::kIpv4Length + length));
  std::memcpy(p, kOwnMac.bytes.data(), 6);
  std::memcpy(p + 6, kPeerMac.bytes.data(), 6);
  wire::store_be16(p + 12, wire::kEtherTypeIpv4);
  wire::emit_ipv4(p + wire::kEthernetLength, {.total_length = static_cast<std::uint16_t>(length + wire::kIpv4Length),
                                              .dont_fragment = true,
                                              .protocol = wire::kProtocolTcp,
                                              .source = tuple.local.address,
                                              .destination = tuple.remote.address});
  packet::copy_out(segment, 0, {p + wire::kEthernetLength + wire::kIpv4Length, length});
  if (length >= Stamp::kLeast) {
    std::uint8_t* const end = frame.data() + frame.length() - sizeof(Stamp);
    const Stamp stamp{Stamp::kMagic, end};
    std::memcpy(end, &stamp, sizeof stamp);
  }
  packet::set_checksums_good(frame);
  far_drops_.consume(segment);
  to_engine_.push_back(frame);
}

void World::to_far(Packet sent) {
  if (const rte_mbuf* last = rte_pktmbuf_lastseg(sent.mbuf()); last->data_len >= sizeof(Stamp)) {
    const void* const end = rte_pktmbuf_mtod_offset(last, const std::uint8_t*, last->data_len - sizeof(Stamp));
    Stamp stamp;
    std::memcpy(&stamp, end, sizeof stamp);
    if (stamp.magic == Stamp::kMagic) {
      ++bodies;
      moved_bodies += stamp.where != end ? 1 : 0;
    }
  }
  const Packet frame = packet::copy(sent, far_pool_);
  if (!frame) return;
  wire::Layers layers;
  const wire::ParseOptions parse{kPeerMac, false};
  if (wire::parse(frame.bytes(), frame.length(), parse, layers) || layers.kind != wire::PacketKind::tcp) {
    far_drops_.consume(frame);
    return;
  }
  const tcp::Tuple tuple{{layers.destination, layers.dst_port}, {layers.source, layers.src_port}};
  tcp::Conn* conn = far_->find(tuple);
  if (conn && far_->recycle(now_, *conn, frame, layers)) conn = nullptr;
  if (conn) return far_->input(now_, *conn, frame, layers);
  if (tuple.local.port != 80) return far_->refuse(now_, tuple, frame, layers);
  far_->accept(now_, tuple, frame, layers, far_options_, nullptr);
}

void World::connect(Client& client) {
  if (++next_port_ > 60000) {
    next_port_ = 1024;
    ++next_address_;
  }
  const Ipv4Endpoint local{{0x0a010001 + next_address_ % 1000}, static_cast<std::uint16_t>(next_port_)};
  client.conn = far_->connect(now_, {local, {kVirtual, 80}}, far_options_, &client);
  client.left = 0;
  client.waiting = false;
}

void World::ask(Client& client, tcp::Conn& conn) {
  if (to_ask_ == 0) return;
  --to_ask_;
  client.waiting = true;
  far_->send_bytes(now_, conn, {reinterpret_cast<const std::uint8_t*>(request_.data()), request_.size()});
}

void World::on_client(Client& client, tcp::Conn& conn, std::uint8_t events) {
  while (const Packet p = far_->receive(conn)) {
    std::size_t n = p.length();
    if (client.left == 0) {
      const std::string_view head(reinterpret_cast<const char*>(p.data()), p.segment_length());
      const std::size_t end = head.find("\r\n\r\n");
      if (end == std::string_view::npos || !head.starts_with("HTTP/1.1 200")) {
        ++failed;
        far_drops_.consume(p);
        continue;
      }
      client.left = settings_.body;
      n -= end + 4;
    }
    client.left -= std::min(n, client.left);
    far_drops_.consume(p);
    if (client.left == 0) {
      ++answered;
      client.waiting = false;
      if (at_rate_) latencies_.push_back(now_ - client.due);
      if (!settings_.close && !at_rate_) ask(client, conn);
    }
  }
  if ((events & tcp::kPeerClosed) != 0) far_->close(now_, conn);
  if ((events & tcp::kEstablished) != 0) ask(client, conn);
  if (conn.state == tcp::State::last_ack || conn.state == tcp::State::time_wait || (events & tcp::kClosed) != 0) {
    if (client.waiting) ++failed;
    far_->release(now_, conn);
    client.conn = nullptr;
    if (to_ask_ > 0) connect(client);
  }
}

void World::on_member(tcp::Conn& conn, std::uint8_t events) {
  bool asked = false;
  while (const Packet p = far_->receive(conn)) {
    asked = true;
    far_drops_.consume(p);
  }
  if (asked) {
    for (std::size_t at = 0; at < response_.size(); at += 1448) {
      const auto piece = std::string_view(response_).substr(at, 1448);
      far_->send_bytes(now_, conn, {reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()});
    }
    if (settings_.close) far_->close(now_, conn);
  }
  if ((events & tcp::kPeerClosed) != 0) far_->close(now_, conn);
  if ((events & tcp::kClosed) != 0) far_->release(now_, conn);
}

void World::far_turn() {
  for (const Packet p : tx_.sent) to_far(p);
  packets += tx_.sent.size();
  while (tcp::Conn* conn = far_->take_ready()) {
    const std::uint8_t events = std::exchange(conn->events, std::uint8_t{0});
    if (conn->owner_released) continue;
    if (conn->owner == nullptr) {
      on_member(*conn, events);
    } else {
      on_client(*static_cast<Client*>(conn->owner), *conn, events);
    }
  }
  far_->flush(now_);
  far_->on_timers(now_, 10000);
}

void World::engine_turn() {
  packets += to_engine_.size();
  const std::uint64_t start = rte_rdtsc_precise();
  for (const Packet p : tx_.sent) packet::discard(p);  // a NIC's driver frees what was sent, on this core
  tx_.sent.clear();
  for (std::size_t at = 0; at < to_engine_.size();) {
    packet::Batch batch;
    while (at < to_engine_.size() && !batch.full()) batch.push(to_engine_[at++]);
    datapath_->on_burst(now_, 0, batch);
  }
  datapath_->on_timers(now_);
  tx_.flush(0);
  cycles += rte_rdtsc_precise() - start;
  to_engine_.clear();
}

// Virtual time passes as the engine's work takes it: so many conns are in TIME-WAIT as on a core that does nothing
// else.
void World::turn(Duration least) {
  const std::uint64_t before = cycles;
  engine_turn();
  const double ns = static_cast<double>(cycles - before) * 1e9 / static_cast<double>(rte_get_tsc_hz());
  now_ += std::max(least, Duration(static_cast<std::int64_t>(ns)));
  far_turn();
}

void World::run(std::uint64_t requests) {
  to_ask_ = requests;
  const std::uint64_t goal = answered + failed + requests;
  for (Client& client : clients_) {
    if (client.conn == nullptr) {
      connect(client);
    } else if (!client.waiting) {
      ask(client, *client.conn);
    }
  }
  far_->flush(now_);
  Instant last = now_;
  for (std::uint64_t seen = 0; answered + failed < goal;) {
    turn(20us);
    if (answered + failed != seen) last = now_;
    seen = answered + failed;
    if (now_ - last > 20s) {
      fmt::print(stderr, "stuck: {} of {} answered\n", answered, goal);
      std::exit(1);
    }
  }
}

void World::open_all() {
  constexpr std::size_t kAtOnce = 2048;
  at_rate_ = true;
  for (std::size_t first = 0; first < clients_.size(); first += kAtOnce) {
    const std::size_t end = std::min(first + kAtOnce, clients_.size());
    to_ask_ = end - first;
    for (std::size_t i = first; i < end; ++i) connect(clients_[i]);
    far_->flush(now_);
    for (const Instant give_up = now_ + 20s; answered + failed < end;) {
      turn(20us);
      if (now_ > give_up) {
        fmt::print(stderr, "stuck: {} of {} connections open\n", answered, end);
        std::exit(1);
      }
    }
  }
  latencies_.clear();
}

std::vector<Duration> World::run_at(double rate, std::uint64_t requests) {
  to_ask_ = requests;
  std::mt19937 random(1);
  const Instant start = now_;
  const Instant give_up = start + std::chrono::seconds(60);
  std::uint64_t asked = 0;
  while (latencies_.size() < requests && now_ < give_up) {
    while (asked < requests) {
      const Instant due = start + Duration(static_cast<std::int64_t>(1e9 / rate * static_cast<double>(asked)));
      if (due > now_) break;
      Client& client = clients_[random() % clients_.size()];
      if (client.conn == nullptr || client.waiting) continue;
      client.due = due;
      ask(client, *client.conn);
      ++asked;
    }
    far_->flush(now_);
    turn(1us);
  }
  std::ranges::sort(latencies_);
  return std::move(latencies_);
}

long resident_kb() {
  long pages = 0;
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    std::fclose(f);
  }
  return pages * 4;
}

double tsc_hz() { return static_cast<double>(rte_get_tsc_hz()); }

void measure(Settings settings) {
  World world(settings);
  const Instant begin = world.now();
  world.run(settings.requests / 4);
  // Until as many conns are in TIME-WAIT (2 s) as there will ever be: before that each new one is memory's first touch.
  while (settings.close && world.now() - begin < 2500ms) world.run(settings.requests / 4);
  std::vector<double> rates, per_request, per_packet;
  for (unsigned i = 0; i < settings.samples; ++i) {
    world.cycles = world.answered = world.packets = world.bodies = world.moved_bodies = 0;
    world.run(settings.requests);
    rates.push_back(static_cast<double>(world.answered) / (static_cast<double>(world.cycles) / tsc_hz()));
    per_request.push_back(static_cast<double>(world.cycles) / static_cast<double>(world.answered));
    per_packet.push_back(static_cast<double>(world.packets) / static_cast<double>(world.answered));
  }
  std::ranges::sort(rates);
  std::ranges::sort(per_request);
  const double rate = rates[rates.size() / 2];
  const double cycles = per_request[per_request.size() / 2];
  const char* format =
      settings.json ? R"({{"case":"{}","conns":{},"requests_per_s":{:.0f},"min":{:.0f},"max":{:.0f},"cycles":{:.0f},)"
                      R"("packets":{:.2f},"cycles_per_byte":{:.3f},"failed":{},"bodies":{},"copied":{}}})"
                      "\n"
                    : "{:<12} {:>7} conns {:>10.0f} requests/s ({:.0f}..{:.0f})  {:>8.0f} cycles  {:.2f} packets  "
                      "{:.3f} cycles/byte  {} failed  of {} body packets {} copied\n";
  fmt::print(fmt::runtime(format), settings.name, settings.conns, rate, rates.front(), rates.back(), cycles,
             per_packet[0], cycles / static_cast<double>(settings.body), world.failed, world.bodies,
             world.moved_bodies);
}

// The far side's share of the resident memory is known: its conns and clients are as many.
void measure_crowd(Settings settings) {
  settings.conns = settings.conns == Settings{}.conns ? 100'000 : settings.conns;
  constexpr double kRate = 50'000;
  const long before = resident_kb();
  World world(settings);
  world.open_all();
  const long after = resident_kb();
  const double all = static_cast<double>(after - before) * 1024 / settings.conns;
  const std::vector<Duration> times = world.run_at(kRate, settings.requests);
  const auto us = [&](double share) {
    return times.empty() ? 0.0
                         : static_cast<double>(
                               times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))].count()) /
                               1e3;
  };
  const char* format =
      settings.json
          ? R"({{"case":"crowd","conns":{},"engine_bytes_per_conn":{},"resident_bytes_per_conn":{:.0f},"rate":{:.0f},)"
            R"("answered":{},"p50_us":{:.1f},"p99_us":{:.1f},"p999_us":{:.1f}}})"
            "\n"
          : "crowd: {} keep-alive connections; {} bytes each in the engine (two conns and a session), {:.0f} resident "
            "with "
            "clients and members; at {:.0f} requests/s: {} answered, p50 {:.1f} us, p99 {:.1f} us, p99.9 {:.1f} us\n";
  fmt::print(fmt::runtime(format), settings.conns, 2 * sizeof(tcp::Conn) + sizeof(lb::Session), all, kRate,
             times.size(), us(0.5), us(0.99), us(0.999));
}

int main_of(int argc, char** argv) {
  Settings settings;
  std::string name = "all";
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const auto value = [&] { return std::string(i + 1 < argc ? argv[++i] : "0"); };
    if (option == "--case")
      name = value();
    else if (option == "--conns")
      settings.conns = static_cast<std::uint32_t>(std::stoul(value()));
    else if (option == "--requests")
      settings.requests = std::stoull(value());
    else if (option == "--samples")
      settings.samples = static_cast<unsigned>(std::stoul(value()));
    else if (option == "--json")
      settings.json = true;
    else {
      fmt::print(stderr, "bench-http: unknown option {}\n", option);
      return 2;
    }
  }
  if (auto started = port::start_eal({.memory_mb = 1024}); !started) {
    fmt::print(stderr, "{}\n", started.error().text());
    return 1;
  }
  const auto wants = [&](std::string_view one) { return name == "all" || name == one; };
  const auto with = [&](std::string one, auto change) {
    Settings s = settings;
    s.name = std::move(one);
    change(s);
    return s;
  };
  if (wants("keepalive")) measure(with("keepalive", [](Settings&) {}));
  if (wants("oneconnect")) measure(with("oneconnect", [](Settings& s) { s.oneconnect = true; }));
  if (wants("close")) measure(with("close", [](Settings& s) { s.close = true; }));
  if (wants("body64k")) {
    measure(with("body64k", [](Settings& s) {
      s.body = 65536;
      s.requests /= 20;
      s.conns = std::min(s.conns, 64U);
    }));
  }
  if (wants("body256k")) {
    measure(with("body256k", [](Settings& s) {
      s.body = 262144;
      s.requests /= 80;
      s.conns = std::min(s.conns, 32U);
    }));
  }
  if (wants("body1m")) {
    measure(with("body1m", [](Settings& s) {
      s.body = 1 << 20;
      s.requests /= 400;
      s.conns = std::min(s.conns, 16U);
    }));
  }
  if (name == "crowd") measure_crowd(settings);
  return 0;
}

}  // namespace
}  // namespace sluice::bench

int main(int argc, char** argv) { return sluice::bench::main_of(argc, argv); }
