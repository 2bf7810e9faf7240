// The reference deployment's network around a Datapath; see lb_world.h.
#include "tests/support/lb_world.h"

#include <fmt/format.h>

namespace sluice::lb {
namespace {

using test::Frame;

MacAddress mac_of(Ipv4Address a) {
  return {{0x02, 0x99, static_cast<std::uint8_t>(a.value >> 24), static_cast<std::uint8_t>(a.value >> 16),
           static_cast<std::uint8_t>(a.value >> 8), static_cast<std::uint8_t>(a.value)}};
}

std::vector<packet::PortInfo> make_ports(const WorldOptions& options) {
  std::vector<packet::PortInfo> ports(options.with_host_port ? 3 : 2);
  ports[0].name = "int";
  ports[0].mac = test::kOwnMac;
  ports[0].rx_partial_checksums = options.partial_checksums;
  ports[1].name = "ext";
  ports[1].mac = test::kOwnMac;
  ports[1].mtu = 1400;
  if (options.with_host_port) {
    ports[2].name = "host";
    ports[2].mac = test::kOwnMac;
    ports[2].kind = packet::PortKind::host;
  }
  for (packet::PortId i = 0; i < ports.size(); ++i) ports[i].id = i;
  return ports;
}

}  // namespace

World::World(const WorldOptions& options)
    : pool_(options.pool_size), registry_(options.workers), workers_(options.workers) {
  DatapathOptions datapath;
  datapath.worker = options.worker;
  datapath.workers = options.workers;
  datapath.ports = make_ports(options);
  datapath.flows_max = options.flows_max;
  datapath.snat_port_first = options.snat_port_first;
  datapath.snat_port_last = options.snat_port_last;
  datapath.start = now;
  auto made = Datapath::create(datapath, sink_, *drops_, *pool_, options.workers > 1 ? &handover_ : nullptr);
  if (!made) {
    std::fprintf(stderr, "%s\n", made.error().text().c_str());
    std::abort();
  }
  datapath_ = std::move(*made);
  add_routes();
}

World::~World() {
  datapath_->on_stop(now);
  sink_.flush_all();
  for (const packet::Packet packet : handover_.batch.view()) drops_->drop(packet, DropReason::shutting_down);
  datapath_.reset();
}

void World::add_routes() {
  const auto add = [&](const std::string& prefix, ip::NextHopGroup hops) {
    const Status added = datapath_->fib().apply({*Ipv4Prefix::parse(prefix), std::move(hops)});
    EXPECT_TRUE(added.has_value()) << added.error().text();
  };
  add("172.16.40.0/24", {ip::NextHop::connected(kNetworkPort)});
  add("192.168.7.0/24", {ip::NextHop::connected(kOtherPort)});
  add("10.244.0.0/24", {ip::NextHop::via(kNetworkPort, test::ip("172.16.40.199"))});
  add("10.244.1.0/24", {ip::NextHop::via(kNetworkPort, test::ip("172.16.40.198"))});
  add("10.99.0.0/16", {ip::NextHop::via(kNetworkPort, test::ip("172.16.40.254"))});
  add("192.0.2.0/24", {ip::NextHop::blackhole()});
  for (const char* ours : {"172.16.40.202/32", "192.168.7.1/32", "172.16.40.80/32", "172.16.99.99/32"}) {
    add(ours, {ip::NextHop::local()});
  }
  const auto know = [&](packet::PortId port, const std::string& address) {
    const Status known = datapath_->neighbors().set_permanent(now, port, test::ip(address), mac_of(test::ip(address)));
    EXPECT_TRUE(known.has_value()) << known.error().text();
  };
  for (const char* host : {"172.16.40.10", "172.16.40.11", "172.16.40.198", "172.16.40.199", "172.16.40.254"}) {
    know(kNetworkPort, host);
  }
  know(kOtherPort, "192.168.7.20");
}

VirtualServerSpec server_spec(const std::string& name, const std::string& destination, const std::string& pool,
                              Mode mode) {
  VirtualServerSpec spec;
  spec.name = name;
  spec.destination = {test::ip(destination.substr(0, destination.find(':'))),
                      static_cast<std::uint16_t>(std::stoul(destination.substr(destination.find(':') + 1)))};
  spec.pool = pool;
  spec.mode = mode;
  return spec;
}

PoolSpec pool_of(const std::string& name, std::vector<std::string> endpoints, Balance balance) {
  PoolSpec spec;
  spec.name = name;
  spec.balance = balance;
  for (const auto& text : endpoints) {
    MemberSpec& member = spec.members.emplace_back();
    member.endpoint = *Ipv4Endpoint::parse(text);
    member.verdict.status = MonitorStatus::up;
  }
  return spec;
}

void World::install_default() {
  install({server_spec("web", "172.16.40.80:80", "web"), server_spec("dns", "172.16.40.80:53", "dns", Mode::udp)},
          {pool_of("web", {"10.244.0.76:80", "10.244.1.37:80"}), pool_of("dns", {"10.244.0.53:53"})});
}

void World::install(std::vector<VirtualServerSpec> servers, std::vector<PoolSpec> pools,
                    std::vector<VirtualAddressSpec> addresses, std::vector<SnatPool> snat_pools) {
  Builder builder(registry_, balance::state_factory(workers_));
  builder.add_self_ip({*Ipv4Interface::parse("172.16.40.202/24"), kNetworkPort});
  builder.add_self_ip({*Ipv4Interface::parse("192.168.7.1/24"), kOtherPort});
  for (auto& server : servers) builder.add_virtual_server(std::move(server));
  for (auto& pool : pools) builder.add_pool(std::move(pool));
  for (auto& address : addresses) builder.add_virtual_address(address);
  for (auto& pool : snat_pools) builder.add_snat_pool(std::move(pool));
  auto next = builder.build(now, snapshot_.get());
  ASSERT_TRUE(next.has_value()) << next.error().text();
  EXPECT_EQ(datapath_->install(now, next->get()), snapshot_.get());
  snapshot_ = *next;
}

void World::feed(packet::Packet packet, packet::PortId port) {
  ++received_;
  packet::Batch batch;
  batch.push(packet);
  datapath_->on_burst(now, port, batch);
  EXPECT_EQ(batch.count, 0u);
}

void World::feed(packet::Batch& batch, packet::PortId port) {
  received_ += batch.count;
  datapath_->on_burst(now, port, batch);
}

std::string World::send(const test::Bytes& frame, packet::PortId port) {
  feed(test::to_packet(*pool_, frame, {}, port), port);
  return outcome();
}

std::string World::handed_over(const test::Bytes& frame, std::uint32_t passed) {
  ++received_;
  packet::Batch batch;
  batch.push(test::to_packet(*pool_, frame, {}, kNetworkPort));
  worker::set_workers_passed(batch.packets[0], passed);
  datapath_->on_handover(now, batch);
  return outcome();
}

std::string World::advance(Duration time) {
  const Instant end = now + time;
  while (now < end) {
    now = std::min(end, now + 100ms);
    for (int turn = 0; turn < 100 && datapath_->next_timer() <= now; ++turn) datapath_->on_timers(now);
  }
  return outcome();
}

std::string World::outcome() {
  std::vector<std::string> parts;
  for (std::size_t i = 0; i < kDropReasonCount; ++i) {
    const std::uint64_t count = drops_->counters().get(static_cast<DropReason>(i));
    for (; seen_drops_[i] < count; ++seen_drops_[i]) {
      parts.push_back(fmt::format("drop {}", name_of(static_cast<DropReason>(i))));
    }
  }
  frames_ = sink_.take();
  sent_ += frames_.size();
  for (const auto& frame : frames_) {
    constexpr const char* kNames[] = {"int", "ext", "host"};
    parts.push_back(fmt::format("{}: {}", kNames[frame.port], test::describe(frame.bytes)));
    if (!judge_frames) continue;
    const std::string faults = test::faults(frame.bytes);
    EXPECT_EQ(faults, "") << parts.back();
    if (!faults.empty()) faults_ = faults;
  }
  check_accounting();
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : "; ") + part;
  return text;
}

