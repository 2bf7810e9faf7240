// LocalAddresses: the addresses that are ours, on which port, and what we do for them (answer ARP, answer ping).
//
// Self IPs belong to one port and carry their subnet's length; virtual addresses belong to every network port (kNoPort)
// or to one, with length 32. Nothing here knows why an address is ours.
//
// Called by: lb/datapath (replaces the set when configuration changes; asks "is it ours?"), ip/neighbor, ip/output.
// Runs on: the worker that owns it. Follows: RFC 1122 §3.3.4 (source address). Tested by:
// tests/dataplane/ip/local_addresses_test.cc
#pragma once

#include <span>
#include <vector>

#include "dataplane/base/hash.h"
#include "dataplane/base/result.h"
#include "dataplane/packet/port_info.h"

namespace sluice::ip {

struct LocalAddress {
  Ipv4Address address;
  std::uint8_t length = 32;               // of its subnet, for self IPs
  packet::PortId port = packet::kNoPort;  // kNoPort: all network ports
  bool is_self_ip = false;                // may be the source of what we originate
  bool arp = true;                        // answer ARP requests for it
  bool icmp_echo = true;                  // answer pings to it

  Ipv4Prefix subnet() const { return Ipv4Prefix::of(address, length); }
  friend bool operator==(const LocalAddress&, const LocalAddress&) = default;
};

class LocalAddresses {
 public:
  static constexpr std::size_t kMax = 16384;

  LocalAddresses() { index_.resize(2, kEmpty); }

  // Replaces all of them; `added` gets those that were not there before, to be announced (NeighborTable::announce).
  // Fails, changing nothing, when there are more than kMax or an address twice.
  Status replace(std::vector<LocalAddress> addresses, std::vector<LocalAddress>& added);

  // nullptr: not ours. A few nanoseconds.
  const LocalAddress* find(Ipv4Address address) const {
    for (std::size_t at = slot_of(address);; at = (at + 1) & (index_.size() - 1)) {
      if (index_[at] == kEmpty) return nullptr;
      if (addresses_[index_[at]].address == address) return &addresses_[index_[at]];
    }
  }
  bool contains(Ipv4Address address) const { return find(address) != nullptr; }

  // Whether an ARP request for `address` heard on `port` is ours to answer.
  bool answers_arp(packet::PortId port, Ipv4Address address) const {
    const LocalAddress* local = find(address);
    return local != nullptr && local->arp && (local->port == packet::kNoPort || local->port == port);
  }

  // The self IP to use as source towards `destination` through `port`: the one whose subnet holds it, else the first on
  // that port, else the first of all; zero when there is no self IP.
  Ipv4Address source_for(packet::PortId port, Ipv4Address destination) const;
  // Whether `address` is the broadcast address (all ones, or all zeros: RFC 1812 §4.2.2.11) of one of our subnets.
  bool is_subnet_broadcast(Ipv4Address address) const;

  std::span<const LocalAddress> all() const { return addresses_; }

 private:
  static constexpr std::uint32_t kEmpty = UINT32_MAX;
  std::size_t slot_of(Ipv4Address address) const { return hash_address({}, address) & (index_.size() - 1); }

  std::vector<LocalAddress> addresses_;
  std::vector<std::uint32_t> index_;     // open addressing, at most half full
  std::vector<std::uint32_t> self_ips_;  // places in addresses_
};

}  // namespace sluice::ip
