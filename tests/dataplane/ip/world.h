// A worker's whole IP layer for tests: two network ports and a host port, addresses, FIB, neighbors, output, a sink.
//
//   port 0 "int"  02:…:01  172.16.40.202/24      port 1 "ext"  02:…:02  10.1.0.1/16      port 2 "host"  02:…:03
//
// Called by: the tests in this folder.
#pragma once

#include <gtest/gtest.h>

#include "dataplane/ip/output.h"
#include "dataplane/packet/chain.h"
#include "tests/support/eal.h"
#include "tests/support/packets.h"

namespace sluice::ip {

using test::Bytes;
using test::Frame;

inline const MacAddress kExtMac = *MacAddress::parse("02:00:00:00:00:02");
inline const MacAddress kHostMac = *MacAddress::parse("02:00:00:00:00:03");

inline std::vector<packet::PortInfo> make_ports() {
  std::vector<packet::PortInfo> ports(3);
  ports[0] = {"int", 0, packet::PortKind::network, test::kOwnMac, 1500};
  ports[1] = {"ext", 1, packet::PortKind::network, kExtMac, 1500};
  ports[2] = {"host", 2, packet::PortKind::host, kHostMac, 1500};
  return ports;
}

inline LocalAddress self_ip(std::string_view address, unsigned length, packet::PortId port) {
  return {test::ip(address), static_cast<std::uint8_t>(length), port, true, true, true};
}
inline LocalAddress virtual_address(std::string_view address) { return {test::ip(address)}; }

inline std::vector<LocalAddress> default_addresses() {
  return {self_ip("172.16.40.202", 24, 0), self_ip("10.1.0.1", 16, 1), virtual_address("172.16.40.80"),
          virtual_address("172.16.99.99")};
}

inline std::unique_ptr<Fib> make_fib(ForwardingEpoch& epoch, FibLimits limits = {4096, 126, 100}) {
  test::start_eal();
  static int number = 0;
  auto fib = Fib::create("fib" + std::to_string(number++), limits, -1, epoch);
  if (!fib) {
    ADD_FAILURE() << fib.error().text();
    std::abort();
  }
  return std::move(*fib);
}

struct World {
  explicit World(NeighborLimits neighbor_limits = {}, std::uint32_t pool_size = 1023, IcmpLimits icmp_limits = {})
      : pool(pool_size),
        fib(make_fib(epoch)),
        neighbors(now, neighbor_limits, {}, {ports, local, pool, sink, drops, epoch}),
        icmp(icmp_limits, {local, pool, drops}),
        output({ports, *fib, neighbors, local, pool, sink, drops, epoch}) {
    std::vector<LocalAddress> added;
    EXPECT_TRUE(local.replace(default_addresses(), added));
    EXPECT_TRUE(fib->apply({test::prefix("172.16.40.0/24"), {NextHop::connected(0)}}));
    EXPECT_TRUE(fib->apply({test::prefix("10.1.0.0/16"), {NextHop::connected(1)}}));
  }

  void arp(packet::PortId port, const Bytes& frame) {
    neighbors.input(now, port, test::to_packet(pool, frame, {}, port), 14);
  }
  // An entry for an address on port 0, learned from its request for our self IP; the answer is taken off the sink.
  void learn(std::string_view address, const MacAddress& mac) {
    arp(0, test::arp_request(mac, address, "172.16.40.202"));
    sink.take();
  }
  void send(const Bytes& frame, TransmitSpec spec = {}) { output.send(now, test::to_packet(pool, frame), spec); }
  std::uint64_t dropped(DropReason reason) const { return drops.counters().get(reason); }
  // Time passes in steps of 100 ms with the timers run.
  void pass(Duration duration) {
    for (const Instant end = now + duration; now < end;) {
      now = std::min<Instant>(end, now + 100ms);
      neighbors.expire(now);
    }
  }
  std::string state_of(std::string_view address) {
    for (const NeighborInfo& info : neighbors.list(now)) {
      if (info.address == test::ip(address)) return std::string(name_of(info.state)) + " " + info.mac.text();
    }
    return "none";
  }

  Instant now = instant_ns(1'000'000'000);
  test::TestPool pool;
  std::vector<packet::PortInfo> ports = make_ports();
  LocalAddresses local;
  test::CollectSink sink;
  packet::Drops drops;
  ForwardingEpoch epoch;
  std::unique_ptr<Fib> fib;
  NeighborTable neighbors;
  Icmp icmp;
  IpOutput output;
};

}  // namespace sluice::ip
