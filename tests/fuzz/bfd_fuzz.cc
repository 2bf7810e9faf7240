// Fuzzes BFD: Control packets of any bytes, at any times, into two sessions; the input is opcodes, lengths and
// payloads.
//
// Opcode bit 0: which session's addresses; bit 1: multihop port; bit 2: put the session's discriminator in; bits 3-5:
// milliseconds to wait before, 4^n; bits 6-7: what the control thread does (nothing, admin down, up, new intervals).
// Checked: no crash, no leak, every packet accounted for, timers never in the past, what is sent can be decoded.
// Called by: libFuzzer, or replay.cc over its seeds.
#include <cstdlib>

#include "dataplane/bfd/table.h"
#include "tests/dataplane/ip/world.h"

namespace sluice::bfd {
namespace {

using test::Bytes;

void require(bool condition) {
  if (!condition) std::abort();
}

struct Harness {
  Harness() {
    world.learn("172.16.40.199", test::kPeerMac);
    world.arp(1, test::arp_request(test::kPeerMac, "10.1.7.7", "10.1.0.1"));
    world.sink.take();
    table.set_enabled(true);
    table.insert(world.now, near);
    table.insert(world.now, far);
  }
  ~Harness() {
    table.erase(near);
    table.erase(far);
    world.sink.take();
  }

  void pass(Duration duration) {
    const Instant end = world.now + duration;
    for (int turns = 0; table.next_deadline() <= end && turns < 1000; ++turns) {
      world.now = std::max(world.now, table.next_deadline());
      table.expire(world.now);
    }
    world.now = std::max(world.now, end);
    check_sent();
  }
  void input(std::uint8_t opcode, Bytes payload) {
    Session& session = (opcode & 1) != 0 ? far : near;
    if ((opcode & 4) != 0 && payload.size() >= 12) wire::store_be32(payload.data() + 8, session.discriminator());
    const bool multihop = (opcode & 2) != 0;
    const Bytes frame = test::Frame()
                            .ip(session.key().remote, session.key().local)
                            .ttl(255)
                            .udp(50000, multihop ? kMultihopPort : kSingleHopPort)
                            .payload(payload)
                            .bytes();
    const wire::Layers layers = test::layers_of(frame);
    const auto before = world.drops.counters().total() + world.drops.consumed();
    table.input(world.now, test::to_packet(world.pool, frame), layers, true);
    require(world.drops.counters().total() + world.drops.consumed() == before + 1);
    check_sent();
  }
  void command(unsigned what, Session& session) {
    if (what == 1) table.set_admin_down(world.now, session, true);
    if (what == 2) table.set_admin_down(world.now, session, false);
    if (what == 3) table.configure(world.now, session, {(flip = !flip) ? 50ms : 900ms, flip ? 800ms : 40ms, 3});
  }
  void check_sent() {
    for (const auto& frame : world.sink.take()) {
      if (frame.bytes.size() < 14 + 20 + 8 + kControlLength) continue;  // ARP
      require(test::faults(frame.bytes).empty());
      ControlPacket packet;
      const auto reason = decode({frame.bytes.data() + 42, frame.bytes.size() - 42}, packet);
      require(!reason || *reason == DropReason::bfd_bad_state);
      require(!reason);
      require(!(packet.poll && packet.final));
    }
  }

  ip::World world;
  Table table{world.now, {world.output, world.pool, world.drops}};
  Session near{{test::ip("172.16.40.202"), test::ip("172.16.40.199"), false}, 50001, {100ms, 100ms, 3}, 0x1001, 1};
  Session far{{test::ip("172.16.40.202"), test::ip("10.1.7.7"), true}, 50002, {100ms, 100ms, 1}, 0x1001 + 4096, 2};
  bool flip = false;
};

}  // namespace
}  // namespace sluice::bfd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  if (size > 4096) return 0;
  bfd::Harness harness;
  for (std::size_t at = 0; at + 2 <= size;) {
    const std::uint8_t opcode = data[at];
    const std::size_t length = std::min<std::size_t>(data[at + 1] % 64, size - at - 2);
    harness.pass(1ms * (std::int64_t{1} << 2 * (opcode >> 3 & 7)));
    harness.command(opcode >> 6, (opcode & 1) != 0 ? harness.far : harness.near);
    harness.input(opcode, test::Bytes(data + at + 2, data + at + 2 + length));
    at += 2 + length;
  }
  return 0;
}
