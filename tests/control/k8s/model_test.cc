// What manifests become: names, members, monitors, clashes, and what stays in force while something is wrong.
#include <gtest/gtest.h>

#include "control/config/print.h"
#include "control/k8s/object_store.h"
#include "tests/control/k8s/manifests.h"

namespace sluice::k8s {
namespace {

using namespace testing;
using config::MemberState;

std::string members_text(const config::Pool& pool) {
  std::string out;
  for (const auto& member : pool.members) {
    out += (out.empty() ? "" : " ") + member.endpoint.text();
    if (member.state == MemberState::forced_offline) out += "(draining)";
  }
  return out;
}

std::string virtual_servers_text(const config::Config& config) {
  std::string out;
  for (const auto& server : config.virtual_servers)
    out += (out.empty() ? "" : " ") + server.name + "=" + server.destination.text();
  return out;
}

// A ConfigMap has no place for what an http profile says: `kubernetes:` says it for all of them.
TEST(Model, HttpOptionsOfConfigMaps) {
  ObjectStore store;
  store.apply("vs.yaml", configmap("nginx-vs", kScenarioJson));
  const std::string tcp = std::string(kScenarioJson).replace(kScenarioJson.find("\"http\"\n    }"), 6, "\"tcp\"");
  store.apply("tcp.yaml", configmap("tcp-vs", std::string(tcp).replace(tcp.find("40.80"), 5, "40.81")));
  store.apply("svc.yaml", std::string(kService) + "---" + std::string(kEndpoints));
  const auto out = store.to_model(base("kubernetes: {oneconnect: true, http: {x-forwarded-for: true}}"));
  EXPECT_EQ(text_of(out.errors), "");
  ASSERT_EQ(out.config.virtual_servers.size(), 2u);
  for (const auto& server : out.config.virtual_servers) {
    const bool http = server.mode == config::Mode::http;
    EXPECT_EQ(http, server.name == "default_nginx-vs");
    EXPECT_EQ(server.oneconnect, http);
    EXPECT_EQ(server.http.forwarded.x_forwarded_for, http);
  }
}

TEST(Model, TheScenario) {
  ObjectStore store;
  EXPECT_EQ(text_of(store.apply("vs.yaml", configmap("nginx-vs", kScenarioJson))), "");
  EXPECT_EQ(text_of(store.apply("svc.yaml", std::string(kService) + "---" + std::string(kEndpoints))), "");
  const auto out =
      store.to_model(base("kubernetes: {namespaces: [default], partition: k8s, pool-member-type: cluster}"));
  EXPECT_EQ(text_of(out.errors), "");
  EXPECT_EQ(text_of(out.notices), "");
  EXPECT_EQ(config::print(out.config), R"(ports:
  int_vlan:
    device: net_null0
self-ips:
  - address: 172.16.40.202/24
    port: int_vlan
monitors:
  cfgmap_default_nginx-vs_nginx-deploy-svc_0_http:
    interval: 15s
    timeout: 30s
    send: "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n"
    recv: cka
pools:
  cfgmap_default_nginx-vs_nginx-deploy-svc:
    partition: k8s
    balance: least-connections-member
    members: [10.244.0.76:80, 10.244.1.37:80]
    monitors: cfgmap_default_nginx-vs_nginx-deploy-svc_0_http
virtual-servers:
  default_nginx-vs:
    partition: k8s
    destination: 172.16.40.80:80
    mode: http
    pool: cfgmap_default_nginx-vs_nginx-deploy-svc
virtual-addresses:
  172.16.40.80: {}
manifests: manifests
kubernetes:
  namespaces: default
  partition: k8s
)");
  EXPECT_EQ(out.config.virtual_servers[0].origin.text, "vs.yaml ConfigMap default/nginx-vs");
  EXPECT_EQ(out.config.monitors[0].send, "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n");
}

TEST(Model, SendTakesEscapesAndRealBytesAndEchoesAsWritten) {
  ObjectStore store;
  store.apply("vs.yaml", configmap("a", server(R"("partition": "k8s")",
                                               R"("serviceName": "s", "servicePort": 80, "healthMonitors": [
      {"protocol": "http", "send": "GET /\\r\\n"}, {"protocol": "http", "send": "GET /\r\n"}, {"protocol": "http"},
      {"protocol": "tcp"}])")));
  const auto out = store.to_model(base());
  ASSERT_EQ(text_of(out.errors), "");
  ASSERT_EQ(out.config.monitors.size(), 4u);
  EXPECT_EQ(out.config.monitors[0].send_written, "GET /\\r\\n");
  EXPECT_EQ(out.config.monitors[1].send_written, "GET /\r\n");
  EXPECT_EQ(out.config.monitors[2].send_written, "GET /\\r\\n");  // BIG-IP's default
  for (unsigned i = 0; i < 3; ++i) EXPECT_EQ(out.config.monitors[i].send, "GET /\r\n");
  EXPECT_EQ(out.config.monitors[3].send, "");
  EXPECT_EQ(out.config.monitors[3].name, "cfgmap_default_a_s_3_tcp");
  EXPECT_EQ(out.config.monitors[3].interval, 5s);
  EXPECT_EQ(out.config.monitors[3].timeout, 16s);
}

TEST(Model, MembersFollowTheEndpoints) {
  ObjectStore store;
  store.apply("vs.yaml", configmap("nginx-vs", kScenarioJson));
  store.apply("svc.yaml", kService);
  auto out = store.to_model(base());
  EXPECT_EQ(members_text(out.config.pools.at(0)), "");
  EXPECT_EQ(text_of(out.notices),
            "vs.yaml:1:1 ConfigMap default/nginx-vs: service default/nginx-deploy-svc has no ready endpoints: the pool "
            "is empty\n");
  store.apply("ep.yaml", kEndpoints);
  EXPECT_EQ(members_text(store.to_model(base()).config.pools.at(0)), "10.244.0.76:80 10.244.1.37:80");
  store.remove("ep.yaml");
  EXPECT_EQ(members_text(store.to_model(base()).config.pools.at(0)), "");
  store.remove("svc.yaml");
  out = store.to_model(base());
  EXPECT_EQ(
      text_of(out.notices),
      "vs.yaml:1:1 ConfigMap default/nginx-vs: there is no service default/nginx-deploy-svc: the pool is empty\n");
  store.remove("vs.yaml");
  EXPECT_TRUE(store.to_model(base()).config.pools.empty());
  EXPECT_TRUE(store.files().empty());
}

TEST(Model, SlicesMergeAndTheirConditionsCount) {
  ObjectStore store;
  store.apply("vs.yaml", configmap("nginx-vs", kScenarioJson));
  store.apply("svc.yaml", kService);
  const auto slice = [](std::string_view name, std::string_view endpoints, std::string_view ports) {
    return fmt::format(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: {}\n  labels: "
        "{{kubernetes.io/service-name: nginx-deploy-svc}}\naddressType: IPv4\nendpoints: {}\nports: {}\n---\n",
        name, endpoints, ports);
  };
  const std::string port = "[{name: http, port: 8080, protocol: TCP}]";
  EXPECT_EQ(
      text_of(store.apply("slices.yaml",
                          slice("a", R"([{addresses: [10.0.0.1]}, {addresses: [10.0.0.2], conditions: {ready: true}},
  {addresses: [10.0.0.3], conditions: {ready: false}},
  {addresses: [10.0.0.4], conditions: {ready: false, serving: true, terminating: true}},
  {addresses: [10.0.0.5], conditions: {ready: false, serving: false, terminating: true}},
  {addresses: [10.0.0.6], conditions: {ready: null}}])",
                                port) +
                              slice("b", "[{addresses: [10.0.0.7]}, {addresses: [10.0.0.3]}]", port) +
                              slice("c", "[{addresses: [10.0.0.8]}]", "null") +
                              slice("d", "[{addresses: [10.0.0.9]}]", "[{name: other, port: 1}]"))),
      "");
  auto out = store.to_model(base());
  EXPECT_EQ(text_of(out.errors), "");
  EXPECT_EQ(
      members_text(out.config.pools.at(0)),
      "10.0.0.1:8080 10.0.0.2:8080 10.0.0.3:8080 10.0.0.4:8080(draining) 10.0.0.6:8080 10.0.0.7:8080 10.0.0.8:80");
  // Slices win over Endpoints, and it is said.
  store.apply("ep.yaml", kEndpoints);
  out = store.to_model(base());
  EXPECT_EQ(out.config.pools.at(0).members.size(), 7u);
  EXPECT_EQ(text_of(out.notices),
            "vs.yaml:1:1 ConfigMap default/nginx-vs: Endpoints default/nginx-deploy-svc is not used: the service has "
            "EndpointSlices\n");
}

TEST(Model, PortsMatchByNameThenByNumber) {
  struct Case {
    const char* service_ports;
    const char* endpoint_ports;
    const char* members;
  };
  const Case cases[] = {
      {"[{name: http, port: 80, targetPort: 8080}]", "[{name: http, port: 9999}]", "10.0.0.1:9999"},
      {"[{name: http, port: 80, targetPort: web}]", "[{name: http, port: 81}, {name: x, port: 82}]", "10.0.0.1:81"},
      {"[{port: 80, targetPort: 8080}]", "[{port: 8080}]", "10.0.0.1:8080"},
      {"[{port: 80}]", "[{port: 80}]", "10.0.0.1:80"},
      {"[{name: http, port: 80, targetPort: 8080}]", "[{port: 8080}]", "10.0.0.1:8080"},
      {"[{name: http, port: 80, targetPort: 8080}]", "[{name: other, port: 8080}]", ""},
      {"[{name: http, port: 80}]", "[{name: http, port: 80, protocol: UDP}]", ""},
      {"[{name: a, port: 81}, {name: b, port: 80, targetPort: 5}]", "[{name: a, port: 1}, {name: b, port: 2}]",
       "10.0.0.1:2"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.service_ports);
    ObjectStore store;
    store.apply("vs.yaml", configmap("nginx-vs", kScenarioJson));
    EXPECT_EQ(text_of(store.apply(
                  "svc.yaml",
                  fmt::format(
                      "apiVersion: v1\nkind: Service\nmetadata: {{name: nginx-deploy-svc}}\nspec: {{ports: {}}}\n---\n"
                      "apiVersion: v1\nkind: Endpoints\nmetadata: {{name: nginx-deploy-svc}}\n"
                      "subsets: [{{addresses: [{{ip: 10.0.0.1}}], ports: {}}}]\n",
                      c.service_ports, c.endpoint_ports))),
              "");
    EXPECT_EQ(members_text(store.to_model(base()).config.pools.at(0)), c.members);
  }
}

TEST(Model, ServiceWithoutThePort) {
  ObjectStore store;
  store.apply("vs.yaml", configmap("a", server(R"("partition": "k8s", "mode": "udp")")));
  store.apply("svc.yaml", kService);
  EXPECT_EQ(text_of(store.to_model(base()).notices),
            "vs.yaml:1:1 ConfigMap default/a: service default/nginx-deploy-svc has no port 80/udp (it has 80/tcp): the "
            "pool is empty\n");
}

TEST(Model, NodePortMode) {
  ObjectStore store;
  store.apply("vs.yaml", configmap("nginx-vs", kScenarioJson));
  store.apply("svc.yaml", kService);
  const auto config = base("kubernetes: {pool-member-type: nodeport}");
  EXPECT_EQ(text_of(store.to_model(config).notices),
            "vs.yaml:1:1 ConfigMap default/nginx-vs: no Node has an InternalIP: pool-member-type nodeport needs the "
            "Node objects\n");
  EXPECT_EQ(text_of(store.apply("nodes.json", R"({"apiVersion": "v1", "kind": "NodeList", "items": [
    {"metadata": {"name": "k8s-master"}, "spec": {"taints": [{"effect": "NoSchedule"}]},
     "status": {"addresses": [{"type": "InternalIP", "address": "172.16.40.199"}, {"type": "Hostname", "address": "k8s-master"}]}},
    {"metadata": {"name": "k8s-node1"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.16.40.198"}]}}]})")),
            "");
  const auto out = store.to_model(config);
  EXPECT_EQ(text_of(out.notices), "");
  EXPECT_EQ(members_text(out.config.pools.at(0)), "172.16.40.198:30080 172.16.40.199:30080");
}

TEST(Model, NamespaceAndPartitionFilters) {
  ObjectStore store;
  store.apply("vs.yaml", configmap("nginx-vs", kScenarioJson));
  auto out = store.to_model(base("kubernetes: {namespaces: [shop]}"));
  EXPECT_TRUE(out.config.pools.empty());
  EXPECT_EQ(text_of(out.notices),
            "vs.yaml:1:1 ConfigMap default/nginx-vs: is left alone: kubernetes.namespaces does not name default\n");
  out = store.to_model(base("kubernetes: {partition: other}"));
  EXPECT_TRUE(out.config.pools.empty());
  EXPECT_EQ(text_of(out.notices),
            "vs.yaml:1:1 ConfigMap default/nginx-vs: is left alone: its partition is \"k8s\", ours is \"other\"\n");
  EXPECT_EQ(text_of(out.errors), "");
}

TEST(Model, PoolOnlyAndAnnotation) {
  ObjectStore store;
  store.apply("a.yaml", configmap("a", server(R"("partition": "k8s")")));
  store.apply("b.yaml", configmap("b", server(R"("partition": "k8s", "virtualAddress": {"port": 81})")));
  auto annotated = configmap("c", server(R"("partition": "k8s", "virtualAddress": {"port": 82})"));
  annotated.insert(annotated.find("  labels:"), "  annotations: {virtual-server.f5.com/ip: 172.16.40.90}\n");
  store.apply("c.yaml", annotated);
  const auto out = store.to_model(base());
  EXPECT_EQ(text_of(out.errors), "");
  EXPECT_EQ(out.config.pools.size(), 3u);
  EXPECT_EQ(virtual_servers_text(out.config), "default_c=172.16.40.90:82");
  EXPECT_NE(text_of(out.notices).find("b.yaml:1:1 ConfigMap default/b: has neither bindAddr nor the annotation"),
            std::string::npos);
}

TEST(Model, ClashesAreErrorsOfTheObjectAlone) {
  const auto config = base(R"(
pools: {cfgmap_default_n_nginx-deploy-svc: {}}
virtual-servers: {default_v: {destination: "172.16.40.81:80"}, web: {destination: "172.16.40.82:80"}}
snat-pools: {out: {members: [172.16.40.83]}}
bgp: {local-as: 64512, neighbors: [{address: 172.16.40.199, remote-as: 64512}]}
)");
  const auto at = [](std::string_view address) {
    return server(fmt::format(R"("partition": "k8s", "virtualAddress": {{"port": 80, "bindAddr": "{}"}})", address));
  };
  ObjectStore store;
  store.apply("a.yaml", configmap("d", at("172.16.40.82")));
  store.apply("b.yaml", configmap("n", at("172.16.40.90")));
  store.apply("c.yaml", configmap("v", at("172.16.40.91")));
  store.apply("d.yaml", configmap("p", at("172.16.40.199")) + "---\n" + configmap("s", at("172.16.40.202")) + "---\n" +
                            configmap("t", at("172.16.40.83")));
  store.apply("e.yaml", configmap("ok", at("172.16.40.92")));
  store.apply("f.yaml", configmap("twin", at("172.16.40.92")));
  const auto out = store.to_model(config);
  EXPECT_EQ(virtual_servers_text(out.config),
            "default_v=172.16.40.81:80 web=172.16.40.82:80 default_ok=172.16.40.92:80");
  EXPECT_EQ(
      text_of(out.errors),
      "a.yaml:1:1 ConfigMap default/d: 172.16.40.82:80 is already the destination of web (sluice.yaml "
      "virtual-servers.web)\n"
      "b.yaml:1:1 ConfigMap default/n: there is a pool \"cfgmap_default_n_nginx-deploy-svc\" already\n"
      "d.yaml:1:1 ConfigMap default/p: 172.16.40.199 is the address of a BGP neighbor\n"
      "d.yaml:13:1 ConfigMap default/s: 172.16.40.202 is a self IP: take another address\n"
      "d.yaml:25:1 ConfigMap default/t: 172.16.40.83 is an address of SNAT pool \"out\"\n"
      "f.yaml:1:1 ConfigMap default/twin: 172.16.40.92:80 is already the destination of e.yaml ConfigMap default/ok\n"
      "c.yaml:1:1 ConfigMap default/v: there is a virtual server \"default_v\" already\n");
}

TEST(Model, ABadObjectKeepsItsLastGoodVersion) {
  ObjectStore store;
  const auto good = configmap("nginx-vs", kScenarioJson);
  auto bad = good;
  bad.replace(bad.find("\"port\": 80"), 10, "\"port\": 0 ");
  store.apply("vs.yaml", good);
  EXPECT_EQ(virtual_servers_text(store.to_model(base()).config), "default_nginx-vs=172.16.40.80:80");
  const std::string expected =
      "vs.yaml:1:1 ConfigMap default/nginx-vs virtualServer.frontend.virtualAddress.port: 0 is out of range: write 1 "
      "to 65535\n";
  EXPECT_EQ(text_of(store.apply("vs.yaml", bad)), expected);
  auto out = store.to_model(base());
  EXPECT_EQ(virtual_servers_text(out.config), "default_nginx-vs=172.16.40.80:80");
  EXPECT_EQ(text_of(out.errors), expected);
  // A second bad version, a file that is no YAML, one moved to another file: still in force.
  store.apply("vs.yaml", bad + "x: [");
  EXPECT_EQ(virtual_servers_text(store.to_model(base()).config), "default_nginx-vs=172.16.40.80:80");
  store.remove("vs.yaml");
  store.apply("moved.yaml", bad);
  out = store.to_model(base());
  EXPECT_EQ(virtual_servers_text(out.config), "default_nginx-vs=172.16.40.80:80");
  EXPECT_EQ(out.errors.size(), 1u);
  // Mended, then gone.
  store.apply("moved.yaml", good);
  EXPECT_EQ(text_of(store.to_model(base()).errors), "");
  store.apply("moved.yaml", "# empty\n");
  EXPECT_EQ(virtual_servers_text(store.to_model(base()).config), "");
}

TEST(Model, AClashKeepsTheLastAcceptedVersion) {
  const auto at = [](std::string_view address) {
    return server(fmt::format(R"("partition": "k8s", "virtualAddress": {{"port": 80, "bindAddr": "{}"}})", address));
  };
  ObjectStore store;
  store.apply("a.yaml", configmap("a", at("10.9.0.1")));
  store.apply("b.yaml", configmap("b", at("10.9.0.2")));
  store.to_model(base());
  store.apply("a.yaml", configmap("a", at("10.9.0.2")));
  const auto out = store.to_model(base());
  EXPECT_EQ(
      text_of(out.errors),
      "a.yaml:1:1 ConfigMap default/a: 10.9.0.2:80 is already the destination of b.yaml ConfigMap default/b; its last "
      "good version stays in force\n");
  EXPECT_EQ(virtual_servers_text(out.config), "default_b=10.9.0.2:80 default_a=10.9.0.1:80");
  // Both move at once: a swap is no clash.
  store.apply("a.yaml", configmap("a", at("10.9.0.2")));
  store.apply("b.yaml", configmap("b", at("10.9.0.1")));
  const auto swapped = store.to_model(base());
  EXPECT_EQ(text_of(swapped.errors), "");
  EXPECT_EQ(virtual_servers_text(swapped.config), "default_a=10.9.0.2:80 default_b=10.9.0.1:80");
}

TEST(Model, AnAcceptedObjectIsNotPushedOutByANewOne) {
  const auto at = [](std::string_view address) {
    return server(fmt::format(R"("partition": "k8s", "virtualAddress": {{"port": 80, "bindAddr": "{}"}})", address));
  };
  ObjectStore store;
  store.apply("z.yaml", configmap("z", at("10.9.0.1")));
  store.to_model(base());
  store.apply("a.yaml", configmap("a", at("10.9.0.1")));
  EXPECT_EQ(virtual_servers_text(store.to_model(base()).config), "default_z=10.9.0.1:80");
}

TEST(Model, TheSameObjectInTwoFiles) {
  ObjectStore store;
  store.apply("a.yaml", configmap("x", kScenarioJson));
  store.apply("b.yaml", configmap("x", kScenarioJson));
  const auto out = store.to_model(base());
  EXPECT_EQ(text_of(out.errors), "b.yaml ConfigMap default/x: is also in a.yaml: that one is used\n");
  EXPECT_EQ(out.config.virtual_servers.size(), 1u);
}

// Calico's IPPools are the pod ranges, its BlockAffinities say which node has a block.
TEST(Model, CalicoTellsBgpWhatBelongs) {
  constexpr std::string_view kCalico = R"(
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 10.244.0.0/16, blockSize: 26}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: default-ipv6-ippool}
spec: {cidr: "fd00::/48"}
---
apiVersion: v1
kind: Node
metadata: {name: node1}
status: {addresses: [{type: InternalIP, address: 172.16.40.198}]}
---
apiVersion: crd.projectcalico.org/v1
kind: BlockAffinity
metadata: {name: node1-10-244-1-0-26}
spec: {cidr: 10.244.1.0/26, node: node1, state: confirmed, deleted: "false"}
---
apiVersion: crd.projectcalico.org/v1
kind: BlockAffinity
metadata: {name: node1-10-244-2-0-26}
spec: {cidr: 10.244.2.0/26, node: node1, state: pendingDeletion, deleted: "true"}
---
apiVersion: crd.projectcalico.org/v1
kind: BlockAffinity
metadata: {name: node9-10-244-9-0-26}
spec: {cidr: 10.244.9.0/26, node: node9}
)";
  ObjectStore store;
  EXPECT_EQ(text_of(store.apply("calico.yaml", kCalico)), "");
  const auto learned = store.to_model(base("bgp: {local-as: 64512}")).config.bgp;
  EXPECT_EQ(learned.accept, std::vector{*Ipv4Prefix::parse("10.244.0.0/16")});
  ASSERT_EQ(learned.block_owners.size(), 1u) << "given up, or of an unknown node: nobody's";
  EXPECT_EQ(learned.block_owners[0],
            (config::BgpBlockOwner{*Ipv4Prefix::parse("10.244.1.0/26"), *Ipv4Address::parse("172.16.40.198")}));
  const auto said =
      store
          .to_model(base("bgp: {local-as: 64512, accept: 10.9.0.0/16, block-owners: [{prefix: 10.244.1.0/26, "
                         "node: 172.16.40.199}]}"))
          .config.bgp;
  EXPECT_EQ(said.accept, std::vector{*Ipv4Prefix::parse("10.9.0.0/16")}) << "sluice.yaml wins";
  ASSERT_EQ(said.block_owners.size(), 1u);
  EXPECT_EQ(said.block_owners[0].node.text(), "172.16.40.199");
  EXPECT_TRUE(store.to_model(base("")).config.bgp.accept.empty()) << "no BGP, nothing to learn";
  EXPECT_EQ(text_of(store.apply("bad.yaml",
                                "apiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {name: "
                                "bad}\nspec: {cidr: 10.244.0.1/16}\n")),
            "bad.yaml:4:14 IPPool bad spec.cidr: \"10.244.0.1/16\" is no prefix: write a.b.c.d/16\n");
}

}  // namespace
}  // namespace sluice::k8s
