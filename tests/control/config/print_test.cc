// What is printed reads back as the same Config, and never shows a password.
#include "control/config/print.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>

#include "control/config/normalise.h"
#include "control/config/parse.h"
#include "control/config/writer.h"
#include "tests/control/config/sample.h"

namespace sluice::config::print_test {
namespace {

Config parsed(std::string_view text) {
  auto outcome = parse("s.yaml", text);
  for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
  return outcome.config.value_or(Config{});
}

void expect_round_trip(const Config& config) {
  for (const bool all : {false, true}) {
    const std::string text = print(config, {.all = all});
    const auto outcome = parse("printed.yaml", text);
    for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
    ASSERT_TRUE(outcome.config) << text;
    EXPECT_EQ(*outcome.config, config) << text;
    EXPECT_EQ(print(*outcome.config, {.all = all}), text);
  }
}

TEST(Print, ReferenceDeployment) {
  const Config config = parsed(testing::kReference);
  expect_round_trip(config);
  EXPECT_EQ(print(config), R"(ports:
  int_vlan:
    device: "net_af_packet0,iface=int0"
self-ips:
  - address: 172.16.40.202/24
    port: int_vlan
routes:
  - prefix: default
    gateway: 172.16.40.254
bgp:
  local-as: 64512
  router-id: 172.16.40.202
  neighbors:
    - address: 172.16.40.199
      description: k8s-master
      remote-as: 64512
    - address: 172.16.40.198
      description: k8s-node1
      remote-as: 64512
monitors:
  cka:
    interval: 15s
    timeout: 30s
    send: "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n"
    recv: cka
pools:
  nginx:
    balance: least-connections-member
    members: [10.244.0.76:80, 10.244.0.77:80, 10.244.1.37:80]
    monitors: cka
virtual-servers:
  web:
    destination: 172.16.40.81:80
    mode: http
    pool: nginx
  far:
    destination: 172.16.99.99:80
    pool: nginx
virtual-addresses:
  172.16.40.81: {}
  172.16.99.99: {}
manifests: manifests/
kubernetes:
  namespaces: default
  partition: k8s
)");
}

TEST(Print, EveryKey) {
  Config config = parsed(testing::kEveryKey);
  const std::string masked = print(config);
  EXPECT_EQ(masked.find("s3cret"), std::string::npos);
  EXPECT_NE(masked.find("password: \"********\""), std::string::npos) << masked;
  EXPECT_EQ(print(config, {.all = true}).find("s3cret"), std::string::npos);
  EXPECT_EQ(print(config, {.all = true}).find("gr0up"), std::string::npos);
  config.bgp.neighbors[0].session.password.clear();
  config.bgp.peer_groups[0].session.password.clear();
  expect_round_trip(config);
}

TEST(Print, EmptyConfig) {
  expect_round_trip([] {
    Config config;
    normalise(config);
    return config;
  }());
}

TEST(Print, TextThatNeedsQuotes) {
  for (const char* text : {"null",  "~",      "true",     "12", "- a",  "a: b", "#x", "\"", "\\", "'", "a\nb",
                           " lead", "trail ", "\x01\x7f", "*a", "&a",   "!t",   "%x", "@x", "`x", "?", "...",
                           "---",   "{",      "[",        ",",  "a #b", "é",    "\t", "=",  "<<", "|", ">"}) {
    Config config = parsed(testing::kReference);
    config.monitors[0].recv = "";
    config.monitors[0].send_written = text;
    config.bgp.neighbors[0].description = text;
    config.engine.eal_args = {text, "b"};
    normalise(config);
    expect_round_trip(config);
  }
}

// A Config with arbitrary, valid values.
Config random_config(std::mt19937& rng) {
  const auto pick = [&](unsigned max) { return static_cast<unsigned>(rng() % max); };
  const auto seconds = [&](unsigned min, unsigned max) {
    return Duration(std::chrono::seconds(min + pick(max - min)));
  };
  Config c;
  c.engine.workers = 1 + pick(4);
  c.engine.memory_mb = 64 + pick(100000);
  c.engine.hugepages = pick(2) != 0;
  c.ports.push_back({.name = "p", .device = "net_null0", .mtu = static_cast<std::uint16_t>(576 + pick(8000))});
  c.self_ips.push_back(
      {.name = pick(2) != 0 ? "self" : "", .address = {Ipv4Address::from_octets(10, 0, 0, 1), 24}, .port = "p"});
  for (unsigned i = 0, n = pick(4); i < n; ++i)
    c.routes.push_back({.prefix = Ipv4Prefix::of({0xc0000000 + (i << 16)}, 16), .gateways = {{0x0a000000u + 2 + i}}});
  for (unsigned i = 0, n = pick(3); i < n; ++i)
    c.snat_pools.push_back({"snat" + std::to_string(i), {{0x0a000080u + i}}});
  for (unsigned i = 0, n = pick(4); i < n; ++i) {
    Monitor m{.name = "m" + std::to_string(i), .type = static_cast<MonitorType>(pick(2))};
    m.interval = seconds(1, 1000);
    m.timeout = m.interval + seconds(1, 1000);
    if (pick(2) != 0) m.up_interval = seconds(1, 2);
    m.time_until_up = seconds(0, 100);
    for (unsigned k = 0, length = pick(20); k < length; ++k) m.send_written += static_cast<char>(1 + pick(127));
    m.manual_resume = pick(2) != 0;
    if (pick(2) != 0) m.destination_port = static_cast<std::uint16_t>(1 + pick(65535));
    c.monitors.push_back(m);
  }
  for (unsigned i = 0, n = pick(5); i < n; ++i) {
    Pool p{.name = "pool" + std::to_string(i), .balance = static_cast<Balance>(pick(7))};
    for (unsigned k = 0, members = pick(30); k < members; ++k)
      p.members.push_back({.endpoint = {{0x0a010000u + k}, static_cast<std::uint16_t>(1 + pick(65535))},
                           .ratio = 1 + pick(3),
                           .connection_limit = 1 + pick(2),
                           .priority_group = pick(2),
                           .state = static_cast<MemberState>(pick(3))});
    for (const auto& m : c.monitors)
      if (pick(2) != 0) p.monitors.push_back(m.name);
    p.slow_ramp = seconds(0, 900);
    p.service_down = static_cast<ServiceDownAction>(pick(4));
    c.pools.push_back(p);
  }
  for (unsigned i = 0, n = pick(6); i < n; ++i) {
    VirtualServer v{.name = "v" + std::to_string(i),
                    .destination = {{0x0a000040u + i}, static_cast<std::uint16_t>(80 + i)}};
    v.mode = static_cast<Mode>(pick(3));
    if (!c.pools.empty() && pick(4) != 0) v.pool = c.pools[pick(static_cast<unsigned>(c.pools.size()))].name;
    v.snat = pick(2) != 0 ? SnatKind::none : SnatKind::automap;
    if (!c.snat_pools.empty() && pick(2) != 0) v.snat = SnatKind::pool, v.snat_pool = c.snat_pools[0].name;
    v.idle.closing = Duration(std::chrono::milliseconds(100 + pick(100000)));
    v.persist = static_cast<PersistKind>(pick(2));
    c.virtual_servers.push_back(v);
  }
  if (pick(2) != 0) {
    c.bgp.local_as = 1 + pick(4294967295u);
    for (unsigned i = 0, n = pick(4); i < n; ++i) {
      BgpNeighbor peer{.address = {0x0a0000c8u + i}};
      peer.session.remote_as = 1 + pick(70000);
      if (pick(2) != 0) peer.session.hold_time = seconds(4, 300);
      if (pick(2) != 0) peer.session.keepalive = Duration(1s);
      if (pick(2) != 0) peer.session.passive = pick(2) != 0;
      if (pick(2) != 0) peer.session.import_rules = {"prefix 10.0.0.0/8 le 24 accept", "any set med 1 next"};
      if (pick(2) != 0) peer.session.bfd.emplace();
      if (peer.session.bfd && pick(2) != 0) peer.session.bfd->multiplier = 1 + pick(255);
      if (peer.session.bfd && pick(2) != 0) peer.session.bfd->multihop = pick(2) != 0;
      c.bgp.neighbors.push_back(peer);
    }
  }
  normalise(c);
  return c;
}

TEST(Print, RandomConfigsRoundTrip) {
  for (unsigned seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 rng(seed);
    expect_round_trip(random_config(rng));
    if (HasFailure()) return;
  }
}

// SCHEMA.md has every key that the schema has.
TEST(SchemaDocument, NamesEveryKey) {
  std::ifstream file(SLUICE_SCHEMA_MD);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(text.empty());
  const Config c = parsed(testing::kEveryKey);
  const WriteOptions all{.all = true};
  unsigned keys = 0;
  const auto expect_keys = [&](const Node& object) {
    for (const auto& key : object.keys) {
      ++keys;
      const bool named = text.find('`' + key + '`') != std::string::npos ||
                         text.find('.' + key + '`') != std::string::npos ||
                         text.find("## " + key) != std::string::npos || text.find(", " + key) != std::string::npos;
      EXPECT_TRUE(named) << "SCHEMA.md does not explain " << key;
    }
  };
  expect_keys(Writer::write(c, all));
  expect_keys(Writer::write(c.engine, all));
  expect_keys(Writer::write(c.ports[0], all));
  expect_keys(Writer::write(c.self_ips[0], all));
  expect_keys(Writer::write(c.routes[0], all));
  expect_keys(Writer::write(c.snat_pools[0], all));
  expect_keys(Writer::write(c.bgp, all));
  expect_keys(Writer::write(c.bgp.neighbors[0], all));
  expect_keys(Writer::write(c.bgp.peer_groups[0], all));
  expect_keys(Writer::write(c.bgp.listen_ranges[0], all));
  expect_keys(Writer::write(c.bgp.aggregates[0], all));
  expect_keys(Writer::write(c.bgp.block_owners[0], all));
  expect_keys(Writer::write(c.bgp.prefix_lists[0], all));
  expect_keys(Writer::write(c.monitors[0], all));
  expect_keys(Writer::write(c.pools[0], all));
  expect_keys(Writer::write(c.pools[0].members[0], all));
  expect_keys(Writer::write(c.virtual_servers[0], all));
  expect_keys(Writer::write(c.virtual_servers[0].idle, all));
  expect_keys(Writer::write(c.virtual_addresses[0], all));
  expect_keys(Writer::write(c.kubernetes, all));
  expect_keys(Writer::write(c.admin, all));
  EXPECT_GT(keys, 90u);
}

}  // namespace
}  // namespace sluice::config::print_test
