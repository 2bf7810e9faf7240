// The manifests of the scenario, as its users write them, and short ways to make others.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "control/config/parse.h"
#include "dataplane/base/result.h"

namespace sluice::k8s::testing {

// scenario.md, word for word.
inline constexpr std::string_view kScenarioJson = R"({
  "virtualServer": {
    "backend": {
      "servicePort": 80,
      "serviceName": "nginx-deploy-svc",
      "healthMonitors": [{
        "interval": 15,
        "protocol": "http",
        "send": "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n",
        "recv": "cka",
        "timeout": 30
      }]
    },
    "frontend": {
      "virtualAddress": { "port": 80, "bindAddr": "172.16.40.80" },
      "partition": "k8s",
      "balance": "least-connections-member",
      "mode": "http"
    }
  }
})";

inline constexpr std::string_view kService = R"(
apiVersion: v1
kind: Service
metadata: {name: nginx-deploy-svc}
spec:
  type: ClusterIP
  selector: {app: nginx}
  ports:
    - {name: http, port: 80, targetPort: 80, protocol: TCP, nodePort: 30080}
)";

inline constexpr std::string_view kEndpoints = R"(
apiVersion: v1
kind: Endpoints
metadata: {name: nginx-deploy-svc, namespace: default}
subsets:
  - addresses:
      - {ip: 10.244.0.76, nodeName: k8s-master}
      - {ip: 10.244.1.37, nodeName: k8s-node1}
    notReadyAddresses: [{ip: 10.244.0.81}]
    ports: [{name: http, port: 80, protocol: TCP}]
)";

inline std::string indent(std::string_view text) {
  std::string out = "    ";
  for (const char c : text) {
    out += c;
    if (c == '\n') out += "    ";
  }
  return out;
}

inline std::string configmap(std::string_view name, std::string_view json, std::string_view version = "0.1.7") {
  return fmt::format(
      "kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: {}\n  namespace: default\n  labels:\n    f5type: "
      "virtual-server\n"
      "data:\n  schema: \"f5schemadb://bigip-virtual-server_v{}.json\"\n  data: |\n{}\n",
      name, version, indent(json));
}

// A virtual server with this frontend and backend (both the inside of their braces).
inline std::string server(std::string_view frontend,
                          std::string_view backend = R"("serviceName": "nginx-deploy-svc", "servicePort": 80)") {
  return fmt::format(R"({{"virtualServer": {{"backend": {{{}}}, "frontend": {{{}}}}}}})", backend, frontend);
}

inline std::string text_of(const Errors& errors) {
  std::string out;
  for (const auto& error : errors) out += error.text() + '\n';
  return out;
}

inline config::Config base(std::string_view more = "") {
  auto outcome = config::parse("sluice.yaml", fmt::format(R"(
ports: {{int_vlan: {{device: net_null0}}}}
self-ips: [{{address: 172.16.40.202/24, port: int_vlan}}]
manifests: manifests
{})",
                                                          more));
  return outcome.config.value();
}

}  // namespace sluice::k8s::testing
