// The simulated link and the hosts at its ends; see world.h.
#include "tests/dataplane/tcp/world.h"

#include "dataplane/packet/chain.h"

namespace sluice::tcp::test {

using sluice::test::Bytes;

Host::Host(World& w, std::string n, Ipv4Address addr, const WorldOptions& o)
    : world(w),
      name(std::move(n)),
      address(addr),
      pool(o.buffers),
      options(o.tcp),
      stack(std::make_unique<Stack>(w.now, o.limits, HashSeed{addr.value, o.link.seed}, *this, *pool, drops)) {}

Host::~Host() { stack.reset(); }

void Host::output(Instant now, Conn& conn, packet::Packet segment) { output_reply(now, conn.tuple, segment); }

void Host::output_reply(Instant, const Tuple& tuple, packet::Packet segment) {
  const auto length = static_cast<std::uint16_t>(segment.length());
  // As the real network layer does: the headers go in front, in place.
  std::uint8_t* ip = segment.prepend(wire::kIpv4Length);
  wire::emit_ipv4(ip, {.total_length = static_cast<std::uint16_t>(length + wire::kIpv4Length),
                       .dont_fragment = true,
                       .ttl = 255,
                       .protocol = wire::kProtocolTcp,
                       .source = tuple.local.address,
                       .destination = tuple.remote.address});
  Bytes bytes = sluice::test::to_bytes(segment);
  wire::ChecksumSum sum;
  sum.add_pseudo_header(tuple.local.address, tuple.remote.address, wire::kProtocolTcp, length);
  sum.add({bytes.data() + wire::kIpv4Length, length});
  wire::store_be16(bytes.data() + wire::kIpv4Length + wire::kTcpChecksum, sum.finish());
  drops.consume(segment);
  world.transmit(*this, bytes);
}

void Host::deliver(Instant now, const Bytes& l3) {
  const packet::Packet packet = packet::from_bytes(*pool, l3);
  if (!packet) return;  // a port without buffers loses what comes
  wire::Layers layers;
  if (const auto reason = wire::parse_ipv4_layers(packet.bytes(), packet.length(), 0, true, layers)) {
    drops.drop(packet, *reason);
    return;
  }
  wire::ChecksumSum sum;
  sum.add_pseudo_header(layers.source, layers.destination, wire::kProtocolTcp, layers.l4_length());
  packet::add_to_checksum(packet, layers.l4_offset, layers.l4_length(), sum);
  if (layers.kind != wire::PacketKind::tcp || sum.finish() != 0) {
    drops.drop(packet, DropReason::tcp_bad_checksum);
    return;
  }
  const Tuple tuple{.local = {layers.destination, layers.dst_port}, .remote = {layers.source, layers.src_port}};
  Conn* conn = stack->find(tuple);
  if (conn && stack->recycle(now, *conn, packet, layers)) conn = nullptr;
  if (conn) return stack->input(now, *conn, packet, layers);
  if (tuple.local.port != listen_port) return stack->refuse(now, tuple, packet, layers);
  if (Conn* fresh = stack->accept(now, tuple, packet, layers, options, this)) {
    accepted = fresh;
    all_accepted.push_back(fresh);
    flows_[fresh] = {};
  }
}

// Hands the stack as much of the pattern as it takes.
void Host::pump(Instant now, Conn& conn) {
  Flow& flow = flows_[&conn];
  while (flow.to_write > 0 && conn.can_send()) {
    const std::uint64_t n = std::min<std::uint64_t>({flow.to_write, write_size, stack->send_room(conn)});
    if (n == 0) break;
    Bytes bytes(n);
    for (std::uint64_t i = 0; i < n; ++i) bytes[i] = pattern(flow.written + i, address.value);
    const packet::Packet packet = packet::from_bytes(*pool, bytes);
    if (!packet) break;
    if (!stack->send(now, conn, packet)) {
      drops.consume(packet);
      break;
    }
    flow.written += n;
    flow.to_write -= n;
  }
  if (flow.to_write == 0 && flow.close_when_written && !conn.fin_queued) stack->close(now, conn);
}

void Host::read(Conn& conn) {
  Flow& flow = flows_[&conn];
  while (const packet::Packet packet = stack->receive(conn)) {
    const Bytes bytes = sluice::test::to_bytes(packet);
    drops.consume(packet);
    for (const std::uint8_t byte : bytes) {
      if (byte != pattern(flow.read, conn.tuple.remote.address.value)) {
        ADD_FAILURE() << name << " at byte " << flow.read;
        return;
      }
      ++flow.read;
    }
  }
}

void Host::turn(Instant now) {
  while (Conn* conn = stack->take_ready()) {
    Flow& flow = flows_[conn];
    const std::uint8_t events = std::exchange(conn->events, std::uint8_t{0});
    if (events & kEstablished) flow.established = true;
    if (flow.reading || (events & kClosed)) read(*conn);
    if (events & kPeerClosed) {
      flow.peer_closed = true;
      if (flow.close_on_peer_close) flow.close_when_written = true;
    }
    if (events & kClosed) {
      flow.closed = true;
      flow.reason = conn->close_reason;
      ended.emplace_back(conn->tuple, flow);
      stack->release(now, *conn);
      continue;
    }
    pump(now, *conn);
  }
  for (auto& [conn, flow] : flows_)
    if (!flow.closed && flow.to_write > 0) pump(now, *const_cast<Conn*>(conn));
  stack->flush(now);
}

World::World(const WorldOptions& options)
    : link(options.link),
      rng(options.link.seed),
      a(*this, "a", sluice::test::ip("10.0.0.1"), options),
      b(*this, "b", sluice::test::ip("10.0.0.2"), options) {}

Conn* World::connect(std::uint16_t src_port) {
  Conn* conn = a.stack->connect(now, {.local = {a.address, src_port}, .remote = {b.address, 80}}, a.options, &a);
  if (conn) a.flows_[conn] = {};
  a.stack->flush(now);
  return conn;
}

void World::transmit(Host& from, const Bytes& segment) {
  Bytes l3 = segment;
  if (tap && !tap(from, l3)) return;
  ++sent;
  for (const std::uint8_t byte : l3) digest = (digest ^ byte) * 0x100000001b3;
  digest = (digest ^ static_cast<std::uint64_t>(to_ns(now))) * 0x100000001b3;
  if (check_segments) {
    Bytes frame = l3;
    frame.insert(frame.begin(), {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0});
    EXPECT_EQ(sluice::test::faults(frame), "") << from.name;
  }
  const auto chance = [&](double p) { return p > 0 && rng.chance(p); };
  const bool loses = chance(link.lose);
  if (trace) {
    const auto header = wire::parse_tcp({l3.data() + 20, l3.size() - 20});
    const auto list = wire::parse_tcp_options({l3.data() + 40, static_cast<std::size_t>(header->header_length - 20)});
    std::printf("%.6f %s %u flags %02x seq %u ack %u len %zu win %u ts %u/%u sack %u%s\n", to_seconds(now - Instant{}),
                from.name.c_str(), header->src_port, header->flags, header->sequence, header->acknowledgment,
                l3.size() - 20 - header->header_length, header->window, list.timestamps ? list.timestamps->value : 0,
                list.timestamps ? list.timestamps->echo : 0, list.sack_count, loses ? " lost" : "");
  }
  if (loses) {
    ++lost;
    return;
  }
  Host& to = &from == &a ? b : a;
  if (link.mtu != 0 && l3.size() > link.mtu) {
    ++lost;
    if (chance(link.icmp)) flights_.push({now + link.delay, number_++, &from, std::move(l3), true});
    return;
  }
  Instant leaves = now;
  if (link.bits_per_s != 0) {
    std::queue<Instant>& waiting = lines_[&from];  // when each is on the line
    while (!waiting.empty() && waiting.front() <= now) waiting.pop();
    if (waiting.size() > link.queue_max) {  // one is being sent
      ++lost;
      return;
    }
    const Duration serialization{static_cast<std::int64_t>(l3.size() * 8 * 1'000'000'000ULL / link.bits_per_s)};
    leaves = (waiting.empty() ? now : waiting.back()) + serialization;
    waiting.push(leaves);
  }
  const int copies = chance(link.duplicate) ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    Bytes copy = l3;
    if (chance(link.corrupt)) copy[rng.below(copy.size())] ^= static_cast<std::uint8_t>(1 + rng.below(255));
    Duration delay = link.delay;
    if (chance(link.reorder)) delay += Duration(static_cast<std::int64_t>(rng.below(link.reorder_by.count())));
    flights_.push({leaves + delay, number_++, &to, std::move(copy), false});
  }
}

void World::inject(Host& to, const Bytes& l3, Duration delay) {
  flights_.push({now + delay, number_++, &to, l3, false});
}

void World::lose_flights() {
  lost += flights_.size();
  flights_ = {};
}

// What a router says of a packet that it could not pass on: RFC 1191.
void World::report_too_large(Host& to, const Bytes& l3) {
  const std::uint8_t* tcp = l3.data() + wire::kIpv4Length;
  const Tuple tuple{.local = {wire::load_ipv4(l3.data() + wire::kIpv4Source), wire::load_be16(tcp)},
                    .remote = {wire::load_ipv4(l3.data() + wire::kIpv4Destination), wire::load_be16(tcp + 2)}};
  if (Conn* conn = to.stack->find(tuple))
    to.stack->on_icmp_error(now, *conn, wire::load_be32(tcp + wire::kTcpSequence), static_cast<std::uint16_t>(link.mtu),
                            false);
}

bool World::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now + limit;
  for (;;) {
    a.turn(now);
    b.turn(now);
    if (condition()) return true;
    Instant next = std::min(a.stack->next_timer(), b.stack->next_timer());
    if (!flights_.empty()) next = std::min(next, flights_.top().at);
    if (next > end) {
      now = end;
      return false;
    }
    now = std::max(now, next);
    while (!flights_.empty() && flights_.top().at <= now) {
      const Flight flight = flights_.top();
      flights_.pop();
      if (flight.too_large)
        report_too_large(*flight.to, flight.l3);
      else
        flight.to->deliver(now, flight.l3);
    }
    a.stack->on_timers(now, 1000);
    b.stack->on_timers(now, 1000);
  }
}

}  // namespace sluice::tcp::test
