// The routing table against brute force: random changes from every source; the FIB that its updates build is the one
// that follows from the routes alone.
#include "control/routing/routing_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/support/random.h"

namespace sluice::routing {
namespace {

Ipv4Address ip(const char* text) { return Ipv4Address::parse(text).value(); }
Ipv4Prefix prefix(const char* text) { return Ipv4Prefix::parse(text).value(); }
const Instant kNow = instant_ns(1'000'000'000'000);

struct Fib {
  struct Entry {
    RouteAction action = RouteAction::remove;
    ResolvedNextHops hops;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  std::map<Ipv4Prefix, Entry> entries;
  void take(RoutingTable& table, std::size_t slice = 3) {
    while (table.has_updates()) {
      for (const auto& u : table.take_updates(slice)) {
        if (u.action == RouteAction::remove) {
          entries.erase(u.prefix);
        } else {
          entries[u.prefix] = {u.action, u.next_hops ? *u.next_hops : ResolvedNextHops{}};
        }
      }
    }
  }
};

// What is configured, and from it alone what the FIB must be.
struct Model {
  std::map<InterfaceId, bool> up;
  std::map<std::pair<Ipv4Interface, InterfaceId>, int> connected;
  std::map<Ipv4Prefix, std::pair<std::vector<Ipv4Address>, bool>> fixed;
  std::set<Ipv4Address> virtual_addresses;
  std::map<Ipv4Prefix, std::pair<std::vector<Ipv4Address>, bool>> bgp;  // second: external

