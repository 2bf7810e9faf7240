// What TCP conns of ours cost: bytes of an idle one, and cycles of a segment with up to a million of them open; SYN
// cookies a second.
//
//   build-bench/bench/micro/tcp-conns [conns, default 1000000]
//
// In one thread and process: segments are made here (that cost is measured alone and taken off), the stack answers into
// a sink. Called by: hand. Follows: issue 3 (at most 512 bytes an idle conn, a million a worker). Tested by: -
#include <fmt/format.h>
#include <rte_cycles.h>
#include <rte_eal.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "dataplane/base/rng.h"
#include "dataplane/packet/chain.h"
#include "dataplane/tcp/stack.h"

namespace sluice::tcp {
namespace {

// Remembers the last segment's numbers and ends it.
class Sink final : public Network {
 public:
  void output(Instant at, Conn& conn, packet::Packet segment) override { output_reply(at, conn.tuple, segment); }
  void output_reply(Instant, const Tuple&, packet::Packet segment) override {
    sequence = wire::load_be32(segment.data() + wire::kTcpSequence);
    ++segments;
    drops.consume(segment);
  }
  packet::Drops drops;
  std::uint32_t sequence = 0;
  std::uint64_t segments = 0;
};

Tuple tuple_of(std::uint32_t i) {
  return {.local = {Ipv4Address{0xac102850}, 80},
          .remote = {Ipv4Address{0x0a000000 + i / 50'000}, static_cast<std::uint16_t>(10'000 + i % 50'000)}};
}

std::uint64_t resident_bytes() {
  std::ifstream in("/proc/self/statm");
  std::uint64_t size = 0, resident = 0;
  in >> size >> resident;
  return resident * 4096;
}

class Bench {
 public:
  Bench(std::uint32_t conns, const packet::PacketPool& pool, std::uint32_t half_open_max)
      : pool_(pool),
        stack_(now_, {.conns_max = conns + 1024, .chunks_max = 65536, .half_open_max = half_open_max}, HashSeed{1, 2},
               sink_, pool, sink_.drops) {
    options_.idle_timeout = 0s;
  }

  packet::Packet segment(std::uint32_t i, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack,
                         std::uint16_t payload, wire::Layers& layers) {
    const packet::Packet packet = pool_.allocate();
    if (!packet) std::abort();
    wire::TcpOptions list;
    list.timestamps = wire::TcpTimestamps{clock_, clock_};
    if (flags & wire::kTcpSyn) {
      list.mss = 1460;
      list.sack_permitted = true;
      list.window_scale = 7;
    }
    const auto header = static_cast<std::uint8_t>(wire::kTcpLength + wire::tcp_options_length(list));
    std::uint8_t* tcp = packet.append(static_cast<std::uint16_t>(header + payload));
    const Tuple tuple = tuple_of(i);
    wire::emit_tcp(tcp, {.src_port = tuple.remote.port,
                         .dst_port = 80,
                         .sequence = seq,
                         .acknowledgment = ack,
                         .header_length = header,
                         .flags = flags,
                         .window = 60000});
    wire::emit_tcp_options(tcp + wire::kTcpLength, list);
    layers = {};
    layers.kind = wire::PacketKind::tcp;
    layers.protocol = wire::kProtocolTcp;
    layers.l4_offset = 0;
    layers.payload_offset = header;
    layers.tcp_flags = flags;
    layers.l3_length = static_cast<std::uint16_t>(header + payload);
    return packet;
  }

  // A handshake, as the datapath drives it.
  void open(std::uint32_t i) {
    wire::Layers layers;
    packet::Packet packet = segment(i, wire::kTcpSyn, 1000, 0, 0, layers);
    stack_.accept(now_, tuple_of(i), packet, layers, options_, this);
    stack_.flush(now_);
    packet = segment(i, wire::kTcpAck, 1001, sink_.sequence + 1, 0, layers);
    Conn* conn = stack_.find(tuple_of(i));
    if (!conn) std::abort();
    stack_.input(now_, *conn, packet, layers);
    while (Conn* ready = stack_.take_ready()) ready->events = 0;
    stack_.flush(now_);
    ++opened_;
  }

  // A request of 100 bytes, an answer of 1000, its acknowledgment: two segments in, two or three out.
  void exchange(std::uint32_t i, bool with_stack) {
    wire::Layers layers;
    Conn* conn = with_stack ? stack_.find(tuple_of(i)) : nullptr;
    const std::uint32_t seq = conn ? conn->rcv_nxt.value : 1001;
    const std::uint32_t ack = conn ? conn->snd_nxt.value : 1;
    packet::Packet packet = segment(i, wire::kTcpAck | wire::kTcpPsh, seq, ack, 100, layers);
    if (!conn) {
      sink_.drops.consume(packet);
      const packet::Packet answer = pool_.allocate();
      answer.append(1000);
      sink_.drops.consume(answer);
      sink_.drops.consume(segment(i, wire::kTcpAck, seq, ack, 0, layers));
      return;
    }
    stack_.input(now_, *conn, packet, layers);
    while (Conn* ready = stack_.take_ready()) {
      ready->events = 0;
      while (const packet::Packet bytes = stack_.receive(*ready)) sink_.drops.consume(bytes);
      const packet::Packet answer = pool_.allocate();
      answer.append(1000);
      if (!stack_.send(now_, *ready, answer)) std::abort();
    }
    stack_.flush(now_);
    packet = segment(i, wire::kTcpAck, conn->rcv_nxt.value, conn->snd_nxt.value, 0, layers);
    stack_.input(now_, *conn, packet, layers);
    while (Conn* ready = stack_.take_ready()) ready->events = 0;
    stack_.flush(now_);
  }

  // Cycles of one exchange, generator taken off.
  double cycles_of_exchange(std::uint32_t conns, std::uint32_t count) {
    const auto run = [&](bool with_stack) {
      Rng rng(5);
      const std::uint64_t begin = rte_rdtsc();
      for (std::uint32_t n = 0; n < count; ++n) {
        exchange(static_cast<std::uint32_t>(rng.below(conns)), with_stack);
        if (n % 32 == 31) {
          now_ += 20us;
          clock_ = static_cast<std::uint32_t>(to_ns(now_) / 1'000'000);
          if (with_stack) stack_.on_timers(now_, 256);
        }
      }
      return static_cast<double>(rte_rdtsc() - begin) / count;
    };
    return run(true) - run(false);
  }

  double cookies_per_s(std::uint32_t count, bool with_stack) {
    const std::uint64_t begin = rte_rdtsc();
    for (std::uint32_t i = 0; i < count; ++i) {
      wire::Layers layers;
      const packet::Packet packet = segment(i * 7919, wire::kTcpSyn, i, 0, 0, layers);
      if (with_stack)
        stack_.accept(now_, tuple_of(i * 7919), packet, layers, options_, this);
      else
        sink_.drops.consume(packet);
    }
    return count / (static_cast<double>(rte_rdtsc() - begin) / static_cast<double>(rte_get_tsc_hz()));
  }

  const Stack& stack() const { return stack_; }

 private:
  const packet::PacketPool& pool_;
  Instant now_ = instant_ns(1'000'000'000'000);
  std::uint32_t clock_ = 1'000'000;
  Sink sink_;
  Options options_;
  Stack stack_;
  std::uint64_t opened_ = 0;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void run(std::uint32_t most) {
  auto pool = packet::PacketPool::create("tcp-conns", 65535, 0, -1);
  if (!pool) {
    fmt::print(stderr, "{}\n", pool.error().text());
    std::exit(1);
  }
  fmt::print("sizeof(Conn) {} bytes; {:.2f} GHz\n", sizeof(Conn), static_cast<double>(rte_get_tsc_hz()) / 1e9);
  {
    Bench warm(1024, *pool, 4096);
    for (std::uint32_t i = 0; i < 1024; ++i) warm.open(i);
    warm.cycles_of_exchange(1024, 100'000);
  }
  const std::uint64_t before = resident_bytes();
  Bench bench(most, *pool, 4096);
  std::uint32_t open = 0;
  for (std::uint32_t goal : {1'000U, 10'000U, 100'000U, 1'000'000U}) {
    goal = std::min(goal, most);
    if (goal <= open) break;
    const std::uint64_t begin = rte_rdtsc();
    const std::uint32_t first = open;
    for (; open < goal; ++open) bench.open(open);
    const double opening = static_cast<double>(rte_rdtsc() - begin) / (goal - first);
    std::vector<double> cycles;
    for (int i = 0; i < 5; ++i) cycles.push_back(bench.cycles_of_exchange(open, 200'000));
    std::ranges::sort(cycles);
    fmt::print(
        "{:>8} conns: {:>5.0f} resident bytes a conn, {:>5.0f} cycles to open one (with generator), {:>5.0f} "
        "cycles an exchange of 4 segments (median of 5; {:.0f}..{:.0f}), generator taken off\n",
        open, static_cast<double>(resident_bytes() - before) / open, opening, median(cycles), cycles.front(),
        cycles.back());
  }
  fmt::print("conns in use {}, chunks in use {}, buffers in use {}\n", bench.stack().conns_in_use(),
             bench.stack().chunks_in_use(), pool->in_use());
  Bench flood(1024, *pool, 0);
  std::vector<double> rates, floors;
  for (int i = 0; i < 5; ++i) {
    rates.push_back(flood.cookies_per_s(500'000, true));
    floors.push_back(flood.cookies_per_s(500'000, false));
  }
  const double net = 1 / (1 / median(rates) - 1 / median(floors));
  fmt::print("SYN flood: {:.2f} M cookies/s a core with the generator, {:.2f} M/s without; conns in use {}\n",
             median(rates) / 1e6, net / 1e6, flood.stack().conns_in_use());
}

}  // namespace
}  // namespace sluice::tcp

int main(int argc, char** argv) {
  std::array<const char*, 10> args{"tcp-conns",      "--no-huge",      "--no-pci",    "-m",          "512",
                                   "--iova-mode=va", "--no-telemetry", "--no-shconf", "--log-level", "lib.*:error"};
  if (rte_eal_init(static_cast<int>(args.size()), const_cast<char**>(args.data())) < 0) return 1;
  const long conns = argc > 1 ? std::atol(argv[1]) : 1'000'000;
  if (conns < 1 || conns > 4'000'000) {
    fmt::print(stderr, "usage: tcp-conns [1..4000000]\n");
    return 2;
  }
  sluice::tcp::run(static_cast<std::uint32_t>(conns));
  return 0;
}
