// Manifests as files: kinds, lists, JSON, what is left alone and what is said about it.
#include <gtest/gtest.h>

#include "control/k8s/object_store.h"
#include "tests/control/k8s/manifests.h"

namespace sluice::k8s {
namespace {

using namespace testing;

struct Case {
  const char* text;
  const char* errors;
  const char* notices = "";
};
class Manifest : public ::testing::TestWithParam<Case> {};

TEST_P(Manifest, SaysExactly) {
  ObjectStore store;
  EXPECT_EQ(text_of(store.apply("m.yaml", GetParam().text)), GetParam().errors);
  EXPECT_EQ(text_of(store.to_model(base()).notices), GetParam().notices);
}

const Case kCases[] = {
    {"", ""},
    {"---\n---\n# nothing\n", ""},
    {"hello", "m.yaml:1:1: \"hello\" stands where an object is expected\n"},
    {"a: 1\n", "m.yaml:1:1 kind: is missing\nm.yaml:1:1 apiVersion: is missing\n"},
    {"kind: Service\n", "m.yaml:1:1 Service apiVersion: is missing\nm.yaml:1:1 Service metadata: is missing\n"},
    {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n", ""},
    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata: {a: b}\n", ""},
    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {f5type: iapp}}\n", "",
     "m.yaml:1:1 ConfigMap default/x: is left alone: its label f5type is \"iapp\"; only virtual-server is known\n"},
    {"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: web, namespace: shop}\n", "",
     "m.yaml:1:1 Ingress shop/web: is not supported yet: write a ConfigMap with the label f5type: virtual-server\n"},
    {"apiVersion: cis.f5.com/v1\nkind: VirtualServer\nmetadata: {name: web}\n", "",
     "m.yaml:1:1 VirtualServer default/web: is left alone: F5's custom resources are not supported; write a ConfigMap "
     "with "
     "the label f5type: virtual-server\n"},
    {"apiVersion: v2\nkind: Service\nmetadata: {name: Web}\nspec: {ports: [{port: x}]}\n",
     "m.yaml:1:13 Service default/Web apiVersion: \"v2\" is not known for Service: write v1\n"
     "m.yaml:3:18 Service default/Web metadata.name: \"Web\" is no name: write lower-case letters, digits, - and .\n"
     "m.yaml:4:23 Service default/Web spec.ports[0].port: \"x\" is no whole number: write 1 to 65535\n"},
    {"apiVersion: discovery.k8s.io/v1beta1\nkind: EndpointSlice\nmetadata: {name: s}\naddressType: IPv4\n",
     "m.yaml:1:13 EndpointSlice default/s apiVersion: \"discovery.k8s.io/v1beta1\" is not known for EndpointSlice: "
     "write "
     "discovery.k8s.io/v1\n"},
    {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: a}, spec: {ports: [{port: "
     "0}]}}\n- 7\n",
     "m.yaml:4:78 Service default/a spec.ports[0].port: 0 is out of range: write 1 to 65535\n"
     "m.yaml:5:3: 7 stands where an object is expected\n"},
    {"apiVersion: v1\nkind: Endpoints\nmetadata: {name: e}\nsubsets: [{addresses: [{ip: 10.0.0.300}, {ip: 0.0.0.0}, "
     "{}]}]\n",
     "m.yaml:4:29 Endpoints default/e subsets[0].addresses[0].ip: \"10.0.0.300\" is no IP address: write a.b.c.d\n"
     "m.yaml:4:47 Endpoints default/e subsets[0].addresses[1].ip: \"0.0.0.0\" can be no member's address\n"
     "m.yaml:4:57 Endpoints default/e subsets[0].addresses[2].ip: is missing\n"},
    {"apiVersion: v1\nkind: Endpoints\nmetadata: {name: e}\nsubsets: [{addresses: [{ip: \"fd00::1\"}]}]\n", "",
     "m.yaml:1:1 Endpoints default/e: 1 of its addresses left out: only IPv4 is implemented\n"},
    {"apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n---\napiVersion: v1\nkind: "
     "Service\n"
     "metadata: {name: a}\nspec: {ports: [{port: 81}]}\n",
     "m.yaml:6:1 Service default/a: is in this file twice: keep one of them\n"},
};
INSTANTIATE_TEST_SUITE_P(Kinds, Manifest, ::testing::ValuesIn(kCases));

TEST(Objects, JsonManifests) {
  ObjectStore store;
  EXPECT_EQ(text_of(store.apply("svc.json", R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"},
    "spec": {"ports": [{"port": 80, "targetPort": "web"}]}})")),
            "");
  EXPECT_EQ(text_of(store.apply("bad.json", R"({"apiVersion": "v1", "kind": )")).substr(0, 19), "bad.json: not JSON:");
  // YAML is no JSON.
  EXPECT_NE(text_of(store.apply("yaml.json", "kind: Service\n")), "");
}

TEST(Objects, FilesAreBounded) {
  ObjectStore store;
  for (unsigned i = 0; i < 4096; ++i) ASSERT_TRUE(store.apply(std::to_string(i), "").empty());
  EXPECT_EQ(text_of(store.apply("one-more", "")), "one-more: more than 4096 files of manifests: it is left out\n");
  EXPECT_TRUE(store.apply("17", "").empty());
  store.remove("17");
  EXPECT_TRUE(store.apply("one-more", "").empty());
}

}  // namespace
}  // namespace sluice::k8s
