// The addresses that are ours; see local_addresses.h.
#include "dataplane/ip/local_addresses.h"

#include <algorithm>
#include <bit>

namespace sluice::ip {

Status LocalAddresses::replace(std::vector<LocalAddress> addresses, std::vector<LocalAddress>& added) {
  if (addresses.size() > kMax) {
    return fail("local addresses", std::to_string(addresses.size()) + " are too many: at most " + std::to_string(kMax));
  }
  LocalAddresses next;
  next.addresses_ = std::move(addresses);
  next.index_.assign(std::bit_ceil(next.addresses_.size() * 2 + 2), kEmpty);
  for (std::uint32_t i = 0; i < next.addresses_.size(); ++i) {
    const LocalAddress& local = next.addresses_[i];
    std::size_t at = next.slot_of(local.address);
    for (; next.index_[at] != kEmpty; at = (at + 1) & (next.index_.size() - 1)) {
      if (next.addresses_[next.index_[at]].address == local.address) {
        return fail("local addresses", local.address.text() + " is there twice");
      }
    }
    next.index_[at] = i;
    if (local.is_self_ip) next.self_ips_.push_back(i);
  }
  for (const LocalAddress& local : next.addresses_) {
    const LocalAddress* before = find(local.address);
    if (before == nullptr || before->port != local.port || (local.arp && !before->arp)) added.push_back(local);
  }
  *this = std::move(next);
  return {};
}

Ipv4Address LocalAddresses::source_for(packet::PortId port, Ipv4Address destination) const {
  const LocalAddress* on_port = nullptr;
  const LocalAddress* any = nullptr;
  for (const std::uint32_t i : self_ips_) {
    const LocalAddress& local = addresses_[i];
    if (any == nullptr) any = &local;
    if (local.port != port) continue;
    if (local.subnet().contains(destination)) return local.address;
    if (on_port == nullptr) on_port = &local;
  }
  if (on_port != nullptr) return on_port->address;
  return any != nullptr ? any->address : Ipv4Address{};
}

bool LocalAddresses::is_subnet_broadcast(Ipv4Address address) const {
  return std::any_of(self_ips_.begin(), self_ips_.end(), [&](std::uint32_t i) {
    const LocalAddress& local = addresses_[i];
    if (local.length >= 31 || !local.subnet().contains(address)) return false;  // RFC 3021: /31 has no broadcast
    const std::uint32_t host = address.value & ~Ipv4Prefix::mask(local.length);
    return host == 0 || host == ~Ipv4Prefix::mask(local.length);
  });
}

}  // namespace sluice::ip