  struct Way {
    bool reachable = false, blackhole = false;
    std::set<ResolvedNextHop> hops;
  };
  Way resolve(Ipv4Address gateway, unsigned depth) const {
    Way out;
    if (depth > 8) return out;
    for (int length = 32; length >= 0; --length) {
      const auto p = Ipv4Prefix::of(gateway, static_cast<unsigned>(length));
      for (const auto& [key, count] : connected) {
        if (key.first.length != 32 && key.first.subnet() == p && up.contains(key.second) && up.at(key.second)) {
          out.reachable = true;
          out.hops.insert({key.second, gateway});
          return out;
        }
      }
      const auto at = fixed.find(p);
      if (at == fixed.end()) continue;
      if (at->second.second) {
        out.reachable = out.blackhole = true;
        return out;
      }
      for (const auto next : at->second.first) {
        const auto way = resolve(next, depth + 1);
        out.reachable = out.reachable || way.reachable;
        out.hops.insert(way.hops.begin(), way.hops.end());
      }
      return out;
    }
    return out;
  }
  Fib::Entry through(const std::vector<Ipv4Address>& gateways, bool& usable) const {
    Way all;
    for (const auto gateway : gateways) {
      const auto way = resolve(gateway, 1);
      all.reachable = all.reachable || way.reachable;
      all.hops.insert(way.hops.begin(), way.hops.end());
    }
    usable = all.reachable;
    if (all.hops.empty()) return {RouteAction::blackhole, {}};
    return {RouteAction::forward, {all.hops.begin(), all.hops.end()}};
  }
  Fib fib() const {
    Fib out;
    std::set<Ipv4Prefix> prefixes;
    for (const auto& [key, c] : connected) prefixes.insert({key.first.subnet(), Ipv4Prefix::of(key.first.address, 32)});
    for (const auto& [p, f] : fixed) prefixes.insert(p);
    for (const auto a : virtual_addresses) prefixes.insert(Ipv4Prefix::of(a, 32));
    for (const auto& [p, b] : bgp) prefixes.insert(p);
    for (const auto p : prefixes) {
      if (const auto entry = best(p)) out.entries[p] = *entry;
    }
    return out;
  }
  std::optional<Fib::Entry> best(Ipv4Prefix p) const {
    for (const auto& [key, c] : connected) {
      if (Ipv4Prefix::of(key.first.address, 32) == p) return Fib::Entry{RouteAction::local, {}};
    }
    if (p.length == 32 && virtual_addresses.contains(p.address)) return Fib::Entry{RouteAction::local, {}};
    for (const auto& [key, c] : connected) {
      if (key.first.subnet() == p && up.contains(key.second) && up.at(key.second)) {
        return Fib::Entry{RouteAction::forward, {{key.second, {}}}};
      }
    }
    bool usable = false;
    if (const auto at = fixed.find(p); at != fixed.end()) {
      if (at->second.second) return Fib::Entry{RouteAction::blackhole, {}};
      const auto entry = through(at->second.first, usable);
      if (usable) return entry;
    }
    if (const auto at = bgp.find(p); at != bgp.end()) {
      const auto entry = through(at->second.first, usable);
      if (usable) return entry;
    }
    return std::nullopt;
  }
};

class RoutingProperty : public ::testing::TestWithParam<unsigned> {};

TEST_P(RoutingProperty, FibIsThatOfBruteForce) {
  sluice::testing::Random random(GetParam());
  RoutingTable table;
  Model model;
  Fib fib;
  const Ipv4Interface selves[] = {*Ipv4Interface::parse("172.16.40.202/24"), *Ipv4Interface::parse("10.1.0.1/16"),
                                  *Ipv4Interface::parse("192.168.0.1/30")};
  const auto some_prefix = [&] {
    constexpr unsigned kLengths[] = {0, 8, 16, 24, 25, 32};
    constexpr std::uint32_t kBases[] = {0x0a000000, 0x0a010000, 0xac102800, 0x0af40000, 0xc0a80000};
    return Ipv4Prefix::of(Ipv4Address{kBases[random() % 5] + random() % 4}, kLengths[random() % 6]);
  };
  const auto some_gateways = [&] {
    std::vector<Ipv4Address> out;
    constexpr std::uint32_t kBases[] = {0xac1028c6, 0x0a010002, 0x0a000001, 0xc0a80002, 0x08080808};
    for (unsigned n = 1 + random() % 3; n > 0; --n) out.push_back(Ipv4Address{kBases[random() % 5] + random() % 2});
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  };
  for (int step = 0; step < 400; ++step) {
    const InterfaceId interface = static_cast<InterfaceId>(random() % 3);
    switch (random() % 10) {
      case 0: {
        const bool is_up = random() % 3 != 0;
        table.set_interface(interface, "eth", is_up);
        model.up[interface] = is_up;
        break;
      }
      case 1: {
        const std::pair key{selves[interface], interface};
        if (model.connected.erase(key) != 0) {
          table.remove_connected(key.first, interface);
        } else {
          table.add_connected(key.first, interface, kNow);
          model.connected[key] = 1;
        }
        break;
      }
      case 2:
      case 3: {
        const auto p = some_prefix();
        const bool blackhole = random() % 5 == 0;
        if (random() % 3 == 0) {
          table.set_static(p, {}, false, kNow);
          model.fixed.erase(p);
        } else {
          const auto gateways = blackhole ? std::vector<Ipv4Address>{} : some_gateways();
          table.set_static(p, gateways, blackhole, kNow);
          model.fixed[p] = {gateways, blackhole};
        }
        break;
      }
      case 4: {
        const auto a = some_prefix().address;
        const bool present = random() % 2 == 0;
        table.set_virtual_address(a, present, kNow);
        present ? void(model.virtual_addresses.insert(a)) : void(model.virtual_addresses.erase(a));
        break;
      }
      default: {
        const auto p = some_prefix();
        const bool external = random() % 2 == 0;
        const auto gateways = random() % 3 == 0 ? std::vector<Ipv4Address>{} : some_gateways();
        EXPECT_TRUE(table.set_bgp(p, gateways, external, kNow));
        gateways.empty() ? void(model.bgp.erase(p)) : void(model.bgp[p] = {gateways, external});
        break;
      }
    }
    if (random() % 4 == 0) {
      fib.take(table, 1 + random() % 8);
      const auto expected = model.fib();
      ASSERT_EQ(fib.entries, expected.entries) << "seed " << GetParam() << " step " << step;
      for (int i = 0; i < 3; ++i) {  // lookup() is the FIB's longest match
        const auto a = some_prefix().address;
        std::optional<Ipv4Prefix> longest;
        for (const auto& [p, e] : expected.entries) {
          if (p.contains(a) && (!longest || p.length > longest->length)) longest = p;
        }
        const auto found = table.lookup(a);
        ASSERT_EQ(found.has_value(), longest.has_value());
        EXPECT_TRUE(!found || found->prefix == *longest);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, RoutingProperty, ::testing::Range(1u, 13u));

TEST(RoutingTable, ShowsTheScenario) {
  RoutingTable table;
  table.set_interface(3, "int_vlan", true);
  table.add_connected(*Ipv4Interface::parse("172.16.40.202/24"), 3, kNow);
  const std::vector<Ipv4Address> master{ip("172.16.40.199")}, gateway{ip("172.16.40.254")};
  table.set_static(prefix("0.0.0.0/0"), gateway, false, kNow);
  table.set_bgp(prefix("10.244.0.0/24"), master, false, kNow);
  table.set_virtual_address(ip("172.16.99.99"), true, kNow);
  const auto routes = table.show(kNow + 1373s);
  ASSERT_EQ(routes.size(), 5u);
  std::string codes;
  for (const auto& r : routes) codes += code_of(r.source);
  EXPECT_EQ(codes, "SBCCK");
  EXPECT_EQ(routes[1].distance, 200u);
  EXPECT_EQ(routes[1].hops[0].gateway, ip("172.16.40.199"));
  EXPECT_EQ(routes[1].hops[0].interface, "int_vlan");
  EXPECT_FALSE(routes[1].hops[0].recursive);
  EXPECT_EQ(routes[1].age, 1373s);
  EXPECT_EQ(table.show_lookup(ip("10.244.0.76"), kNow)->prefix, prefix("10.244.0.0/24"));
  EXPECT_EQ(table.show_lookup(ip("8.8.8.8"), kNow)->prefix, prefix("0.0.0.0/0"));
}

TEST(RoutingTable, NextHopBehindTheDefaultGatewayIsRecursive) {
  RoutingTable table;
  table.set_interface(0, "eth0", true);
  table.add_connected(*Ipv4Interface::parse("172.16.40.202/24"), 0, kNow);
  const std::vector<Ipv4Address> gateway{ip("172.16.40.254")}, far{ip("10.9.9.9")};
  table.set_bgp(prefix("10.244.0.0/24"), far, true, kNow);
  EXPECT_FALSE(table.lookup(ip("10.244.0.1")));
  EXPECT_FALSE(table.resolve_next_hop(far[0]).reachable);
  table.set_static(prefix("0.0.0.0/0"), gateway, false, kNow);
  EXPECT_TRUE(table.take_next_hops_changed());
  EXPECT_FALSE(table.take_next_hops_changed());
  const auto route = table.lookup(ip("10.244.0.1"));
  ASSERT_TRUE(route);
  EXPECT_EQ(*route->next_hops, (ResolvedNextHops{{0, ip("172.16.40.254")}}));
  const auto state = table.resolve_next_hop(far[0]);
  EXPECT_TRUE(state.reachable);
  EXPECT_FALSE(state.connected);
  EXPECT_EQ(state.metric, 1u);
  const auto info = table.show_lookup(ip("10.244.0.1"), kNow);
  EXPECT_TRUE(info->hops[0].recursive);
  EXPECT_EQ(info->hops[0].via, ip("172.16.40.254"));
}

TEST(RoutingTable, GatewayThatLeadsToItselfResolvesNothing) {
  RoutingTable table;
  table.set_interface(0, "eth0", true);
  const std::vector<Ipv4Address> inside{ip("10.1.1.1")};
  table.set_static(prefix("10.0.0.0/8"), inside, false, kNow);
  EXPECT_FALSE(table.lookup(ip("10.2.2.2")));
}

}  // namespace
}  // namespace sluice::routing
