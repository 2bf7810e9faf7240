// What L4 forwarding costs: established full-NAT flows at 1, 1 k, 100 k and 1 M flows, both directions, and new flows.
//
// Everything a packet meets in production is here: parse, flow lookup, TCP tracking, rewrite, checksums, FIB, neighbor,
// counters, transmit batch. Flows are visited in an order that no cache likes. Clients lie behind a gateway, 32 members
// on the segment; SNAT is automap.
// Usage: bench-path-l4 [--json] [--packets N] [--samples N] [--flows N (only these)] [--new (only new connections)]
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "bench/path/path_bench.h"
#include "dataplane/ip/fib.h"
#include "dataplane/ip/neighbor.h"
#include "dataplane/wire/parse.h"
#include "lb/balance/balance.h"
#include "lb/datapath/datapath.h"

namespace {

using namespace sluice;

constexpr std::uint32_t kMembers = 32;
constexpr Ipv4Address kVirtual = Ipv4Address::from_octets(172, 16, 40, 80);
constexpr Ipv4Address kGateway = Ipv4Address::from_octets(172, 16, 40, 254);
constexpr MacAddress kOwnMac{{2, 0, 0, 0, 0, 1}};
constexpr MacAddress kPeerMac{{2, 0, 0, 0, 0, 2}};

Ipv4Address member_address(std::uint32_t i) { return {Ipv4Address::from_octets(172, 16, 40, 100).value + i}; }
Ipv4Address client_address(std::uint64_t flow) {
  return {Ipv4Address::from_octets(10, 99, 0, 0).value + static_cast<std::uint32_t>(flow / 40000)};
}
std::uint16_t client_port(std::uint64_t flow) { return static_cast<std::uint16_t>(2000 + flow % 40000); }

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "%s\n", what.c_str());
  std::exit(1);
}

struct Engine {
  explicit Engine(std::uint32_t flows_max, std::uint32_t members = kMembers)
      : registry(1),
        bench({port()}, [&](const worker::WorkerContext& context) { return make(context, flows_max, members); }) {}

  static packet::PortInfo port() {
    packet::PortInfo info;
    info.name = "bench";
    info.id = 0;
    info.mac = kOwnMac;
    return info;
  }

  Result<std::unique_ptr<worker::Application>> make(const worker::WorkerContext& context, std::uint32_t flows_max,
                                                    std::uint32_t members) {
    lb::DatapathOptions options;
    options.ports.assign(context.ports.begin(), context.ports.end());
    options.flows_max = flows_max;
    options.start = instant_ns(1);
    auto made = lb::Datapath::create(options, context.tx, context.drops, context.pool, nullptr);
    if (!made) return tl::unexpected(made.error());
    lb::Datapath& datapath = **made;
    configure(datapath, members);
    return std::unique_ptr<worker::Application>(std::move(*made));
  }

  void configure(lb::Datapath& datapath, std::uint32_t members) {
    const Instant now = instant_ns(1);
    const auto route = [&](const char* prefix, ip::NextHop hop) {
      if (auto ok = datapath.fib().apply({*Ipv4Prefix::parse(prefix), {hop}}); !ok) die(ok.error().text());
    };
    route("172.16.40.0/24", ip::NextHop::connected(0));
    route("10.0.0.0/8", ip::NextHop::via(0, kGateway));
    lb::Builder builder(registry, lb::balance::state_factory(1));
    builder.add_self_ip({*Ipv4Interface::parse("172.16.40.202/24"), 0});
    lb::PoolSpec pool;
    pool.name = "pool";
    pool.balance = lb::Balance::least_connections_member;
    for (std::uint32_t i = 0; i < members; ++i) {
      lb::MemberSpec member;
      member.endpoint = {member_address(i), 80};
      member.verdict.status = lb::MonitorStatus::up;
      pool.members.push_back(member);
      if (auto ok = datapath.neighbors().set_permanent(now, 0, member_address(i), kPeerMac); !ok)
        die(ok.error().text());
    }
    if (auto ok = datapath.neighbors().set_permanent(now, 0, kGateway, kPeerMac); !ok) die(ok.error().text());
    builder.add_pool(std::move(pool));
    lb::VirtualServerSpec server;
    server.name = "vs";
    server.destination = {kVirtual, 80};
    server.pool = "pool";
    builder.add_virtual_server(std::move(server));
    auto built = builder.build(now, nullptr);
    if (!built) die(built.error().text());
    snapshot = *built;
    datapath.install(now, snapshot.get());
  }

  lb::Registry registry;
  std::shared_ptr<const lb::Snapshot> snapshot;
  bench::PathBench bench;
};

struct Segment {
  Ipv4Endpoint from, to;
  std::uint32_t sequence = 0, acknowledgment = 0;
  std::uint8_t flags = 0;
  std::uint16_t payload = 6;  // with Ethernet, IPv4 and TCP a frame of 60 bytes
};

std::uint16_t write_segment(std::uint8_t* frame, const Segment& s) {
  const auto l3_length = static_cast<std::uint16_t>(wire::kIpv4Length + wire::kTcpLength + s.payload);
  std::uint8_t* ipv4 = frame + wire::kEthernetLength;
  std::uint8_t* tcp = ipv4 + wire::kIpv4Length;
  std::memset(frame, 0, wire::kEthernetLength + l3_length);
  wire::emit_ethernet(frame, kOwnMac, kPeerMac, wire::kEtherTypeIpv4);
  wire::emit_ipv4(ipv4, {.total_length = l3_length,
                         .ttl = 64,
                         .protocol = wire::kProtocolTcp,
                         .source = s.from.address,
                         .destination = s.to.address});
  wire::emit_tcp(tcp, {.src_port = s.from.port,
                       .dst_port = s.to.port,
                       .sequence = s.sequence,
                       .acknowledgment = s.acknowledgment,
                       .flags = s.flags,
                       .window = 65535});
  wire::store_be16(tcp + wire::kTcpChecksum,
                   wire::l4_checksum(s.from.address, s.to.address, wire::kProtocolTcp,
                                     {tcp, static_cast<std::size_t>(wire::kTcpLength + s.payload)}));
  return static_cast<std::uint16_t>(wire::kEthernetLength + l3_length);
}

