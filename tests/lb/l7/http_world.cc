// The engine, its clients and its members in virtual time; see http_world.h.
#include "tests/lb/l7/http_world.h"

#include <fmt/format.h>

#include "dataplane/ip/neighbor.h"
#include "dataplane/packet/chain.h"

namespace sluice::lb {

using sluice::test::Bytes;

std::string ok(std::string_view body, std::string_view more_fields) {
  return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{}\r\n{}", body.size(), more_fields, body);
}

// ---- one end

void Far::send(std::string_view bytes) {
  to_send += bytes;
  world->pump(*this);
}

void Far::close() {
  close_when_sent = true;
  world->pump(*this);
}

void Far::abort() {
  if (conn != nullptr) world->far_stack_->abort(world->now, *conn);
}

std::size_t Far::count(std::string_view text) const {
  std::size_t n = 0;
  for (std::size_t at = 0; (at = received.find(text, at)) != std::string::npos; at += text.size()) ++n;
  return n;
}

// Puts Ethernet and IPv4 in front, fills in the checksum, and sends it to the engine.
class HttpWorld::FarNetwork final : public tcp::Network {
 public:
  explicit FarNetwork(HttpWorld& owner) : world_(owner) {}
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
    frame.insert(frame.end(), bytes.begin(), bytes.end());
    std::uint8_t* tcp = frame.data() + wire::kEthernetLength + wire::kIpv4Length;
    wire::store_be16(tcp + wire::kTcpChecksum,
                     wire::l4_checksum(tuple.local.address, tuple.remote.address, wire::kProtocolTcp, {tcp, length}));
    world_.far_drops_.consume(segment);
    world_.fly(true, std::move(frame));
  }

 private:
  HttpWorld& world_;
};

// ---- set-up

HttpWorld::HttpWorld(const HttpWorldOptions& options) : options_(options), pool_(options.buffers), far_pool_(32767) {
  DatapathOptions datapath;
  packet::PortInfo port;
  port.name = "int";
  port.id = 0;
  port.mac = sluice::test::kOwnMac;
  datapath.ports = {port};
  datapath.flows_max = 1024;
  datapath.conns_max = options.conns_max;
  datapath.start = now;
  auto made = Datapath::create(datapath, sink_, drops_, *pool_, nullptr);
  if (!made) std::abort();
  datapath_ = std::move(*made);
  const auto route = [&](const char* prefix, ip::NextHop hop) {
    EXPECT_TRUE(datapath_->fib().apply({*Ipv4Prefix::parse(prefix), {hop}}).has_value());
  };
  const auto node = address("172.16.40.199");
  route("172.16.40.0/24", ip::NextHop::connected(0));
  route("172.16.40.80/32", ip::NextHop::local());
  route("172.16.40.202/32", ip::NextHop::local());
  route("10.0.0.0/8", ip::NextHop::via(0, node));
  EXPECT_TRUE(datapath_->neighbors().set_permanent(now, 0, node, sluice::test::kPeerMac).has_value());
  for (unsigned i = 1; i < 80; ++i) {
    EXPECT_TRUE(datapath_->neighbors().set_permanent(now, 0, {0xac102800u + i}, sluice::test::kPeerMac).has_value());
  }
  far_options_.idle_timeout = 0s;
  far_options_.time_wait = 500ms;
  far_network_ = std::make_unique<FarNetwork>(*this);
  far_stack_ = std::make_unique<tcp::Stack>(now, tcp::Limits{.conns_max = 65536, .chunks_max = 65536}, HashSeed{1, 2},
                                            *far_network_, *far_pool_, far_drops_);
  for (const char* text : {"10.244.0.76:80", "10.244.1.37:80"}) {
    MemberSpec& spec = members.emplace_back();
    spec.endpoint = endpoint(text);
    spec.verdict.status = MonitorStatus::up;
  }
  member = [this](Far& far) { default_member(far); };
  answer = [](const std::string& head, Far& far) {
    far.send(ok("hello of " + far.local.address.text() + " to " + head.substr(0, head.find("\r\n"))));
    return true;
  };
  install(options.http);
}

HttpWorld::~HttpWorld() {
  check_accounting();
  datapath_->on_stop(now);
  sink_.flush_all();
  for (const auto& pool : snapshot_->pools()) {
    for (const auto& runtime : pool->runtimes) {
      EXPECT_EQ(runtime->connections.current(), 0u) << runtime->endpoint.text();
      EXPECT_EQ(runtime->idle_conns, 0u);
    }
  }
  EXPECT_EQ(server().runtime->connections.current(), 0u);
  EXPECT_EQ(server().runtime->half_open, 0u);
  if (profile_) {
    EXPECT_EQ(profile_->users, 0u);
  }
  datapath_.reset();
  far_stack_.reset();
}

