// Fuzz: any bytes as manifests (YAML, JSON) and as the JSON inside a ConfigMap. Whatever objects come of it, the Config
// that they make with a base must be valid; a bad object must leave its neighbours in force.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "control/config/parse.h"
#include "control/config/print.h"
#include "control/config/validate.h"
#include "control/k8s/object_store.h"

namespace {

using sluice::config::Config;

constexpr std::string_view kBase = R"(
ports: {p: {device: net_null0}}
self-ips: [{address: 172.16.40.202/24, port: p}]
bgp: {local-as: 64512, neighbors: [{address: 172.16.40.199, remote-as: 64512}]}
virtual-servers: {web: {destination: "172.16.40.81:80"}}
manifests: manifests
)";

// Never disturbed by what stands in other files.
constexpr std::string_view kNeighbor = R"({"apiVersion": "v1", "kind": "ConfigMap",
  "metadata": {"name": "steady", "namespace": "quiet", "labels": {"f5type": "virtual-server"}},
  "data": {"schema": "f5schemadb://bigip-virtual-server_v0.1.7.json", "data":
    "{\"virtualServer\": {\"backend\": {\"serviceName\": \"s\", \"servicePort\": 1}, \"frontend\": {\"partition\": \"p\",
      \"virtualAddress\": {\"bindAddr\": \"203.0.113.99\", \"port\": 54321}}}}"}})";

void require(bool holds) {
  if (!holds) std::abort();
}

bool has_steady(const Config& config) {
  for (const auto& server : config.virtual_servers)
    if (server.name == "quiet_steady") return true;
  return false;
}

void check(sluice::k8s::ObjectStore& store, const Config& base, bool print = false) {
  const auto out = store.to_model(base);
  require(sluice::config::validate(out.config).errors.empty());
  for (const auto& error : out.errors) require(!error.place.empty() && !error.message.empty());
  require(has_steady(out.config));
  if (!print) return;
  const auto again = sluice::config::parse("p", sluice::config::print(out.config));
  require(again.config && *again.config == out.config);
}

std::string in_configmap(std::string_view json) {
  std::string out =
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: {f5type: virtual-server}}\ndata:\n"
      "  schema: f5schemadb://bigip-virtual-server_v0.1.7.json\n  data: |2\n    ";
  for (const char c : json) {
    out += c;
    if (c == '\n') out += "    ";
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Config base = sluice::config::parse("base.yaml", kBase).config.value();
  static const std::string neighbor = [] {
    std::string text(kNeighbor);
    for (auto at = text.find('\n'); at != text.npos; at = text.find('\n')) text[at] = ' ';
    return text;
  }();
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  sluice::k8s::ObjectStore store;
  require(store.apply("neighbor.json", neighbor).empty());
  store.to_model(base);
  store.apply("zz.yaml", text);
  store.apply("zz.json", text);
  store.apply("zz2.yaml", in_configmap(text));
  check(store, base, true);
  // Half of it, then all of it again, then none.
  store.apply("zz.yaml", text.substr(0, text.size() / 2));
  check(store, base);
  store.apply("zz.yaml", text);
  store.remove("zz2.yaml");
  check(store, base);
  store.remove("zz.yaml");
  store.remove("zz.json");
  require(store.files().size() == 1);
  check(store, base);
  return 0;
}