// The first segment of flow number `flow`, which is in its sequence number too: so the other side is recognised.
Segment syn_of(std::uint64_t flow) {
  return {
      {client_address(flow), client_port(flow)}, {kVirtual, 80}, static_cast<std::uint32_t>(flow), 0, wire::kTcpSyn, 0};
}

struct ServerSide {
  Ipv4Endpoint member, snat;
};

// Opens `count` flows to the end of their handshake; what the engine chose for each.
std::vector<ServerSide> open_flows(Engine& engine, std::uint64_t count) {
  std::vector<ServerSide> sides(count);
  bench::RunOptions once{.warm_up = 0, .packets = count, .samples = 1};
  once.observe = [&](packet::PortId, std::span<const std::uint8_t> frame) {
    const std::uint8_t* ipv4 = frame.data() + wire::kEthernetLength;
    const std::uint8_t* tcp = ipv4 + wire::kIpv4Length;
    const std::uint32_t flow = wire::load_be32(tcp + wire::kTcpSequence);
    if (flow >= count) return;
    sides[flow].snat = {wire::load_ipv4(ipv4 + wire::kIpv4Source), wire::load_be16(tcp)};
    sides[flow].member = {wire::load_ipv4(ipv4 + wire::kIpv4Destination), wire::load_be16(tcp + 2)};
  };
  engine.bench.run([](std::uint64_t i, std::uint8_t* frame) { return write_segment(frame, syn_of(i)); }, once);
  once.observe = {};
  constexpr std::uint8_t kAck = wire::kTcpAck;
  engine.bench.run(
      [&](std::uint64_t i, std::uint8_t* frame) {
        const auto isn = static_cast<std::uint32_t>(i);
        return write_segment(frame, {sides[i].member, sides[i].snat, 5000, isn + 1, kAck | wire::kTcpSyn, 0});
      },
      once);
  engine.bench.run(
      [&](std::uint64_t i, std::uint8_t* frame) {
        Segment ack = syn_of(i);
        ack.sequence += 1;
        ack.acknowledgment = 5001;
        ack.flags = kAck;
        return write_segment(frame, ack);
      },
      once);
  return sides;
}

void established(std::uint64_t flows, const bench::Output& output, const bench::RunOptions& wanted) {
  Engine engine(static_cast<std::uint32_t>(flows + 16));
  const auto sides = open_flows(engine, flows);
  auto& datapath = static_cast<lb::Datapath&>(engine.bench.application());
  if (datapath.flow_count() != flows) die(fmt::format("{} flows opened, not {}", datapath.flow_count(), flows));
  bench::RunOptions options = wanted;
  const auto stream = [&](std::uint64_t i, std::uint8_t* frame) {
    const std::uint64_t flow = (i / 2) * 7368787 % flows;  // a prime: every flow once, far from the one before
    const auto isn = static_cast<std::uint32_t>(flow);
    if (i % 2 == 0) {
      Segment segment = syn_of(flow);
      segment.sequence += 1;
      segment.acknowledgment = 5001;
      segment.flags = wire::kTcpAck;
      segment.payload = 6;
      return write_segment(frame, segment);
    }
    return write_segment(frame, {sides[flow].member, sides[flow].snat, 5001, isn + 1, wire::kTcpAck, 6});
  };
  const auto result = engine.bench.run(stream, options);
  if (result.sent != result.received) die(fmt::format("{} of {} packets came through", result.sent, result.received));
  output.print(fmt::format("L4 full NAT, established, {} flow{}", flows, flows == 1 ? "" : "s"), result);
}

void new_connections(const bench::Output& output, bench::RunOptions options, std::uint32_t members) {
  options.packets = std::min<std::uint64_t>(options.packets, 1 << 16);
  options.warm_up = std::min<std::uint64_t>(options.warm_up, 1 << 14);
  const std::uint64_t total = options.packets * options.samples + options.warm_up;
  Engine engine(static_cast<std::uint32_t>(total + 1024), members);
  const auto result =
      engine.bench.run([](std::uint64_t i, std::uint8_t* frame) { return write_segment(frame, syn_of(i)); }, options);
  if (result.sent != result.received) die(fmt::format("{} of {} connections opened", result.sent, result.received));
  output.print(fmt::format("L4 new connection, {} members", members), result);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Output output;
  bench::RunOptions options;
  std::vector<std::uint64_t> flows{1, 1000, 100000, 1000000};
  bool only_new = false, only_flows = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    const auto number = [&] { return i + 1 < argc ? std::strtoull(argv[++i], nullptr, 10) : 0; };
    if (arg == "--json") output.json = true;
    if (arg == "--packets") options.packets = std::max<std::uint64_t>(number(), 256);
    if (arg == "--samples") options.samples = std::max(static_cast<unsigned>(number()), 1u);
    if (arg == "--flows") flows = {std::max<std::uint64_t>(number(), 1)}, only_flows = true;
    if (arg == "--new") only_new = true;
  }
  options.warm_up = std::min(options.warm_up, options.packets);
  if (!only_new) {
    for (const std::uint64_t count : flows) established(count, output, options);
  }
  if (!only_flows) new_connections(output, options, 32);
  return 0;
}
