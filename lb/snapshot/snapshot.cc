// The lookups of a snapshot and their indexes; see snapshot.h.
#include "lb/snapshot/snapshot.h"

#include <algorithm>
#include <bit>

namespace sluice::lb {
namespace {

// Not keyed: what is looked up by strangers is only compared with what the user configured.
std::size_t mix(std::uint64_t value) {
  value *= 0x9e3779b97f4a7c15;
  return value ^ value >> 32;
}

std::size_t slot_of(Ipv4Address address, std::uint16_t port, Protocol protocol) {
  return mix(std::uint64_t{address.value} << 24 | std::uint64_t{port} << 8 | static_cast<std::uint64_t>(protocol));
}

std::size_t slot_of(Ipv4Address address) { return mix(address.value); }

// Puts index i at the first free place from `slot` on.
void put(std::vector<std::uint32_t>& index, std::size_t slot, std::size_t i) {
  const std::size_t mask = index.size() - 1;
  while (index[slot & mask] != 0) ++slot;
  index[slot & mask] = static_cast<std::uint32_t>(i + 1);
}

template <typename Fits>
std::uint32_t get(const std::vector<std::uint32_t>& index, std::size_t slot, Fits&& fits) {
  if (index.empty()) return 0;
  const std::size_t mask = index.size() - 1;
  for (;; ++slot) {
    const std::uint32_t found = index[slot & mask];
    if (found == 0 || fits(found - 1)) return found;
  }
}

bool has_fit_member(const Pool* pool) {
  if (pool == nullptr || pool->tiers.empty()) return false;
  return pool->spec.members[pool->tiers.front().members.front()].is_known_fit();  // fit ones come first
}

}  // namespace

bool can_serve(const VirtualServer& server) {
  return server.enabled && (server.answers_itself || has_fit_member(server.pool) ||
                            std::ranges::any_of(server.http_pools, has_fit_member));
}

const VirtualServer* Snapshot::find_virtual_server(Ipv4Address address, std::uint16_t port, Protocol protocol) const {
  for (const std::uint16_t wanted : {port, std::uint16_t{0}}) {
    const std::uint32_t found = get(virtual_server_index_, slot_of(address, wanted, protocol), [&](std::uint32_t i) {
      const VirtualServer& vs = virtual_servers_[i];
      return vs.destination.address == address && vs.destination.port == wanted && vs.protocol == protocol;
    });
    if (found != 0) return &virtual_servers_[found - 1];
  }
  return nullptr;
}

const LocalAddress* Snapshot::find_local(Ipv4Address address) const {
  const std::uint32_t found =
      get(local_index_, slot_of(address), [&](std::uint32_t i) { return locals_[i].address == address; });
  return found == 0 ? nullptr : &locals_[found - 1];
}

const SelfIp* Snapshot::self_ip_of_port(packet::PortId port, Ipv4Address next_hop) const {
  const SelfIp* first = nullptr;
  for (const SelfIp& self_ip : self_ips_) {
    if (self_ip.port != port) continue;
    if (self_ip.address.subnet().contains(next_hop)) return &self_ip;
    if (first == nullptr) first = &self_ip;
  }
  return first;
}

void Snapshot::index() {
  virtual_server_index_.assign(std::bit_ceil(virtual_servers_.size() * 2 + 2), 0);
  for (std::size_t i = 0; i < virtual_servers_.size(); ++i) {
    const VirtualServer& vs = virtual_servers_[i];
    put(virtual_server_index_, slot_of(vs.destination.address, vs.destination.port, vs.protocol), i);
  }

  std::size_t snat_addresses = 0;
  for (const SnatPool& pool : snat_pools_) snat_addresses += pool.addresses.size();
  const std::size_t locals_max = self_ips_.size() + virtual_addresses_.size() + snat_addresses;
  local_index_.assign(std::bit_ceil(locals_max * 2 + 2), 0);
  locals_.reserve(locals_max);
  const auto local = [&](Ipv4Address address) -> LocalAddress& {
    const std::uint32_t found =
        get(local_index_, slot_of(address), [&](std::uint32_t i) { return locals_[i].address == address; });
    if (found != 0) return locals_[found - 1];
    put(local_index_, slot_of(address), locals_.size());
    return locals_.emplace_back(LocalAddress{.address = address});
  };
  for (const SelfIp& self_ip : self_ips_) local(self_ip.address.address).self_ip = &self_ip;
  for (const VirtualAddress& va : virtual_addresses_) local(va.address).virtual_address = &va;
  for (const SnatPool& pool : snat_pools_) {
    for (const Ipv4Address address : pool.addresses) local(address).snat = true;
  }
}

}  // namespace sluice::lb
