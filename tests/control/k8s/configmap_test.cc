// Every rule of the schema, broken one at a time: the exact words, and the neighbours unharmed.
#include <gtest/gtest.h>

#include "control/k8s/object_store.h"
#include "tests/control/k8s/manifests.h"

namespace sluice::k8s {
namespace {

using namespace testing;

// The errors about one ConfigMap, without the place they all share.
std::string errors_of(std::string_view json, std::string_view version = "0.1.7") {
  ObjectStore store;
  std::string out;
  for (const auto& error : store.apply("vs.yaml", configmap("x", json, version))) {
    std::string text = error.text();
    constexpr std::string_view kHead = "vs.yaml:1:1 ConfigMap default/x";
    EXPECT_TRUE(text.starts_with("vs.yaml:") && text.find(" ConfigMap default/x") != std::string::npos) << text;
    if (text.starts_with(kHead)) text.erase(0, kHead.size());
    out += text + '\n';
  }
  return out;
}

constexpr std::string_view kBalances =
    "write round-robin, ratio-member, least-connections-member, least-connections-node, "
    "ratio-least-connections-member, "
    "weighted-least-connections-member or consistent-hash\n";

TEST(ConfigMap, ScenarioIsValid) { EXPECT_EQ(errors_of(kScenarioJson), ""); }

TEST(ConfigMap, Balances) {
  for (const auto* name : {"round-robin", "ratio-member", "least-connections-member", "least-connections-node",
                           "ratio-least-connections-member", "consistent-hash"})
    EXPECT_EQ(errors_of(server(fmt::format(R"("partition": "k8s", "balance": "{}")", name))), "") << name;
  for (const auto* name :
       {"ratio-node", "ratio-session", "ratio-least-connections-node", "weighted-least-connections-node",
        "least-sessions", "fastest-app-response", "fastest-node", "observed-member", "observed-node",
        "predictive-member", "predictive-node", "dynamic-ratio-member", "dynamic-ratio-node"})
    EXPECT_EQ(errors_of(server(fmt::format(R"("partition": "k8s", "balance": "{}")", name))),
              fmt::format(" virtualServer.frontend.balance: \"{}\" is a method of BIG-IP that Sluice does not have: {}",
                          name, kBalances));
  EXPECT_EQ(errors_of(server(R"("partition": "k8s", "balance": "Round-Robin")")),
            fmt::format(" virtualServer.frontend.balance: \"Round-Robin\" is no balancing method: {}", kBalances));
  EXPECT_EQ(errors_of(server(R"("partition": "k8s", "balance": "weighted-least-connections-member")")),
            " virtualServer.frontend.balance: \"weighted-least-connections-member\" needs a connection limit on every "
            "member, which a ConfigMap cannot give: write least-connections-member\n");
}

struct Bad {
  std::string json;
  const char* errors;
  const char* version = "0.1.7";
};
class ConfigMapBad : public ::testing::TestWithParam<Bad> {};
TEST_P(ConfigMapBad, SaysExactly) { EXPECT_EQ(errors_of(GetParam().json, GetParam().version), GetParam().errors); }

const Bad kShapes[] = {
    {"[]", ": an empty list stands where an object is expected\n"},
    {"{}", " virtualServer: is missing\n"},
    {"{",
     "vs.yaml:10:9 ConfigMap default/x data.data: not JSON: parse error at line 2, column 1: syntax error while "
     "parsing object key - unexpected end of input; expected string literal\n"},
    {R"({"virtualServer": {}})", " virtualServer.backend: is missing\n virtualServer.frontend: is missing\n"},
    {R"({"virtualServer": {"backend": [], "frontend": "x"}, "more": 1})",
     " virtualServer.backend: an empty list stands where an object is expected\n"
     " virtualServer.frontend: \"x\" stands where an object is expected\n"
     " more: is an unknown field: valid are virtualServer\n"},
    {R"({"virtualServer": {"a": 1, "a": 2}})",
     "vs.yaml:10:9 ConfigMap default/x data.data: the key \"a\" is there twice in virtualServer: keep one of them\n"},
};

const Bad kBackends[] = {
    {server(R"("partition": "k")", ""),
     " virtualServer.backend.serviceName: is missing\n virtualServer.backend.servicePort: is missing\n"},
    {server(R"("partition": "k")", R"("serviceName": "", "servicePort": 0)"),
     " virtualServer.backend.serviceName: is empty: write at least one character\n"
     " virtualServer.backend.servicePort: 0 is out of range: write 1 to 65535\n"},
    {server(R"("partition": "k")", R"("serviceName": 5, "servicePort": 65536)"),
     " virtualServer.backend.serviceName: 5 is no text: write it in quotes\n"
     " virtualServer.backend.servicePort: 65536 is out of range: write 1 to 65535\n"},
    {server(R"("partition": "k")", R"("serviceName": "s", "servicePort": "80", "poolName": "x")"),
     " virtualServer.backend.servicePort: \"80\" is no whole number: write 1 to 65535\n"
     " virtualServer.backend.poolName: is an unknown field: valid are serviceName, servicePort or healthMonitors\n"},
    {server(R"("partition": "k")", R"("serviceName": "s", "servicePort": 80.5)"),
     " virtualServer.backend.servicePort: 80.5 is no whole number: write 1 to 65535\n"},
    {server(R"("partition": "k")", R"("serviceName": "s", "servicePort": -1)"),
     " virtualServer.backend.servicePort: -1 is out of range: write 1 to 65535\n"},
    {server(R"("partition": "k")", R"("serviceName": "s", "servicePort": 80, "healthMonitors": {})"),
     " virtualServer.backend.healthMonitors: an empty map stands where a list is expected\n"},
    {server(R"("partition": "k")",
            R"("serviceName": "s", "servicePort": 80, "healthMonitors": [{}, {"protocol": "icmp"}])"),
     " virtualServer.backend.healthMonitors[0].protocol: is missing\n"
     " virtualServer.backend.healthMonitors[1].protocol: \"icmp\" is not valid here: write http, tcp or udp\n"},
    {server(
         R"("partition": "k")",
         R"("serviceName": "s", "servicePort": 80, "healthMonitors": [{"protocol": "tcp", "interval": 0, "timeout": 86401}])"),
     " virtualServer.backend.healthMonitors[0].interval: 0 is out of range: write 1 to 86400\n"
     " virtualServer.backend.healthMonitors[0].timeout: 86401 is out of range: write 1 to 86400\n"},
    {server(
         R"("partition": "k")",
         R"("serviceName": "s", "servicePort": 80, "healthMonitors": [{"protocol": "tcp", "interval": 30, "timeout": 30}])"),
     " virtualServer.backend.healthMonitors[0].timeout: 30s must be longer than the interval 30s: 3 x interval + 1s is "
     "usual\n"},
    {server(
         R"("partition": "k")",
         R"("serviceName": "s", "servicePort": 80, "healthMonitors": [{"protocol": "http", "recv": "a(", "send": "", "user": "x"}])"),
     " virtualServer.backend.healthMonitors[0].send: is empty: write at least one character\n"
     " virtualServer.backend.healthMonitors[0].user: is an unknown field: valid are protocol, interval, timeout, send "
     "or recv\n"
     " virtualServer.backend.healthMonitors[0].recv: \"a(\" is no regular expression: missing ): a( (RE2 syntax)\n"},
};

const Bad kFrontends[] = {
    {server(""), " virtualServer.frontend.partition: is missing\n"},
    {server(R"("partition": "", "mode": "HTTP", "balance": 1)"),
     " virtualServer.frontend.partition: is empty: write at least one character\n"
     " virtualServer.frontend.balance: 1 is no text: write it in quotes\n"
     " virtualServer.frontend.mode: \"HTTP\" is not valid here: write http, tcp or udp\n"},
    {server(R"("partition": "k8s", "modes": "http")"),
     " virtualServer.frontend.modes: is an unknown field: did you mean \"mode\"?\n"},
    {server(R"("partition": "k8s", "iapp": "/Common/f5.http")"),
     " virtualServer.frontend.iapp: iApps are not supported: write mode, balance and virtualAddress instead\n"},
    {server(R"("partition": "k8s", "virtualAddress": {})"),
     " virtualServer.frontend.virtualAddress.port: is missing\n"},
    {server(R"("partition": "k8s", "virtualAddress": {"port": 80, "bindAddr": "10.0.0.300", "x": 1})"),
     " virtualServer.frontend.virtualAddress.bindAddr: \"10.0.0.300\" is no IPv4 address: write a.b.c.d\n"
     " virtualServer.frontend.virtualAddress.x: is an unknown field: valid are port or bindAddr\n"},
    {server(R"("partition": "k8s", "virtualAddress": {"port": 80, "bindAddr": "2001:db8::80"})"),
     " virtualServer.frontend.virtualAddress.bindAddr: \"2001:db8::80\" is IPv6, which the packet engine does not "
     "implement: write an IPv4 address\n"},
    {server(R"("partition": "k8s", "virtualAddress": {"port": 80, "bindAddr": "10.0.0.1%0"})"), ""},
    {server(R"("partition": "k8s", "virtualAddress": {"port": 80, "bindAddr": "10.0.0.1%7"})"),
     " virtualServer.frontend.virtualAddress.bindAddr: \"10.0.0.1%7\" names a route domain; Sluice has only the domain "
     "0: "
     "leave it out\n"},
    {server(R"("partition": "k8s", "virtualAddress": {"port": 80, "bindAddr": "10.0.0.1%x"})"),
     " virtualServer.frontend.virtualAddress.bindAddr: \"10.0.0.1%x\" is no address: after % stands the number of a "
     "route "
     "domain\n"},
    {server(R"("partition": "k8s", "sslProfile": {"f5ProfileName": "Common/clientssl"})"),
     " virtualServer.frontend.sslProfile: TLS on the client side is not implemented, and without it the traffic would "
     "be in "
     "the clear: leave it out if that is meant\n"},
};

const Bad kVersions[] = {
    {server(R"("partition": "k8s", "virtualAddress": {"port": 80, "bindAddr": "10.0.0.1"})"), "", "0.1.1"},
    {server(R"("partition": "k8s")"), " virtualServer.frontend.virtualAddress: is missing\n", "0.1.1"},
    {server(R"("partition": "k8s")"), " virtualServer.frontend.virtualAddress: is missing\n", "0.1.2"},
    {server(R"("partition": "k8s")"), "", "0.1.3"},
    {server(R"("partition": "k8s", "mode": "udp")"),
     " virtualServer.frontend.mode: \"udp\" is in the schema since v0.1.5, and this ConfigMap says v0.1.4: write the "
     "newer "
     "version in data.schema\n",
     "0.1.4"},
    {server(R"("partition": "k8s", "mode": "udp")"), "", "0.1.5"},
    {kScenarioJson.data(),
     " virtualServer.backend.healthMonitors[0].recv: it is in the schema since v0.1.6, and this ConfigMap says v0.1.5: "
     "write "
     "the newer version in data.schema\n",
     "0.1.5"},
    {kScenarioJson.data(), "", "0.1.6"},
    {kScenarioJson.data(),
     "vs.yaml:9:11 ConfigMap default/x data.schema: \"f5schemadb://bigip-virtual-server_v0.1.9.json\" is no schema "
     "known "
     "here: write f5schemadb://bigip-virtual-server_v0.1.7.json (0.1.1 to 0.1.7 are known)\n",
     "0.1.9"},
};
INSTANTIATE_TEST_SUITE_P(Shapes, ConfigMapBad, ::testing::ValuesIn(kShapes));
INSTANTIATE_TEST_SUITE_P(Backends, ConfigMapBad, ::testing::ValuesIn(kBackends));
INSTANTIATE_TEST_SUITE_P(Frontends, ConfigMapBad, ::testing::ValuesIn(kFrontends));
INSTANTIATE_TEST_SUITE_P(Versions, ConfigMapBad, ::testing::ValuesIn(kVersions));

TEST(ConfigMap, OneBadObjectRejectsOnlyItself) {
  ObjectStore store;
  const std::string good = server(R"("partition": "k8s", "virtualAddress": {"port": 80, "bindAddr": "10.9.0.1"})");
  const auto errors = store.apply("all.yaml", configmap("a", "{}") + "---\n" + configmap("b", good) +
                                                  "---\nx: [\n---\n" + configmap("c", "no json"));
  EXPECT_EQ(errors.size(), 3u) << text_of(errors);
  const auto out = store.to_model(base());
  ASSERT_EQ(out.config.virtual_servers.size(), 1u);
  EXPECT_EQ(out.config.virtual_servers[0].name, "default_b");
  EXPECT_EQ(out.errors.size(), 3u);
}

}  // namespace
}  // namespace sluice::k8s
