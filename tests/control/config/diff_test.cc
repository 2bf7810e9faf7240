// What a diff says about every kind of change, and what it takes to apply it.
#include "control/config/diff.h"

#include <gtest/gtest.h>

#include "control/config/parse.h"
#include "control/config/validate.h"
#include "tests/control/config/sample.h"

namespace sluice::config::diff_test {
namespace {

Config parsed(std::string text, std::string_view from = "", std::string_view to = "") {
  if (!from.empty()) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  }
  auto outcome = parse("s.yaml", text);
  for (const auto& error : outcome.errors) ADD_FAILURE() << error.text();
  return outcome.config.value_or(Config{});
}

struct Case {
  const char* from;
  const char* to;
  const char* diff;
};
class DiffCase : public ::testing::TestWithParam<Case> {};

TEST_P(DiffCase, SaysExactly) {
  const std::string text(testing::kReference);
  EXPECT_EQ(diff(parsed(text), parsed(text, GetParam().from, GetParam().to)).text(), GetParam().diff);
}

const Case kCases[] = {
    {"", "", "nothing changes\n"},
    {"# The reference", "\n\n# Another line for the", "nothing changes\n"},
    {"balance: least-connections-member", "balance: ratio-member",
     "~ pools.nginx.balance: least-connections-member -> ratio-member\n"},
    {"\"10.244.0.77:80\"", "\"10.244.0.78:80\"",
     "+ pools.nginx.members[10.244.0.78:80]: 10.244.0.78:80\n"
     "- pools.nginx.members[10.244.0.77:80]\n"},
    {"\"10.244.0.77:80\"", "{address: \"10.244.0.77:80\", ratio: 3}",
     "~ pools.nginx.members[10.244.0.77:80].ratio: 1 -> 3\n"},
    {"  far: {destination: \"172.16.99.99:80\", pool: nginx}\n", "",
     "- virtual-servers.far\n- virtual-addresses.172.16.99.99\n"},
    {"workers: 1", "workers: 2", "~ engine.workers: 1 -> 2   (needs a restart)\n"},
    {"iface=int0", "iface=int1",
     "~ ports.int_vlan.device: net_af_packet0,iface=int0 -> net_af_packet0,iface=int1   (needs a restart)\n"},
    {"remote-as: 64512, description: k8s-node1", "remote-as: 64512, password: hunter2, description: k8s-node1",
     "+ bgp.neighbors[172.16.40.198].password: ********\n"},
    {"gateway: 172.16.40.254", "gateway: [172.16.40.254, 172.16.40.253]",
     "~ routes[default].gateway: 172.16.40.254 -> [172.16.40.254, 172.16.40.253]\n"},
    {"recv: cka", "recv: ckad", "~ monitors.cka.recv: cka -> ckad\n"},
    {"local-as: 64512", "local-as: 64513", "~ bgp.local-as: 64512 -> 64513\n"},
};
INSTANTIATE_TEST_SUITE_P(All, DiffCase, ::testing::ValuesIn(kCases));

TEST(Diff, PasswordsAreNeverShown) {
  const std::string text(testing::kEveryKey);
  const auto changed = diff(parsed(text), parsed(text, "s3cret", "0ther"));
  EXPECT_EQ(changed.text(), "~ bgp.neighbors[172.16.40.199].password: ******** -> ********\n");
  EXPECT_EQ(diff(parsed(text), Config{}).text().find("s3cret"), std::string::npos);
  EXPECT_EQ(diff(Config{}, parsed(text)).text().find("s3cret"), std::string::npos);
}

TEST(Diff, TouchesAndRestart) {
  const std::string text(testing::kReference);
  const auto changed = diff(parsed(text), parsed(text, "workers: 1", "workers: 2"));
  EXPECT_TRUE(changed.needs_restart());
  EXPECT_TRUE(changed.touches("engine"));
  EXPECT_FALSE(changed.touches("pools"));
  EXPECT_FALSE(changed.touches("eng"));
  EXPECT_EQ(applicable(parsed(text), parsed(text, "workers: 1", "workers: 2")), parsed(text));
}

TEST(Diff, SelfIpsOfANewPortWaitForIt) {
  const std::string text(testing::kReference);
  std::string more = text;
  more.replace(more.find("ports:\n"), 7, "ports:\n  ext: {device: net_null0}\n");
  more.replace(more.find("self-ips: ["), 11, "self-ips: [{address: 10.1.0.1/24, port: ext}, ");
  const Config before = parsed(text), after = parsed(more);
  EXPECT_EQ(diff(before, after).text(),
            "+ ports.ext: device: net_null0   (needs a restart)\n"
            "+ self-ips[10.1.0.1/24]: address: 10.1.0.1/24, port: ext   (needs a restart)\n");
  EXPECT_EQ(applicable(before, after), before);
  EXPECT_TRUE(validate(applicable(before, after)).errors.empty());
}

// Header rules and routes have no name of their own, and the order of rules counts.
TEST(Diff, HeaderRulesAndRoutesGoByTheirPlace) {
  const std::string text = R"(
ports: {int_vlan: {device: "net_null0"}}
self-ips: [{address: 172.16.40.202/24, port: int_vlan}]
pools: {web: {members: ["10.244.0.76:80"]}, api: {members: ["10.244.0.77:80"]}}
virtual-servers:
  web:
    destination: 172.16.40.80:80
    mode: http
    pool: web
    http:
      header-rules: [{name: A, value: a}, {name: B, value: b}]
      routes: [{path: /a, pool: api}, {path: /b, pool: api}]
)";
  const std::string place = "virtual-servers.web.http.";
  EXPECT_EQ(diff(parsed(text), parsed(text, ", {name: B, value: b}", "")).text(), "- " + place + "header-rules[1]\n");
  EXPECT_EQ(diff(parsed(text), parsed(text, "value: b", "value: c")).text(),
            "~ " + place + "header-rules[1].value: b -> c\n");
  EXPECT_EQ(
      diff(parsed(text), parsed(text, "[{name: A, value: a}, ", "[{action: remove, name: B}, {name: A, value: a}, "))
          .changes.size(),
      6U);
  EXPECT_EQ(diff(parsed(text), parsed(text, ", {path: /b, pool: api}", "")).text(), "- " + place + "routes[1]\n");
  EXPECT_EQ(diff(parsed(text), parsed(text, "/b, pool: api", "/b, pool: web")).text(),
            "~ " + place + "routes[1].pool: api -> web\n");
}

TEST(Diff, OneMemberAmongManyPools) {
  Config before;
  for (unsigned p = 0; p < 200; ++p) {
    Pool pool{.name = "p" + std::to_string(p)};
    for (unsigned m = 1; m <= 100; ++m) pool.members.push_back({.endpoint = {{0x0a000000u + m}, 80}});
    before.pools.push_back(pool);
  }
  Config after = before;
  after.pools[7].members[2].ratio = 9;
  after.pools[9].members.pop_back();
  after.pools.pop_back();
  std::swap(after.pools[0], after.pools[1]);  // the order of pools means nothing
  EXPECT_EQ(diff(before, after).text(),
            "~ pools.p7.members[10.0.0.3:80].ratio: 1 -> 9\n- pools.p9.members[10.0.0.100:80]\n- pools.p199\n");
}

}  // namespace
}  // namespace sluice::config::diff_test
