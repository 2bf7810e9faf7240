// What the control thread asks of a Datapath by Tasks, and how one is made; see datapath.h.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>

#include "lb/datapath/impl.h"

namespace sluice::lb {

Datapath::Impl::Impl(DatapathOptions options_in, packet::TxSink& tx_in, packet::Drops& drops_in,
                     packet::PacketPool pool_in, worker::Handover* handover_in)
    : options(std::move(options_in)), tx(tx_in), drops(drops_in), pool(pool_in), handover(handover_in) {}

Status Datapath::Impl::open() {
  static std::atomic<unsigned> made{0};
  ip::FibLimits routes;
  routes.routes_max = options.routes_max;
  routes.tbl8_max = std::clamp(options.routes_max / 64, 1024u, 1u << 14);
  auto opened = ip::Fib::create(fmt::format("fib{}-{}", options.worker, made++), routes, -1, epoch);
  if (!opened) return tl::unexpected(opened.error());
  fib = std::move(*opened);
  ip::NeighborLimits limits;
  limits.entries_max = options.neighbors_max;
  neighbors = std::make_unique<ip::NeighborTable>(
      options.start, limits, options.seed, ip::NeighborTable::Context{options.ports, local, pool, tx, drops, epoch});
  icmp = std::make_unique<ip::Icmp>(ip::IcmpLimits{}, ip::Icmp::Context{local, pool, drops});
  output = std::make_unique<ip::IpOutput>(
      ip::IpOutput::Context{options.ports, *fib, *neighbors, local, pool, tx, drops, epoch});
  bfd_table = std::make_unique<bfd::Table>(options.start, bfd::Table::Context{*output, pool, drops});
  ip::ReassemblyLimits fragments;
  fragments.packets_max = options.fragments_max;
  reassembly = std::make_unique<ip::Reassembly>(options.start, fragments, options.seed, drops);
  for (const packet::PortInfo& port : options.ports) {
    if (port.kind == packet::PortKind::host) host_port = port.id;
  }
  if (host_port != packet::kNoPort) neighbors->set_answer_all(host_port, true);
  egress =
      std::make_unique<Egress>(Egress::Context{options.ports, host_port, *output, local, *icmp, pool, drops, counters});
  auto persistence = options.persistence;
  if (!persistence) persistence = std::make_shared<SourceAddressTable>(65536, options.seed);
  l4 = std::make_unique<L4>(L4::Options{options.worker, options.workers, options.flows_max, options.snat_port_first,
                                        options.snat_port_last, options.seed, options.start},
                            L4::Context{*output, local, *egress, drops, counters, persistence, host_port});
  for (const packet::PortInfo& port : options.ports) ingress[port.id] = {port.mac, l4->takes_plain(port.id)};
  proxy_seam = std::make_unique<ProxySeam>(*egress, *l4);
  ProxyOptions http;
  http.worker = options.worker;
  http.conns_max = options.conns_max;
  http.seed = options.seed;
  http.start = options.start;
  proxy = std::make_unique<Proxy>(
      http, Proxy::Context{options.ports, *output, local, drops, pool, *proxy_seam, *proxy_seam, persistence});
  l4->snat_ports().share_with([this](const flow::FlowKey& key) { return proxy->uses(key); });
  return {};
}

Result<std::unique_ptr<Datapath>> Datapath::create(DatapathOptions options, packet::TxSink& tx, packet::Drops& drops,
                                                   packet::PacketPool pool, worker::Handover* handover) {
  const std::string place = fmt::format("worker {}", options.worker);
  if (options.flows_max == 0) return fail(place, "flows_max is 0: give room for at least one flow");
  if (options.workers == 0 || options.worker >= options.workers) {
    return fail(place, fmt::format("there are {} workers", options.workers));
  }
  if (options.snat_port_last < options.snat_port_first ||
      options.snat_port_last - options.snat_port_first + 1u < options.workers) {
    return fail(place, fmt::format("SNAT ports {}-{} are not one for each of {} workers", options.snat_port_first,
                                   options.snat_port_last, options.workers));
  }
  for (std::size_t i = 0; i < options.ports.size(); ++i) {
    if (options.ports[i].id != i) return fail("port " + options.ports[i].name, "its id is not its place in the list");
  }
  auto impl = std::make_unique<Impl>(std::move(options), tx, drops, pool, handover);
  if (auto opened = impl->open(); !opened) return tl::unexpected(opened.error());
  return std::unique_ptr<Datapath>(new Datapath(std::move(impl)));
}

Datapath::Datapath(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Datapath::~Datapath() = default;

// Everything that waits ends here, as shutting_down; flows let go of their members.
void Datapath::on_stop(Instant) {
  if (impl_->save_to != nullptr) impl_->save_flows();
  impl_->proxy.reset();
  impl_->l4.reset();
  impl_->egress.reset();
  impl_->reassembly.reset();
  impl_->bfd_table.reset();
  impl_->output.reset();
  impl_->neighbors.reset();
}

void Datapath::Impl::set_local_addresses(const Snapshot& next) {
  std::vector<ip::LocalAddress> wanted;
  for (const LocalAddress& address : next.local_addresses()) {
    ip::LocalAddress& to = wanted.emplace_back();
    to.address = address.address;
    if (address.self_ip != nullptr) {
      to.length = address.self_ip->address.length;
      to.port = address.self_ip->port;
      to.is_self_ip = true;
    } else if (address.virtual_address != nullptr) {
      const VirtualAddress& va = *address.virtual_address;
      to.arp = va.arp;
      to.icmp_echo = va.icmp_echo == IcmpEcho::enabled || (va.icmp_echo == IcmpEcho::selective && va.reachable);
    } else {
      to.icmp_echo = false;  // SNAT only
    }
  }
  if (std::ranges::equal(wanted, local.all())) return;
  std::vector<ip::LocalAddress> added;
  const Status replaced = local.replace(std::move(wanted), added);
  assert(replaced.has_value());  // the Builder keeps to the limit and makes no address twice
  epoch.bump();
}

const Snapshot* Datapath::install(Instant now, const Snapshot* next) {
  const Snapshot* former = std::exchange(impl_->snapshot, next);
  impl_->l4->set_snapshot(now, next);
  impl_->proxy->set_snapshot(now, next);
  if (next == nullptr) return former;
  impl_->set_local_addresses(*next);
  impl_->forwards_to_strangers =
      std::ranges::any_of(next->virtual_servers(), [](const VirtualServer& vs) { return vs.snat == SnatKind::none; });
  impl_->has_owners_by_client |= impl_->forwards_to_strangers;
  return former;
}

const Snapshot* Datapath::snapshot() const { return impl_->snapshot; }
ip::Fib& Datapath::fib() { return *impl_->fib; }
ip::NeighborTable& Datapath::neighbors() { return *impl_->neighbors; }
const DatapathCounters& Datapath::counters() const { return impl_->counters; }
bfd::Table& Datapath::bfd_table() { return *impl_->bfd_table; }
Proxy& Datapath::proxy() { return *impl_->proxy; }
std::uint32_t Datapath::flow_count() const { return static_cast<std::uint32_t>(impl_->counters.flows_open.get()); }
std::uint32_t Datapath::flow_capacity() const { return impl_->options.flows_max; }

void Datapath::announce(Instant now, Ipv4Address address) {
  const ip::LocalAddress* local = impl_->local.find(address);
  if (local != nullptr && local->arp) impl_->neighbors->announce(now, *local);
}

std::uint32_t Datapath::list_flows(Instant now, std::uint32_t cursor, std::uint32_t slots_max, const FlowFilter& filter,
                                   std::vector<FlowView>& out) {
  L4FlowTable& table = impl_->l4->table();
  for (; slots_max > 0 && cursor < table.capacity() && out.size() < out.capacity(); --slots_max, ++cursor) {
    const L4Flow* flow = table.at(cursor);
    if (flow == nullptr) continue;
    const FlowView view = impl_->l4->view(now, *flow);
    if (filter.matches(view)) out.push_back(view);
  }
  return cursor < table.capacity() ? cursor : kFlowListEnd;
}

bool Datapath::delete_flow(Instant, std::uint64_t id) {
  L4Flow* flow = impl_->l4->table().by_id(id);
  if (flow == nullptr) return false;
  impl_->l4->end(*flow);
  return true;
}

std::uint32_t Datapath::delete_flows(Instant now, std::uint32_t cursor, std::uint32_t slots_max,
                                     const FlowFilter& filter, std::uint32_t& deleted) {
  L4FlowTable& table = impl_->l4->table();
  for (; slots_max > 0 && cursor < table.capacity(); --slots_max, ++cursor) {
    L4Flow* flow = table.at(cursor);
    if (flow == nullptr || !filter.matches(impl_->l4->view(now, *flow))) continue;
    impl_->l4->end(*flow);
    ++deleted;
  }
  return cursor < table.capacity() ? cursor : kFlowListEnd;
}

}  // namespace sluice::lb
