// Fuzz target: a TCP stack of ours against a peer that sends anything, in any state, while time passes and the
// application writes, reads and closes. No crash, no leak, the window's right edge never moves back, nothing beyond
// what was queued is sent.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "dataplane/packet/chain.h"
#include "dataplane/tcp/stack.h"
#include "tests/support/eal.h"

namespace {

using namespace sluice;
using namespace sluice::tcp;

void require(bool condition) {
  if (!condition) std::abort();
}

class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), end_(data + size) {}
  bool empty() const { return data_ == end_; }
  std::uint8_t byte() { return empty() ? std::uint8_t{0} : *data_++; }
  std::uint16_t word() { return static_cast<std::uint16_t>(byte() << 8 | byte()); }

 private:
  const std::uint8_t* data_;
  const std::uint8_t* end_;
};

const packet::PacketPool& pool() {
  static const packet::PacketPool pool = [] {
    sluice::test::start_eal();
    return *packet::PacketPool::create("fuzz", 2047, 0, -1);
  }();
  return pool;
}

const Tuple kTuple{.local = {Ipv4Address{0x0a000001}, 80}, .remote = {Ipv4Address{0x0a000002}, 4000}};

class Peer final : public Network {
 public:
  void output(Instant, Conn& conn, packet::Packet segment) override {
    const auto header = wire::parse_tcp(segment.bytes());
    require(header.has_value());
    const std::uint32_t payload = segment.length() - header->header_length;
    if ((header->flags & wire::kTcpRst) == 0) {
      require(Seq{header->sequence} + payload <= conn.snd_end);
      if ((header->flags & wire::kTcpSyn) == 0) {
        const Seq edge = Seq{header->acknowledgment} + (std::uint32_t{header->window} << conn.rcv_wscale);
        require(!edge_known || edge >= edge_);
        edge_ = edge;
        edge_known = true;
      }
    }
    last_seq = Seq{header->sequence};
    output_reply({}, kTuple, segment);
  }
  void output_reply(Instant, const Tuple&, packet::Packet segment) override {
    // A NIC may hold what it was given for a while.
    held.push_back(segment);
    if (held.size() > 8) release_one();
  }
  void release_one() {
    drops.consume(held.front());
    held.erase(held.begin());
  }
  packet::Drops drops;
  std::vector<packet::Packet> held;
  Seq last_seq;
  bool edge_known = false;

 private:
  Seq edge_;
};

