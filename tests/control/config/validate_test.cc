// The cross checks, each with its exact words; and what must not be an error.
#include "control/config/validate.h"

#include <gtest/gtest.h>

#include "control/config/parse.h"

namespace sluice::config::validate_test {
namespace {

std::string text_of(const Errors& errors) {
  std::string out;
  for (const auto& error : errors) out += error.text() + '\n';
  return out;
}

// A working net; each case adds to it.
constexpr std::string_view kNet = "ports: {p: {device: net_null0}, q: {device: net_null1}}\n";
constexpr std::string_view kSelf = "self-ips: [{address: 10.0.0.2/24, port: p}]\n";

struct Case {
  const char* text;
  const char* errors;
  bool with_self = true;
};
class Validate : public ::testing::TestWithParam<Case> {};

TEST_P(Validate, SaysExactly) {
  const auto outcome = parse("s", std::string(kNet) + std::string(GetParam().with_self ? kSelf : "") + GetParam().text);
  EXPECT_EQ(text_of(outcome.errors), GetParam().errors);
  EXPECT_EQ(outcome.config.has_value(), outcome.errors.empty());
}

const Case kCases[] = {
    {"", ""},
    {"access-log: log/access.log", "s:3:13 access-log: \"log/access.log\" is no absolute path of a file\n"},
    {"access-log: /var/log/", "s:3:13 access-log: \"/var/log/\" is no absolute path of a file\n"},
    {"manifests: m\nkubernetes: {oneconnect: true, http: {proxy-protocol-out: v1}}",
     "s:4:26 kubernetes.oneconnect: cannot go with proxy-protocol-out: a shared server connection has no one client\n"},
    {"manifests: m\nkubernetes: {http: {routes: [{pool: x}]}}",
     "s:4:37 kubernetes.http.routes[0].pool: no pool \"x\": no pool is configured\n"},
    {"engine: {workers: 2, cores: [1]}", "s:3:29 engine.cores: names 1 cores for 2 workers: name one for each\n"},
    {"engine: {workers: 2, cores: [1, 1]}", "s:3:29 engine.cores: names a core twice: each worker needs its own\n"},
    {"self-ips: [{address: 10.0.0.2/24, port: pp}]", "s:2:41 self-ips[0].port: no port \"pp\": did you mean \"p\"?\n",
     false},
    {"self-ips: [{address: 10.0.0.2/24, port: p}, {address: 10.0.0.3/16, port: q}]",
     "s:2:55 self-ips[1].address: the subnet 10.0.0.0/16 clashes with 10.0.0.0/24 of self IP 10.0.0.2/24 on port p\n",
     false},
    {"self-ips: [{address: 10.0.0.2/24, port: p}, {address: 10.0.0.3/24, port: p}, {address: 10.0.1.2/24, port: q}]",
     "", false},
    {"self-ips: [{address: 10.0.0.2/24, port: p}, {address: 10.0.0.2/24, port: p}]",
     "s:2:55 self-ips[1].address: 10.0.0.2 is a self IP twice\n", false},
    {"self-ips: [{address: 10.0.0.0/24, port: p}]",
     "s:2:22 self-ips[0].address: 10.0.0.0/24 is the address of the subnet itself\n", false},
    {"self-ips: [{address: 10.0.0.255/24, port: p}]",
     "s:2:22 self-ips[0].address: 10.0.0.255/24 is the broadcast address of its subnet\n", false},
    {"self-ips: [{address: 224.0.0.1/24, port: p}]",
     "s:2:22 self-ips[0].address: 224.0.0.1/24 can be no host's address\n", false},
    {"self-ips: [{address: 10.0.0.4/31, port: p}]", "", false},
    {"routes: [{prefix: default, gateway: 10.0.1.1}]",
     "s:3:37 routes[0].gateway: 10.0.1.1 is on no subnet of a self IP\n"},
    {"routes: [{prefix: default, gateway: 10.0.0.2}]", "s:3:37 routes[0].gateway: 10.0.0.2 is a self IP of our own\n"},
    {"routes: [{prefix: default}]",
     "s:3:10 routes[0].gateway: is missing: write gateway: a.b.c.d, or blackhole: true\n"},
    {"routes: [{prefix: default, gateway: 10.0.0.1, blackhole: true}]",
     "s:3:58 routes[0].blackhole: a blackhole has no gateway: keep one of the two\n"},
    {"routes: [{prefix: default, gateway: 10.0.0.1}, {prefix: 0.0.0.0/0, gateway: 10.0.0.3}]",
     "s:3:57 routes[1].prefix: default has a route already: write several gateways in one list\n"},
    {"snat-pools: {a: {}, b: {members: [10.0.0.9, 10.0.0.9]}}",
     "s:3:14 snat-pools.a.members: is empty: write at least one address\n"
     "s:3:34 snat-pools.b.members: 10.0.0.9 is there twice\n"},
    {"bgp: {local-as: 1}", "s:2:6 bgp.router-id: is missing, and there is no self IP to take it from\n", false},
    {"bgp: {local-as: 1, neighbors: [{address: 10.0.0.2, remote-as: 1}, {address: 10.0.0.3, remote-as: 1, hold-time: "
     "2}, "
     "{address: 10.0.0.3, remote-as: 1, local-address: 10.0.0.9}]}",
     "s:3:42 bgp.neighbors[0].address: 10.0.0.2 is a self IP of our own\n"
     "s:3:112 bgp.neighbors[1].hold-time: 2s is too short: write 0 (never) or at least 3s\n"
     "s:3:126 bgp.neighbors[2].address: 10.0.0.3 is a neighbor twice\n"
     "s:3:165 bgp.neighbors[2].local-address: 10.0.0.9 is no self IP\n"},
    {"bgp: {local-as: 1, neighbors: [{address: 10.0.0.3, remote-as: 1, hold-time: 9, keepalive: 9}]}",
     "s:3:91 bgp.neighbors[0].keepalive: 9s must be more than 0 and less than the hold time 9s\n"},
    {"monitors: {m: {interval: 30, timeout: 30}}",
     "s:3:39 monitors.m.timeout: 30s must be longer than the interval 30s: 3 x interval + 1s is usual\n"},
    {"monitors: {m: {recv: \"[\", reverse: true, recv-disable: \"(\"}}",
     "s:3:22 monitors.m.recv: \"[\" is no regular expression: missing ]: [ (RE2 syntax)\n"
     "s:3:36 monitors.m.reverse: cannot be together with recv-disable\n"
     "s:3:56 monitors.m.recv-disable: \"(\" is no regular expression: missing ): ( (RE2 syntax)\n"},
    {"monitors: {m: {type: tcp-half-open, send: x}, n: {type: gateway-icmp, destination: \"*:5\"}, o: {reverse: true}}",
     "s:3:43 monitors.m.send: a tcp-half-open monitor sends nothing\n"
     "s:3:84 monitors.n.destination: a gateway-icmp monitor has no port: write the address only\n"
     "s:3:105 monitors.o.reverse: needs recv: what would mark the member down?\n"},
    {"pools: {a: {members: [\"10.0.0.5:80\", \"10.0.0.5:80\", \"0.0.0.0:1\"], monitors: [x, x], monitors-min: 3}}",
     "s:3:38 pools.a.members[1]: 10.0.0.5:80 is a member twice\n"
     "s:3:53 pools.a.members[2]: 0.0.0.0 can be no member's address\n"
     "s:3:77 pools.a.monitors: no monitor \"x\": no monitor is configured\n"
     "s:3:77 pools.a.monitors: \"x\" is there twice\n"
     "s:3:99 pools.a.monitors-min: 3 of 2 monitors can never pass\n"},
    {"pools: {a: {balance: weighted-least-connections-member, members: [{address: \"10.0.0.5:80\", connection-limit: "
     "5}, "
     "\"10.0.0.6:80\"]}}",
     "s:3:114 pools.a.members[1]: 10.0.0.6:80 has no connection-limit, which weighted-least-connections-member needs "
     "of "
     "every member\n"},
    {"virtual-servers: {a: {destination: \"10.9.0.1:80\", pool: wbe}}\npools: {web: {}, api: {}}",
     "s:3:57 virtual-servers.a.pool: no pool \"wbe\": did you mean \"web\"?\n"},
    {"virtual-servers: {a: {destination: \"10.9.0.1:80\", pool: other}}\npools: {web: {}, api: {}}",
     "s:3:57 virtual-servers.a.pool: no pool \"other\": there are web, api\n"},
    {"virtual-servers: {a: {destination: \"10.9.0.1:80\"}, b: {destination: \"10.9.0.1:80\", mode: http}, c: "
     "{destination: "
     "\"10.9.0.1:80\", mode: udp}}",
     "s:3:69 virtual-servers.b.destination: 10.9.0.1:80 (tcp) is already the destination of \"a\"\n"},
    {"virtual-servers: {a: {destination: \"10.0.0.2:80\"}, b: {destination: \"10.0.0.255:80\"}, c: {destination: "
     "\"10.0.0.3:80\"}, d: {destination: \"10.0.0.4:80\"}, e: {destination: \"224.0.0.1:80\"}, f: {destination: "
     "\"10.0.0.5:80\"}}\n"
     "bgp: {local-as: 1, neighbors: [{address: 10.0.0.3, remote-as: 1}]}\nroutes: [{prefix: default, gateway: "
     "10.0.0.4}]\n"
     "snat-pools: {s: {members: 10.0.0.5}}\nvirtual-addresses: {10.0.0.2: {}}\n",
     "s:3:36 virtual-servers.a.destination: 10.0.0.2 is a self IP: take another address\n"
     "s:3:69 virtual-servers.b.destination: 10.0.0.255 is the broadcast address of the subnet 10.0.0.0/24\n"
     "s:3:104 virtual-servers.c.destination: 10.0.0.3 is the address of a BGP neighbor\n"
     "s:3:137 virtual-servers.d.destination: 10.0.0.4 is the gateway of the route to default\n"
     "s:3:170 virtual-servers.e.destination: 224.0.0.1 can be no virtual address\n"
     "s:3:204 virtual-servers.f.destination: 10.0.0.5 is an address of SNAT pool \"s\"\n"},
    {"virtual-servers: {a: {destination: \"10.9.0.1:80\", snat: pool}, b: {destination: \"10.9.0.1:81\", snat: none, "
     "snat-pool: x}, c: {destination: \"10.9.0.1:82\", snat-pool: x}}",
     "s:3:19 virtual-servers.a.snat-pool: is missing: snat: pool needs the name of a SNAT pool\n"
     "s:3:119 virtual-servers.b.snat-pool: \"x\" contradicts snat: none; write snat: pool\n"
     "s:3:166 virtual-servers.c.snat-pool: no SNAT pool \"x\": no SNAT pool is configured\n"},
    {"admin: {socket: sluiced.sock}", "s:3:17 admin.socket: \"sluiced.sock\" is no absolute path\n"},
    {"virtual-addresses: {10.0.0.2: {}}",
     "s:3:21 virtual-addresses.10.0.0.2: 10.0.0.2 is a self IP: take another address\n"},
};
INSTANTIATE_TEST_SUITE_P(Cross, Validate, ::testing::ValuesIn(kCases));

TEST(ValidateWarnings, Said) {
  const auto outcome = parse("s", "kubernetes: {partition: x}\nself-ips: []\n");
  ASSERT_TRUE(outcome.config);
  EXPECT_EQ(
      text_of(outcome.warnings),
      "s ports: no ports: nothing can be received or sent\ns:1:13 kubernetes: has no effect without `manifests:`\n");
}

TEST(ValidateLimits, MembersOfAllPools) {
  Config config;
  for (unsigned p = 0; p < 9; ++p) {
    Pool pool{.name = "p" + std::to_string(p)};
    for (unsigned m = 0; m < 16384; ++m) pool.members.push_back({.endpoint = {{0x0a000001u + m}, 80}});
    config.pools.push_back(pool);
  }
  const auto findings = validate(config);
  ASSERT_EQ(findings.errors.size(), 1u);
  EXPECT_EQ(findings.errors[0], (Finding{"pools", "147456 members in all: at most 131072 are possible"}));
}

}  // namespace
}  // namespace sluice::config::validate_test
