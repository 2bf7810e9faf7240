// What a good sluice.yaml means, and the exact words about a bad one.
#include "control/config/parse.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "control/config/bgp.h"
#include "tests/control/config/sample.h"

namespace sluice::config::parse_test {
namespace {

std::string text_of(const Errors& errors) {
  std::string out;
  for (const auto& error : errors) out += error.text() + '\n';
  return out;
}

TEST(Parse, ReferenceDeployment) {
  const auto outcome = parse("sluice.yaml", testing::kReference);
  ASSERT_TRUE(outcome.config) << text_of(outcome.errors);
  EXPECT_EQ(text_of(outcome.warnings), "");
  const Config& c = *outcome.config;
  EXPECT_EQ(c.engine.workers, 1u);
  EXPECT_EQ(c.engine.memory_mb, 512u);
  ASSERT_EQ(c.ports.size(), 1u);
  EXPECT_EQ(c.ports[0].name, "int_vlan");
  EXPECT_EQ(c.ports[0].device, "net_af_packet0,iface=int0");
  ASSERT_EQ(c.self_ips.size(), 1u);
  EXPECT_EQ(c.self_ips[0].address.text(), "172.16.40.202/24");
  EXPECT_EQ(c.self_ips[0].name, "172.16.40.202");
  ASSERT_EQ(c.routes.size(), 1u);
  EXPECT_EQ(c.routes[0].prefix, Ipv4Prefix{});
  ASSERT_EQ(c.routes[0].gateways.size(), 1u);
  ASSERT_EQ(c.bgp.neighbors.size(), 2u);
  EXPECT_EQ(c.bgp.neighbors[1].address.text(), "172.16.40.198");
  EXPECT_FALSE(c.bgp.neighbors[0].session.hold_time) << "what is not said is the peer group's or the speaker's";
  EXPECT_EQ(keepalive_of(c.bgp.neighbors[0].session, 90s), 30s);
  ASSERT_EQ(c.monitors.size(), 1u);
  EXPECT_EQ(c.monitors[0].send, "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n");
  ASSERT_EQ(c.pools.size(), 1u);
  EXPECT_EQ(c.pools[0].balance, Balance::least_connections_member);
  EXPECT_EQ(c.pools[0].monitors, std::vector<std::string>{"cka"});
  ASSERT_EQ(c.pools[0].members.size(), 3u);
  EXPECT_EQ(c.pools[0].members[2].endpoint.text(), "10.244.1.37:80");
  EXPECT_EQ(c.pools[0].origin.text, "sluice.yaml pools.nginx");
  ASSERT_EQ(c.virtual_servers.size(), 2u);
  EXPECT_EQ(c.virtual_servers[0].mode, Mode::http);
  ASSERT_EQ(c.virtual_addresses.size(), 2u);
  EXPECT_EQ(c.virtual_addresses[0].address.text(), "172.16.40.81");
  EXPECT_EQ(c.virtual_addresses[1].address.text(), "172.16.99.99");
  EXPECT_EQ(c.virtual_addresses[1].route_advertisement, RouteAdvertisement::selective);
  EXPECT_EQ(c.manifests, "manifests/");
  EXPECT_EQ(c.kubernetes.namespaces, std::vector<std::string>{"default"});
}

TEST(Parse, EveryKey) {
  const auto outcome = parse("sluice.yaml", testing::kEveryKey);
  ASSERT_TRUE(outcome.config) << text_of(outcome.errors);
  const Config& c = *outcome.config;
  EXPECT_EQ(c.engine,
            (Engine{2, {2, 3}, true, 2048, 65536, 500000, 100000, 1000, true, {"--log-level=8", "--no-telemetry"}}));
  EXPECT_EQ(c.bgp.neighbors[0].session.hold_time, 9s);
  EXPECT_EQ(c.bgp.neighbors[0].session.keepalive, 2s);
  EXPECT_EQ(c.bgp.neighbors[0].session.password, "s3cret");
  EXPECT_EQ(c.monitors[0].send, "HEAD /x\r\n\r\n");
  EXPECT_EQ(c.monitors[0].send_written, "HEAD /x\\r\\n\\r\\n");
  EXPECT_EQ(c.monitors[0].up_interval, 10s);
  EXPECT_EQ(c.monitors[0].destination_address->text(), "10.0.0.1");
  EXPECT_EQ(c.monitors[1].destination_port, 81);
  EXPECT_FALSE(c.monitors[1].destination_address);
  EXPECT_EQ(c.pools[0].members[0],
            (Member{{Ipv4Address::from_octets(10, 244, 0, 76), 80}, 3, 100, 2, MemberState::disabled}));
  EXPECT_EQ(c.virtual_servers[0].idle, (IdleTimeouts{600s, 3s, 500ms, 1s, 30s}));
  EXPECT_EQ(c.virtual_addresses.size(), 1u);
  EXPECT_EQ(c.virtual_addresses[0].route_advertisement, RouteAdvertisement::always);
  EXPECT_EQ(c.admin.prometheus->text(), "127.0.0.1:9100");
}

TEST(Parse, KeepaliveFollowsTheHoldTime) {
  const auto outcome = parse("f", R"(
ports: {p: {device: net_null0}}
self-ips: [{address: 10.0.0.1/24, port: p}]
bgp: {local-as: 1, neighbors: [{address: 10.0.0.2, remote-as: 1, hold-time: 9}, {address: 10.0.0.3, remote-as: 1, hold-time: 0}]}
)");
  ASSERT_TRUE(outcome.config) << text_of(outcome.errors);
  EXPECT_EQ(keepalive_of(outcome.config->bgp.neighbors[0].session, 90s), 3s);
  EXPECT_EQ(keepalive_of(outcome.config->bgp.neighbors[1].session, 90s), 0s);
  EXPECT_EQ(outcome.config->bgp.router_id.text(), "10.0.0.1");
}

TEST(Parse, BfdIsSwitchedOrAMap) {
  const auto outcome = parse("f", R"(
ports: {p: {device: net_null0}}
self-ips: [{address: 10.0.0.1/24, port: p}]
bgp:
  local-as: 1
  neighbors:
  - {address: 10.0.0.2, remote-as: 1}
  - {address: 10.0.0.3, remote-as: 1, bfd: true}
  - {address: 10.0.0.4, remote-as: 1, bfd: false}
  - {address: 10.0.0.5, remote-as: 1, bfd: {min-tx: 50ms, min-rx: 60ms, multiplier: 5, multihop: true}}
  - {address: 10.0.0.6, remote-as: 1, bfd: {abort-graceful-restart: true}}
)");
  ASSERT_TRUE(outcome.config) << text_of(outcome.errors);
  const auto& n = outcome.config->bgp.neighbors;
  EXPECT_FALSE(n[0].session.bfd);
  EXPECT_EQ(n[1].session.bfd, BgpBfd{});
  EXPECT_FALSE(n[2].session.bfd);
  EXPECT_EQ(n[3].session.bfd, (BgpBfd{50ms, 60ms, 5, true, false}));
  EXPECT_TRUE(n[4].session.bfd->abort_graceful_restart);
  EXPECT_FALSE(n[4].session.bfd->multihop);
  for (const auto* bad : {"bfd: maybe", "bfd: [1]", "bfd: {min-tx: 5ms}", "bfd: {multiplier: 0}", "bfd: {speed: 1}"}) {
    const auto refused =
        parse("f", std::string("bgp: {local-as: 1, neighbors: [{address: 10.0.0.2, remote-as: 1, ") + bad + "}]}\n");
    ASSERT_FALSE(refused.errors.empty()) << bad;
    EXPECT_NE(refused.errors[0].text().find("bgp.neighbors[0].bfd"), std::string::npos) << refused.errors[0].text();
  }
}

struct Bad {
  const char* text;
  const char* errors;
};

// Each entry is a whole file and everything that must be said about it.
class ParseBad : public ::testing::TestWithParam<Bad> {};

TEST_P(ParseBad, SaysExactly) {
  const auto outcome = parse("s.yaml", GetParam().text);
  EXPECT_FALSE(outcome.config);
  EXPECT_EQ(text_of(outcome.errors), GetParam().errors);
}

const Bad kSyntax[] = {
    {"", "s.yaml: is empty: write at least `ports:` and `self-ips:` (control/config/SCHEMA.md)\n"},
    {"# nothing\n", "s.yaml: is empty: write at least `ports:` and `self-ips:` (control/config/SCHEMA.md)\n"},
    {"[1, 2", "s.yaml:1:1: a list or map stands where a key is expected: write a word, or close the bracket\n"},
    {"hello", "s.yaml:1:1: \"hello\" stands where a map (key: value) is expected\n"},
    {"ports: {}\nports: {}\n", "s.yaml:2:1: the key \"ports\" is there twice: keep one of them\n"},
    {"ports: {}\n---\nports: {}\n",
     "s.yaml:3:1: a second document: sluice.yaml is one document, without `---` inside\n"},
    {"a: &x [*x]\n", "s.yaml:1:8: an alias inside of its own anchor\n"},
    {"? [a]\n: b\n", "s.yaml:1:3: a list or map stands where a key is expected: write a word, or close the bracket\n"},
    {"ports: !!python/object:os.system {}\n",
     "s.yaml:1:8: the tag \"tag:yaml.org,2002:python/object:os.system\" is not supported\n"},
    {"a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n", "s.yaml:1:19: nested deeper than 16 levels\n"},
};
INSTANTIATE_TEST_SUITE_P(Syntax, ParseBad, ::testing::ValuesIn(kSyntax));

const Bad kValues[] = {
    {"prots: {}\n", "s.yaml:1:1: unknown key \"prots\": did you mean \"ports\"?\n"},
    {"engine: {wrokers: 2, zzz: 1}\n",
     "s.yaml:1:10 engine: unknown key \"wrokers\": did you mean \"workers\"?\n"
     "s.yaml:1:22 engine: unknown key \"zzz\": valid are workers, cores, hugepages, memory, packet-buffers, flows-max, "
     "routes-max, "
     "conns-max, busy-poll, eal-args\n"},
    {"engine: {workers: 0, memory: 12, hugepages: maybe}\n",
     "s.yaml:1:19 engine.workers: \"0\" is out of range: write 1 to 64\n"
     "s.yaml:1:30 engine.memory: \"12\" is out of range: write 64MB to 1024GB\n"
     "s.yaml:1:45 engine.hugepages: \"maybe\" is neither true nor false\n"},
    {"engine: {workers: two, memory: [1]}\n",
     "s.yaml:1:19 engine.workers: \"two\" is no whole number: write 1 to 64\n"
     "s.yaml:1:32 engine.memory: a list stands where one value is expected\n"},
    {"ports: {p: {}}\n", "s.yaml:1:12 ports.p.device: is missing\n"},
    {"ports: {\"a b\": {device: net_null0}}\n",
     "s.yaml:1:9 ports: \"a b\" is no name: write letters, digits and . _ - : / only\n"},
    {"ports: [1]\n", "s.yaml:1:8 ports: a list stands where a map of names is expected\n"},
    {"self-ips: {a: b}\n", "s.yaml:1:11 self-ips: a map stands where a list (- ...) is expected\n"},
    {"self-ips: [{address: 10.0.0.1, port: p}, {address: 10.0.0.300/24, port: p}, {address: \"fe80::1/64\", port: "
     "p}]\n",
     "s.yaml:1:22 self-ips[0].address: \"10.0.0.1\" is no address with its subnet's length: write a.b.c.d/24\n"
     "s.yaml:1:52 self-ips[1].address: \"10.0.0.300/24\" is no address with its subnet's length: write a.b.c.d/24\n"
     "s.yaml:1:87 self-ips[2].address: \"fe80::1/64\" is IPv6, which the packet engine does not implement: write an "
     "IPv4 "
     "address\n"},
    {"routes:\n- prefix: 10.0.0.1/24\n  gateway: 10.0.0.1\n- prefix: 10.0.0.1\n- {}\n",
     "s.yaml:2:11 routes[0].prefix: \"10.0.0.1/24\" has bits set beyond its length: did you mean 10.0.0.0/24?\n"
     "s.yaml:4:11 routes[1].prefix: \"10.0.0.1\" has no length: did you mean 10.0.0.1/32?\n"
     "s.yaml:5:3 routes[2].prefix: is missing\n"},
    {"pools: {web: {balance: round-robbin, members: [10.0.0.1, \"10.0.0.1:0\", \"10.0.0.1:80%2\"]}}\n",
     "s.yaml:1:24 pools.web.balance: \"round-robbin\" is no balancing method: write round-robin, ratio-member, "
     "least-connections-member, least-connections-node, ratio-least-connections-member, "
     "weighted-least-connections-member "
     "or consistent-hash\n"
     "s.yaml:1:48 pools.web.members[0]: \"10.0.0.1\" has no port: write 10.0.0.1:80\n"
     "s.yaml:1:58 pools.web.members[1]: \"10.0.0.1:0\" has port 0: write 1 to 65535\n"
     "s.yaml:1:72 pools.web.members[2]: \"10.0.0.1:80%2\" names a route domain; Sluice has only the domain 0: leave it "
     "out\n"},
    {"pools: {web: {balance: fastest-node, members: [{address: \"10.0.0.1:80\", ratio: 0, state: down}]}}\n",
     "s.yaml:1:24 pools.web.balance: \"fastest-node\" is a method of BIG-IP that Sluice does not have: write "
     "round-robin, "
     "ratio-member, least-connections-member, least-connections-node, ratio-least-connections-member, "
     "weighted-least-connections-member or consistent-hash\n"
     "s.yaml:1:80 pools.web.members[0].ratio: \"0\" is out of range: write 1 to 65535\n"
     "s.yaml:1:90 pools.web.members[0].state: \"down\" is not valid here: write enabled, disabled or offline\n"},
    {"virtual-servers: {v: {mode: https}, w: {destination: \"[2001:db8::1]:80\"}, x: {destination: "
     "\"2001:db8::1.80\"}}\n",
     "s.yaml:1:22 virtual-servers.v.destination: is missing\n"
     "s.yaml:1:29 virtual-servers.v.mode: \"https\" is not valid here: write tcp, udp or http\n"
     "s.yaml:1:54 virtual-servers.w.destination: \"[2001:db8::1]:80\" is IPv6, which the packet engine does not "
     "implement: "
     "write an IPv4 address\n"
     "s.yaml:1:92 virtual-servers.x.destination: \"2001:db8::1.80\" is IPv6, which the packet engine does not "
     "implement: "
     "write an IPv4 address\n"},
    {"monitors: {m: {interval: 5 minutes, timeout: 0, recv: [a], destination: \"nowhere:x\"}}\n",
     "s.yaml:1:26 monitors.m.interval: \"5 minutes\" is no duration: write seconds (5) or a number with its unit "
     "(200ms, "
     "5s, 2m)\n"
     "s.yaml:1:46 monitors.m.timeout: \"0\" is out of range: write 1s to 86400s\n"
     "s.yaml:1:55 monitors.m.recv: a list stands where one value is expected\n"
     "s.yaml:1:73 monitors.m.destination: \"nowhere:x\" is no destination: write a.b.c.d:port, a.b.c.d or *:port\n"},
    {"bgp: {neighbors: [{remote-as: 4294967296, password: \"********\"}]}\n",
     "s.yaml:1:6 bgp.local-as: is missing\n"
     "s.yaml:1:19 bgp.neighbors[0].address: is missing\n"
     "s.yaml:1:31 bgp.neighbors[0].remote-as: \"4294967296\" is out of range: write 1 to 4294967295\n"
     "s.yaml:1:53 bgp.neighbors[0].password: is the mask that `show config` prints: write the password itself\n"},
    {"admin: {prometheus: 9100, socket: }\n",
     "s.yaml:1:21 admin.prometheus: \"9100\" is no address with a port: write a.b.c.d:port\n"
     "s.yaml:1:35 admin.socket: has no value\n"},
};
INSTANTIATE_TEST_SUITE_P(Values, ParseBad, ::testing::ValuesIn(kValues));

TEST(Parse, ManyErrorsAreCut) {
  std::string text = "pools:\n";
  for (int i = 0; i < 1000; ++i) text += "  p" + std::to_string(i) + ": {nonsense: 1}\n";
  const auto outcome = parse("s.yaml", text);
  ASSERT_EQ(outcome.errors.size(), 201u);
  EXPECT_EQ(outcome.errors.back().message, "more errors are not shown: mend these first");
}

TEST(Parse, AliasBombIsRefused) {
  std::string text = "a: &a [x,x,x,x,x,x,x,x,x,x]\n";
  for (char c = 'b'; c <= 'k'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    text += std::string(1, c) + ": &" + c + " [*" + before;
    for (int i = 0; i < 9; ++i) text += ",*" + before;
    text += "]\n";
  }
  const auto outcome = parse("s.yaml", text);
  ASSERT_EQ(outcome.errors.size(), 1u);
  EXPECT_NE(outcome.errors[0].message.find("more than 20000 values"), std::string::npos) << outcome.errors[0].text();
}

TEST(Parse, AliasesWork) {
  const auto outcome = parse("s.yaml", R"(
ports: {p: {device: net_null0}}
self-ips: [{address: 10.0.0.1/24, port: p}]
pools:
  a: {members: &m ["10.1.0.1:80", "10.1.0.2:80"]}
  b: {members: *m}
)");
  ASSERT_TRUE(outcome.config) << text_of(outcome.errors);
  EXPECT_EQ(outcome.config->pools[0].members, outcome.config->pools[1].members);
}

TEST(Parse, DeepNestingIsRefused) {
  for (const std::size_t depth : {100u, 10000u, 1000000u}) {
    EXPECT_FALSE(parse("s.yaml", std::string(depth, '[')).config);
    EXPECT_FALSE(parse("s.yaml", std::string(depth, '{')).config);
    EXPECT_FALSE(parse("s.yaml", std::string(depth, '-')).config);
  }
}

TEST(Parse, TooLongAFileIsRefused) {
  const auto outcome = parse("s.yaml", std::string((16 << 20) + 1, ' '));
  ASSERT_EQ(outcome.errors.size(), 1u);
  EXPECT_EQ(outcome.errors[0].text(), "s.yaml: 16777217 bytes long: at most 16777216 are read");
}

TEST(LoadFile, ManifestsAreRelativeToTheFile) {
  const auto folder = std::filesystem::temp_directory_path() / ("sluice-config-test-" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "sluice.yaml") << testing::kReference;
  const auto outcome = load_file(folder / "sluice.yaml");
  ASSERT_TRUE(outcome.config) << text_of(outcome.errors);
  EXPECT_EQ(outcome.config->manifests, (folder / "manifests/").string());
  const auto missing = load_file(folder / "none.yaml");
  EXPECT_EQ(text_of(missing.errors), (folder / "none.yaml").string() + ": cannot be read: No such file or directory\n");
  EXPECT_EQ(text_of(load_file(folder).errors), folder.string() + ": is a folder: name the file\n");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sluice::config::parse_test
