// `bgp:` of sluice.yaml: peer groups, listen ranges, policies, and every mistake in them with its exact words.
#include "control/config/bgp.h"

#include <gtest/gtest.h>

#include "control/config/parse.h"
#include "control/config/print.h"
#include "control/config/writer.h"
#include "tests/control/config/sample.h"

namespace sluice::config::bgp_test {
namespace {

constexpr std::string_view kNet = "ports: {p: {device: net_null0}}\nself-ips: [{address: 10.0.0.2/24, port: p}]\n";

std::string text_of(const Errors& errors) {
  std::string out;
  for (const auto& error : errors) out += error.text() + '\n';
  return out;
}

ParseOutcome parsed(std::string_view bgp) { return parse("s", std::string(kNet) + std::string(bgp)); }

TEST(BgpGroups, OwnKeysWin) {
  const auto outcome = parsed(R"(
bgp:
  local-as: 1
  peer-groups:
    nodes: {remote-as: 7, hold-time: 9, keepalive: 2, passive: true, password: group, import: [any accept]}
  neighbors:
    - {address: 10.0.0.3, peer-group: nodes}
    - {address: 10.0.0.4, peer-group: nodes, remote-as: 8, passive: false, password: own, import: [any reject]}
    - {address: 10.0.0.5, peer-group: nodes, hold-time: 60}
    - {address: 10.0.0.6, remote-as: 9}
)");
  ASSERT_EQ(text_of(outcome.errors), "");
  const Bgp& bgp = outcome.config->bgp;
  const auto session = [&](std::size_t i) {
    return effective(bgp, bgp.neighbors[i].peer_group, bgp.neighbors[i].session);
  };
  EXPECT_EQ(session(0), bgp.peer_groups[0].session);
  EXPECT_EQ(session(1).remote_as, 8u);
  EXPECT_EQ(session(1).passive, false);
  EXPECT_EQ(session(1).password, "own");
  EXPECT_EQ(session(1).import_rules, std::vector<std::string>{"any reject"});
  EXPECT_EQ(session(1).hold_time, 9s);
  EXPECT_EQ(keepalive_of(session(0), 90s), 2s);
  EXPECT_EQ(keepalive_of(session(2), 90s), 20s) << "its own hold time comes with the keepalive that goes with it";
  EXPECT_EQ(session(3), bgp.neighbors[3].session);
  EXPECT_EQ(keepalive_of(session(3), 90s), 30s);
}

// Fails when a key of the session is forgotten in effective().
TEST(BgpGroups, EveryKeyIsInherited) {
  const auto outcome = parse("s", testing::kEveryKey);
  ASSERT_EQ(text_of(outcome.errors), "");
  const Bgp& bgp = outcome.config->bgp;
  const BgpSession& group = bgp.peer_groups.at(0).session;
  const auto count_keys = [](const BgpSession& session) {
    Config one;
    one.bgp.local_as = 1;
    one.bgp.peer_groups = {{"g", session}};
    const Node tree = to_tree(one, {.secrets = true});
    return tree.find("bgp")->find("peer-groups")->find("g")->keys.size();
  };
  EXPECT_EQ(count_keys(group), 29u) << "the sample does not set every key: add the new one";
  EXPECT_EQ(effective(bgp, bgp.peer_groups[0].name, {}), group);
}

TEST(BgpPolicies, PrefixListsAreUsedByName) {
  const auto outcome = parsed(R"(
bgp:
  local-as: 1
  prefix-lists:
    pods: {prefixes: [10.244.0.0/16 ge 24 le 32, 10.245.0.0/16]}
  peer-groups:
    nodes:
      import:
        - prefix-list pods set local-pref 200 accept
        - community 64512:100 as-path length 0..2 accept
      export: any set med 5 accept
  listen-ranges:
    - {prefix: 10.0.0.0/24, peer-group: nodes, remote-as: 2, neighbors-max: 10, expiry: 60}
)");
  ASSERT_EQ(text_of(outcome.errors), "");
  const Bgp& bgp = outcome.config->bgp;
  EXPECT_EQ(bgp.peer_groups[0].session.export_rules, std::vector<std::string>{"any set med 5 accept"});
  const auto policy = parse_policy(bgp.peer_groups[0].session.import_rules, prefix_lists_of(bgp));
  ASSERT_TRUE(policy);
  EXPECT_EQ(text_of(policy->rules[0]),
            "prefix 10.244.0.0/16 length 24..32 prefix 10.245.0.0/16 set local-pref 200 accept");
  EXPECT_EQ(bgp.listen_ranges[0].neighbors_max, 10u);
  EXPECT_EQ(bgp.listen_ranges[0].expiry, 60s);
}

TEST(BgpAddresses, ModesOfBigIpAndWhatGoesWithThem) {
  const auto outcome = parsed(R"(
virtual-addresses:
  10.9.0.1: {route-advertisement: enabled, communities: [64512:100, no-export], med: 50, prepend: 2}
  10.9.0.2: {route-advertisement: disabled, hold-up: 10s, hold-down: 2s, local-preference: 50}
  10.9.0.3: {graceful-shutdown: true, communities: "64512:1:2"}
)");
  ASSERT_EQ(text_of(outcome.errors), "");
  const auto& addresses = outcome.config->virtual_addresses;
  EXPECT_EQ(addresses[0].route_advertisement, RouteAdvertisement::selective);
  EXPECT_EQ(addresses[0].announcement.communities.size(), 2u);
  EXPECT_EQ(addresses[0].announcement.med, 50u);
  EXPECT_EQ(addresses[0].announcement.prepend, 2u);
  EXPECT_EQ(addresses[1].route_advertisement, RouteAdvertisement::never);
  EXPECT_EQ(addresses[1].hold_up, 10s);
  EXPECT_EQ(addresses[1].hold_down, 2s);
  EXPECT_EQ(addresses[1].announcement.local_preference, 50u);
  EXPECT_TRUE(addresses[2].announcement.graceful_shutdown);
}

struct Case {
  const char* bgp;
  const char* errors;
};
class BgpMistakes : public ::testing::TestWithParam<Case> {};

TEST_P(BgpMistakes, SaysExactly) {
  const auto outcome = parsed(std::string("bgp: {local-as: 1, ") + GetParam().bgp + "}\n");
  EXPECT_EQ(text_of(outcome.errors), GetParam().errors);
  EXPECT_EQ(outcome.config.has_value(), outcome.errors.empty());
}

const Case kCases[] = {
    {"neighbors: [{address: 10.0.0.3, peer-group: nodse}], peer-groups: {nodes: {remote-as: 1}}",
     "s:3:32 bgp.neighbors[0].remote-as: is missing: write it here or in the peer group\n"
     "s:3:64 bgp.neighbors[0].peer-group: no peer group \"nodse\": did you mean \"nodes\"?\n"},
    {"peer-groups: {g: {import: [any, prefix 10.0.0.0/8 ge 4 accept]}}",
     "s:3:47 bgp.peer-groups.g.import[0]: ends where accept, reject or next should follow\n"
     "s:3:52 bgp.peer-groups.g.import[1]: \"4\": expected a length of 8 to 32 behind ge\n"},
    {"neighbors: [{address: 10.0.0.3, remote-as: 1, export: prefix-list x accept}]",
     "s:3:74 bgp.neighbors[0].export[0]: \"x\": expected the name of one of bgp.prefix-lists behind prefix-list\n"},
    {"prefix-lists: {a: {}, b: {prefixes: [10.0.0.1/8, 10.0.0.0/8 le 33]}}",
     "s:3:35 bgp.prefix-lists.a.prefixes: is empty: write at least one prefix\n"
     "s:3:57 bgp.prefix-lists.b.prefixes[0]: \"10.0.0.1/8\": expected a prefix such as 10.244.0.0/16 with host bits "
     "zero\n"
     "s:3:69 bgp.prefix-lists.b.prefixes[1]: \"33\": expected a length of 8 to 32 behind le\n"},
    {"listen-ranges: [{prefix: default, remote-as: 1}, {prefix: 10.0.0.0/24, remote-as: 1, passive: false}, "
     "{prefix: 10.0.0.0/24, remote-as: 1}]",
     "s:3:45 bgp.listen-ranges[0].prefix: would let everybody in: write the subnet that the nodes are on\n"
     "s:3:114 bgp.listen-ranges[1].passive: cannot be false: who is not known by name must connect first\n"
     "s:3:131 bgp.listen-ranges[2].prefix: 10.0.0.0/24 is a listen range twice\n"},
    {"neighbors: [{address: 10.0.0.3, remote-as: 1, role: customer, ttl-security: 1, multihop: 2}]",
     "s:3:72 bgp.neighbors[0].role: customer is for external neighbors: this one is in our AS (RFC 9234)\n"
     "s:3:96 bgp.neighbors[0].ttl-security: contradicts multihop: with TTL security every segment leaves with 255\n"},
    {"neighbors: [{address: 10.0.0.3, remote-as: 1, add-path: maybe}]",
     "s:3:76 bgp.neighbors[0].add-path: \"maybe\" is not valid here: write none, receive, send or both\n"},
    {"neighbors: [{address: \"fd00::1\", remote-as: 1}]",
     "s:3:42 bgp.neighbors[0].address: \"fd00::1\" is IPv6, which the packet engine does not implement: write an IPv4 "
     "address\n"},
    {"aggregates: [{prefix: 10.9.0.0/24, communities: x}, {prefix: 10.9.0.0/24}, {prefix: 10.9.0.1/32}]",
     "s:3:68 bgp.aggregates[0].communities: \"x\" is no community: write 64512:100, 64512:1:2 or a name such as "
     "no-export\n"
     "s:3:81 bgp.aggregates[1].prefix: 10.9.0.0/24 is an aggregate twice\n"
     "s:3:104 bgp.aggregates[2].prefix: 10.9.0.1/32 covers no virtual addresses: write the prefix that they are in\n"},
    {"block-owners: [{prefix: 10.244.0.0/26, node: 10.0.0.3}, {prefix: 10.244.0.0/26, node: 10.0.0.4}]",
     "s:3:85 bgp.block-owners[1].prefix: 10.244.0.0/26 has an owner already\n"},
};
INSTANTIATE_TEST_SUITE_P(Bgp, BgpMistakes, ::testing::ValuesIn(kCases));

TEST(BgpWarnings, ExternalWithoutPolicy) {
  const auto warnings = [](std::string_view session, std::string_view more = "") {
    return text_of(parsed("bgp: {local-as: 1, " + std::string(more) + "neighbors: [{address: 10.0.0.3, remote-as: 2" +
                          std::string(session) + "}]}\n")
                       .warnings);
  };
  EXPECT_NE(warnings("").find("import: is missing, and so is bgp.accept"), std::string::npos);
  EXPECT_EQ(warnings("", "accept: 10.244.0.0/16, "), "");
  EXPECT_EQ(warnings(", import: any accept"), "");
  const auto required = warnings(", require-policy: true");
  EXPECT_NE(required.find("accepts nothing from an external neighbor (RFC 8212)"), std::string::npos) << required;
  EXPECT_NE(required.find("announces nothing to an external neighbor (RFC 8212)"), std::string::npos) << required;
}

}  // namespace
}  // namespace sluice::config::bgp_test