// A segment near the conn's sequence space, or anywhere.
packet::Packet segment_of(Reader& in, const Conn* conn, wire::Layers& layers) {
  const std::uint8_t kind = in.byte();
  const auto near = static_cast<std::uint32_t>(static_cast<std::int16_t>(in.word()));
  const auto near_ack = static_cast<std::uint32_t>(static_cast<std::int16_t>(in.word()));
  wire::TcpHeader header{.src_port = 4000, .dst_port = 80, .flags = static_cast<std::uint8_t>(in.byte() & 0x3f)};
  header.window = in.word();
  header.sequence = (conn ? conn->rcv_nxt.value : 1000) + (kind & 1 ? near : 0);
  header.acknowledgment =
      (conn ? (kind & 4 ? conn->snd_una.value : conn->snd_nxt.value) : 1) + (kind & 2 ? near_ack : 0);
  std::vector<std::uint8_t> bytes(wire::kTcpLength);
  const std::size_t options = (kind >> 4 & 3) == 3 ? std::size_t{in.byte()} % 11 * 4 : 0;
  for (std::size_t i = 0; i < options; ++i) bytes.push_back(in.byte());
  if ((kind >> 4 & 3) == 1) {  // timestamps that the peer could send
    const std::uint32_t value = in.byte();
    const std::uint32_t echo = in.byte();
    wire::TcpOptions list;
    list.timestamps = wire::TcpTimestamps{value, echo};
    if (header.flags & wire::kTcpSyn) {
      list.mss = in.word();
      list.window_scale = in.byte();
      list.sack_permitted = true;
    } else if (conn && (kind & 8)) {
      list.sack[0] = {conn->snd_una.value + in.word(), conn->snd_una.value + in.word()};
      list.sack_count = 1;
    }
    bytes.resize(wire::kTcpLength + wire::tcp_options_length(list));
    wire::emit_tcp_options(bytes.data() + wire::kTcpLength, list);
  }
  header.header_length = static_cast<std::uint8_t>(bytes.size());
  wire::emit_tcp(bytes.data(), header);
  const std::size_t payload = kind & 0x80 ? in.word() % 3000 : in.byte() & 15;
  bytes.resize(bytes.size() + payload, 0x55);
  layers = {};
  layers.kind = wire::PacketKind::tcp;
  layers.protocol = 6;
  layers.l4_offset = 0;
  layers.payload_offset = header.header_length;
  layers.tcp_flags = header.flags;
  layers.l3_length = static_cast<std::uint16_t>(bytes.size());
  return packet::from_bytes(pool(), bytes);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint32_t before = pool().in_use();
  Reader in(data, size);
  Peer peer;
  Instant now = instant_ns(1'000'000'000);
  Options options;
  const std::uint8_t setting = in.byte();
  options.sack = setting & 1;
  options.timestamps = setting & 2;
  options.window_scale = setting & 4;
  options.nagle = setting & 8;
  options.congestion = setting & 16 ? CongestionControl::newreno : CongestionControl::cubic;
  options.receive_buffer_bytes = setting & 32 ? 3000 : 100'000;
  {
    Stack stack(now,
                {.conns_max = 4, .chunks_max = setting & 64 ? 12U : 400U, .half_open_max = setting & 128 ? 0U : 2U},
                HashSeed{}, peer, pool(), peer.drops);
    Conn* conn = nullptr;
    bool reading = true;
    const auto drain = [&] {
      while (Conn* ready = stack.take_ready()) {
        ready->events = 0;
        if (reading)
          while (const packet::Packet packet = stack.receive(*ready)) peer.drops.consume(packet);
        if (ready->state == State::closed) {
          if (ready == conn) {
            conn = nullptr;
            peer.edge_known = false;
          }
          stack.release(now, *ready);
        }
      }
      stack.flush(now);
      if (conn) {
        require(conn->sacked_bytes <= conn->flight() || !conn->sack_permitted);
        require(conn->lost_bytes <= conn->flight());
        require(conn->snd_una <= conn->snd_nxt && conn->snd_nxt <= conn->snd_end);
      }
    };
    for (unsigned steps = 0; !in.empty() && steps < 400; ++steps) {
      switch (const std::uint8_t op = in.byte(); op % 8) {
        case 0:
        case 1:
        case 2: {
          wire::Layers layers;
          const packet::Packet packet = segment_of(in, conn, layers);
          if (!packet) break;
          Conn* found = stack.find(kTuple);
          if (found && stack.recycle(now, *found, packet, layers)) found = nullptr;
          if (found) {
            stack.input(now, *found, packet, layers);
          } else if (Conn* fresh = stack.accept(now, kTuple, packet, layers, options, &stack)) {
            conn = fresh;
            peer.edge_known = false;
          }
          break;
        }
        case 3:
          if (conn) {
            const std::vector<std::uint8_t> bytes(std::size_t{in.word()} % 5000 + 1, 0xaa);
            const packet::Packet packet = packet::from_bytes(pool(), bytes);
            if (packet && (stack.send_room(*conn) == 0 || !stack.send(now, *conn, packet))) peer.drops.consume(packet);
          }
          break;
        case 4:
          now += std::chrono::microseconds(in.word()) * (op & 8 ? 1000 : 10);
          stack.on_timers(now, 100);
          break;
        case 5:
          if (conn && op & 8)
            stack.close(now, *conn);
          else
            reading = !reading;
          break;
        case 6:
          if (conn)
            stack.on_icmp_error(now, *conn, conn->snd_una.value + in.byte(), op & 8 ? in.word() : std::uint16_t{0},
                                op & 16);
          break;
        case 7:
          if (!conn && op & 8) {
            conn = stack.connect(now, kTuple, options, &stack);
            peer.edge_known = false;
          } else if (!peer.held.empty()) {
            peer.release_one();
          }
          break;
      }
      drain();
    }
  }
  while (!peer.held.empty()) peer.release_one();
  require(pool().in_use() == before);
  return 0;
}