void HttpWorld::install(const HttpOptions& http) {
  options_.http = http;
  profile_ = std::make_shared<HttpProfile>(http, 1);
  install();
}

void HttpWorld::install() {
  Builder builder(registry_, balance::state_factory(1));
  builder.add_self_ip({*Ipv4Interface::parse("172.16.40.202/24"), 0});
  PoolSpec pool;
  pool.name = "web";
  pool.balance = balance;
  pool.members = members;
  pool.service_down = service_down;
  builder.add_pool(pool);
  for (const PoolSpec& more : more_pools) builder.add_pool(more);
  VirtualServerSpec spec;
  spec.name = "www";
  spec.destination = endpoint("172.16.40.80:80");
  spec.mode = Mode::http;
  spec.pool = "web";
  spec.http = profile_;
  for (const HttpRoute& r : options_.http.routes) spec.http_pools.push_back(r.pool);
  if (edit_server) edit_server(spec);
  builder.add_virtual_server(spec);
  auto next = builder.build(now, snapshot_.get());
  ASSERT_TRUE(next.has_value()) << next.error().text();
  datapath_->install(now, next->get());
  snapshot_ = *next;
}

Far& HttpWorld::connect(std::string_view from, std::uint16_t port) {
  Far& far = fars_.emplace_back();
  far.world = this;
  if (port == 0) port = next_port_++;
  far.local = {address(std::string(from)), port};
  far.remote = endpoint("172.16.40.80:80");
  far.conn = far_stack_->connect(now, {far.local, far.remote}, far_options_, &far);
  EXPECT_NE(far.conn, nullptr);
  return far;
}

// ---- time

void HttpWorld::fly(bool to_engine, Bytes frame) {
  if (tap && !tap(frame, to_engine)) return;
  flights_.push({now + options_.delay, number_++, to_engine, std::move(frame)});
}

void HttpWorld::to_far(const Bytes& frame) {
  packet::Packet packet = sluice::test::to_packet(*far_pool_, frame);
  wire::Layers layers;
  const wire::ParseOptions parse{sluice::test::kPeerMac, true};
  if (const auto reason = wire::parse(packet.bytes(), packet.length(), parse, layers);
      reason || layers.kind != wire::PacketKind::tcp) {
    far_drops_.consume(packet);
    return;
  }
  const tcp::Tuple tuple{{layers.destination, layers.dst_port}, {layers.source, layers.src_port}};
  tcp::Conn* conn = far_stack_->find(tuple);
  if (conn && far_stack_->recycle(now, *conn, packet, layers)) conn = nullptr;
  if (conn) return far_stack_->input(now, *conn, packet, layers);
  if (!members_listen || tuple.local.port >= 40000) return far_stack_->refuse(now, tuple, packet, layers);
  if (tcp::Conn* fresh = far_stack_->accept(now, tuple, packet, layers, far_options_, nullptr)) {
    Far& far = fars_.emplace_back();
    far.world = this;
    far.conn = fresh;
    far.local = tuple.local;
    far.remote = tuple.remote;
    far.is_member = true;
    fresh->owner = &far;
  }
}

void HttpWorld::deliver(const Flight& flight) {
  if (!flight.to_engine) return to_far(flight.frame);
  ++received_;
  packet::Batch batch;
  batch.push(sluice::test::to_packet(*pool_, flight.frame));
  if (on_received) on_received(batch.packets[0], flight.frame);
  for (; options_.bursts && !flights_.empty() && flights_.top().at <= now && flights_.top().to_engine; flights_.pop()) {
    ++received_;
    batch.push(sluice::test::to_packet(*pool_, flights_.top().frame));
  }
  datapath_->on_burst(now, 0, batch);
}

void HttpWorld::pump(Far& far) {
  if (far.conn == nullptr || far.conn->state == tcp::State::closed) return;
  while (!far.to_send.empty() && far.conn->can_send()) {
    std::size_t n = std::min<std::size_t>(far.to_send.size(), far_stack_->send_room(*far.conn));
    if (far.piece != 0) n = std::min(n, far.piece);
    n = std::min<std::size_t>(n, 1400);
    if (n == 0) break;
    const packet::Packet packet =
        packet::from_bytes(*far_pool_, {reinterpret_cast<const std::uint8_t*>(far.to_send.data()), n});
    if (!packet) break;
    if (!far_stack_->send(now, *far.conn, packet)) {
      far_drops_.consume(packet);
      break;
    }
    far.to_send.erase(0, n);
  }
  if (far.to_send.empty() && far.close_when_sent && !far.conn->fin_queued) far_stack_->close(now, *far.conn);
}