void World::check_accounting() {
  const std::uint64_t in = received_ + drops_->generated();
  const std::uint64_t out = sent_ + drops_->counters().total() + drops_->consumed();
  EXPECT_EQ(in, out + pool_->in_use()) << "received " << received_ << " generated " << drops_->generated() << " sent "
                                       << sent_ << " dropped " << drops_->counters().total() << " consumed "
                                       << drops_->consumed() << " in use " << pool_->in_use();
}

Frame World::client(const std::string& to, unsigned dst_port, unsigned src_port) const {
  return Frame().ip("172.16.40.10", to).tcp(src_port, dst_port);
}

Frame World::member(unsigned to_port, const std::string& from, unsigned from_port) const {
  return Frame().ip(from, "172.16.40.202").tcp(from_port, to_port);
}

void World::establish(unsigned src_port) {
  send(client("172.16.40.80", 80, src_port).flags(wire::kTcpSyn).seq(1000));
  ASSERT_EQ(frames_.size(), 1u);
  wire::Layers syn;
  const test::Bytes forwarded = frames_[0].bytes;
  wire::parse(forwarded, static_cast<std::uint32_t>(forwarded.size()), {wire::load_mac(forwarded.data()), true}, syn);
  send(Frame()
           .ip(syn.destination, syn.source)
           .tcp(syn.dst_port, syn.src_port)
           .flags(wire::kTcpSyn | wire::kTcpAck)
           .seq(5000, 1001));
  ASSERT_EQ(frames_.size(), 1u);
  send(client("172.16.40.80", 80, src_port).flags(wire::kTcpAck).seq(1001, 5001));
  ASSERT_EQ(frames_.size(), 1u);
}

std::vector<FlowView> World::flows(const FlowFilter& filter) {
  std::vector<FlowView> found;
  found.reserve(datapath_->flow_capacity());
  for (std::uint32_t cursor = 0; cursor != kFlowListEnd;) {
    cursor = datapath_->list_flows(now, cursor, 100, filter, found);
  }
  return found;
}

}  // namespace sluice::lb
