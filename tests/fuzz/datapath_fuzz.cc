// Fuzzes the whole packet path: any frames, any ports, time passing, into virtual servers with flows.
//
// The input is a list of records: an opcode, a length (2 bytes, little endian), that many bytes of a frame. The
// opcode's low two bits say where the frame comes in (3: handed over by another worker), 0x10 takes the length as
// milliseconds to wait instead, 0x20 leaves the frame as it is; otherwise its lengths and checksums are put right, for
// a fuzzer does not guess checksums. Checked: no crash, no leak, the accounting after each frame, and that every frame
// out is right. Called by: libFuzzer, or replay.cc over its seeds.
#include <algorithm>

#include "dataplane/wire/parse.h"
#include "tests/support/lb_world.h"

namespace sluice::lb {
namespace {

using test::Bytes;

void mend_l4(std::uint8_t* ipv4, std::uint8_t* l4, std::size_t length) {
  const std::uint8_t protocol = ipv4[wire::kIpv4Protocol];
  const Ipv4Address source = wire::load_ipv4(ipv4 + wire::kIpv4Source);
  const Ipv4Address destination = wire::load_ipv4(ipv4 + wire::kIpv4Destination);
  if (protocol == wire::kProtocolTcp && length >= wire::kTcpLength) {
    wire::store_be16(l4 + wire::kTcpChecksum, 0);
    wire::store_be16(l4 + wire::kTcpChecksum, wire::l4_checksum(source, destination, protocol, {l4, length}));
  } else if (protocol == wire::kProtocolUdp && length >= wire::kUdpLength) {
    wire::store_be16(l4 + wire::kUdpDatagramLength, static_cast<std::uint16_t>(length));
    wire::store_be16(l4 + wire::kUdpChecksum, 0);
    const std::uint16_t sum = wire::l4_checksum(source, destination, protocol, {l4, length});
    wire::store_be16(l4 + wire::kUdpChecksum, sum == 0 ? 0xffff : sum);
  } else if (protocol == wire::kProtocolIcmp && length >= wire::kIcmpLength) {
    wire::store_be16(l4 + wire::kIcmpChecksum, 0);
    wire::store_be16(l4 + wire::kIcmpChecksum, wire::internet_checksum({l4, length}));
  }
}

// False: it is nothing that could be put right.
bool mend(Bytes& frame) {
  constexpr std::size_t kIp = wire::kEthernetLength;
  if (frame.size() < kIp + wire::kIpv4Length) return false;
  wire::store_mac(frame.data(), test::kOwnMac);
  wire::store_be16(frame.data() + wire::kEthernetType, wire::kEtherTypeIpv4);
  std::uint8_t* ipv4 = frame.data() + kIp;
  const std::size_t header = wire::ipv4_header_length(ipv4);
  if (header < wire::kIpv4Length || kIp + header > frame.size()) return false;
  wire::store_be16(ipv4 + wire::kIpv4TotalLength, static_cast<std::uint16_t>(frame.size() - kIp));
  const bool fragment = (wire::load_be16(ipv4 + wire::kIpv4FlagsFragment) & 0x3fff) != 0;
  if (!fragment) mend_l4(ipv4, ipv4 + header, frame.size() - kIp - header);
  wire::write_ipv4_checksum(ipv4);
  return !fragment;
}

World& fresh_world() {
  testing::GTEST_FLAG(break_on_failure) = true;
  static World world({.workers = 2, .flows_max = 64});
  std::uint32_t deleted = 0;
  world.datapath().delete_flows(world.now, 0, world.datapath().flow_capacity(), {}, deleted);
  world.judge_frames = false;
  world.advance(20s);
  world.judge_frames = true;
  world.install({}, {});
  VirtualServerSpec persistent = server_spec("sticky", "172.16.99.99:80", "web");
  persistent.persist = PersistKind::source_address;
  VirtualServerSpec open = server_spec("open", "172.16.99.99:81", "web");
  open.snat = SnatKind::none;
  world.install({server_spec("web", "172.16.40.80:80", "web"), server_spec("any", "172.16.40.80:0", "web"), persistent,
                 open, server_spec("dns", "172.16.40.80:53", "dns", Mode::udp)},
                {pool_of("web", {"10.244.0.76:80", "192.168.7.20:80"}), pool_of("dns", {"10.244.0.53:53"})});
  return world;
}

}  // namespace
}  // namespace sluice::lb

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::lb;
  using sluice::test::Bytes;
  World& world = fresh_world();
  for (int records = 0; size >= 3 && records < 64; ++records) {
    const std::uint8_t op = data[0];
    const std::size_t length = data[1] | std::size_t{data[2]} << 8;
    data += 3;
    size -= 3;
    if ((op & 0x10) != 0) {
      world.advance(std::chrono::milliseconds(length % 20000));
      continue;
    }
    Bytes frame(data, data + std::min({length, size, std::size_t{1800}}));
    data += std::min(length, size);
    size -= std::min(length, size);
    // What is wrong on its way in, or could not be judged (fragments), may be wrong on its way out.
    if ((op & 0x20) != 0 || !mend(frame)) world.judge_frames = false;
    if ((op & 3) == 3) {
      world.handed_over(frame);
    } else {
      world.send(frame, static_cast<sluice::packet::PortId>(op & 3));
    }
    sluice::packet::Batch& given_away = world.handover().batch;
    for (const auto packet : given_away.view()) world.end(packet);
    given_away.count = 0;
    world.handover().workers.clear();
  }
  if (world.packets_in_use() > 0) world.advance(std::chrono::seconds(20));  // fragments, packets that wait for ARP
  if (world.packets_in_use() > 0) __builtin_trap();
  return 0;
}