// Answers every whole request by answer().
void HttpWorld::default_member(Far& far) {
  for (;;) {
    const std::string_view rest = std::string_view(far.received).substr(far.handled);
    const std::size_t head = rest.find("\r\n\r\n");
    if (head == std::string_view::npos) return;
    std::size_t length = head + 4;
    if (const auto at = rest.find("Content-Length: "); at < head)
      length += std::stoul(std::string(rest.substr(at + 16)));
    if (rest.substr(0, head).find("chunked") != std::string_view::npos) {
      const auto end = rest.find("0\r\n\r\n", head + 4);
      if (end == std::string_view::npos) return;
      length = end + 5;
    }
    if (rest.size() < length) return;
    requests.emplace_back(rest.substr(0, length));
    far.handled += length;
    if (!answer(requests.back(), far)) return;
  }
}

void HttpWorld::far_turn() {
  while (tcp::Conn* conn = far_stack_->take_ready()) {
    const std::uint8_t events = std::exchange(conn->events, std::uint8_t{0});
    if (conn->owner == nullptr) continue;
    Far& far = *static_cast<Far*>(conn->owner);
    if (events & tcp::kEstablished) far.established = true;
    bool news = false;
    while (far.reading) {
      const packet::Packet packet = far_stack_->receive(*conn);
      if (!packet) break;
      const Bytes bytes = sluice::test::to_bytes(packet);
      far.received.append(bytes.begin(), bytes.end());
      far_drops_.consume(packet);
      news = true;
    }
    if (events & tcp::kPeerClosed) {
      far.peer_closed = true;
      if (far.is_member) far.close_when_sent = true;
    }
    if (news && far.is_member) member(far);
    if (events & tcp::kClosed) {
      far.closed = true;
      far.reason = conn->close_reason;
      far.conn = nullptr;
      far_stack_->release(now, *conn);
      continue;
    }
    pump(far);
  }
}

void HttpWorld::turn() {
  far_turn();
  for (Far& far : fars_) {
    if (!far.to_send.empty()) pump(far);
    if (far.reading && far.conn && !far.conn->receive_queue.empty()) {
      while (const packet::Packet packet = far_stack_->receive(*far.conn)) {
        const Bytes bytes = sluice::test::to_bytes(packet);
        far.received.append(bytes.begin(), bytes.end());
        far_drops_.consume(packet);
      }
    }
  }
  far_stack_->flush(now);
  datapath_->on_timers(now);
  for (const sluice::test::SentFrame& sent : sink_.take()) {
    ++sent_;
    if (options_.checks) {
      EXPECT_EQ(sluice::test::faults(sent.bytes), "") << sluice::test::describe(sent.bytes);
    }
    if (on_sent) on_sent(sent);
    fly(false, sent.bytes);
  }
}

bool HttpWorld::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now + limit;
  for (;;) {
    turn();
    if (condition()) return true;
    Instant next = std::min(far_stack_->next_timer(), datapath_->next_timer());
    if (!flights_.empty()) next = std::min(next, flights_.top().at);
    if (next > end) {
      now = end;
      return false;
    }
    now = std::max(now, next);
    while (!flights_.empty() && flights_.top().at <= now) {
      const Flight flight = flights_.top();
      flights_.pop();
      deliver(flight);
    }
    far_stack_->on_timers(now, 1000);
  }
}

void HttpWorld::run_for(Duration time) {
  run_until([] { return false; }, time);
}

std::string HttpWorld::get(std::string_view request) {
  Far& far = connect();
  far.send(request);
  run_until([&] { return far.established; });
  far.send("");
  run_until([&] { return far.closed || far.peer_closed; });
  far.close();
  run_for(1s);
  return far.received;
}

std::vector<ErrorRecord> HttpWorld::errors() const {
  std::vector<ErrorRecord> out;
  out.reserve(ErrorLog::kMax);
  datapath_->proxy().errors().list(out);
  return out;
}

std::size_t HttpWorld::member_conns() const {
  std::size_t n = 0;
  for (const Far& far : fars_) n += far.is_member && !far.closed && !far.peer_closed ? 1 : 0;
  return n;
}

void HttpWorld::check_accounting() {
  for (const sluice::test::SentFrame& sent : sink_.take()) {
    ++sent_;
    fly(false, sent.bytes);
  }
  std::uint32_t held = 0;
  proxy().stack().visit(0, UINT32_MAX, [&](tcp::Conn& conn) {
    for (const tcp::ChunkList* list : {&conn.send_queue, &conn.receive_queue, &conn.reorder_queue}) {
      for (const tcp::Chunk* chunk = list->front(); chunk; chunk = chunk->next) held += chunk->packet ? 1 : 0;
    }
  });
  held += proxy().held_packets();
  EXPECT_EQ(received_ + drops_.generated(), sent_ + drops_.counters().total() + drops_.consumed() + held);
}

}  // namespace sluice::lb
