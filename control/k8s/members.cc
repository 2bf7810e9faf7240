// Which pods (or nodes) stand behind a service's port; see model.h.
#include <fmt/format.h>

#include <algorithm>

#include "control/config/words.h"
#include "control/k8s/model.h"

namespace sluice::k8s {
namespace {

std::string list_ports(const Service& service) {
  std::string out;
  for (const auto& port : service.ports)
    out += fmt::format("{}{}/{}", out.empty() ? "" : ", ", port.port, config::name_of(port.protocol));
  return out.empty() ? "it has none" : "it has " + out;
}

// The endpoint's port for a service's port: by name, as the endpoints controller makes them; or by number, as people
// write them by hand. 0: none.
std::uint16_t match_port(const EndpointSet& set, const ServicePort& wanted) {
  for (const auto& port : set.ports) {
    const bool all = port.port == 0 && port.name.empty();  // `ports: null`: whatever the service wants
    if (all) return wanted.target_number;
    if (port.protocol != wanted.protocol || port.name != wanted.name) continue;
    return port.port != 0 ? port.port : wanted.target_number;
  }
  for (const auto& port : set.ports)
    if (port.protocol == wanted.protocol && port.name.empty() && port.port != 0 && port.port == wanted.target_number)
      return port.port;
  return 0;
}

// One member for each address; where several sets disagree, the best state of them.
class MemberList {
 public:
  void add(const EndpointSet& set, const ServicePort& wanted) {
    if (set.addresses.empty()) return;
    const std::uint16_t port = match_port(set, wanted);
    if (port == 0) {
      ++unmatched;
      return;
    }
    for (const auto& endpoint : set.addresses) {
      const auto state = endpoint.draining ? config::MemberState::forced_offline : config::MemberState::enabled;
      add({endpoint.address, port}, state);
    }
  }
  void add(Ipv4Endpoint endpoint, config::MemberState state) {
    const auto [found, fresh] = members_.emplace(endpoint, state);
    if (!fresh && state == config::MemberState::enabled) found->second = state;
  }
  std::vector<config::Member> take() const {
    std::vector<config::Member> out;
    for (const auto& [endpoint, state] : members_) out.push_back({.endpoint = endpoint, .state = state});
    return out;
  }

  unsigned unmatched = 0;  // sets with addresses but without the port

 private:
  std::map<Ipv4Endpoint, config::MemberState> members_;
};

std::vector<config::Member> pods_of(const Cluster& cluster, const Cluster::Name& name, const ServicePort& port,
                                    std::string& notice) {
  MemberList members;
  const auto slices = cluster.slices.find(name);
  const auto endpoints = cluster.endpoints.find(name);
  if (slices != cluster.slices.end()) {
    for (const auto* slice : slices->second) members.add(slice->set, port);
    if (endpoints != cluster.endpoints.end())
      notice = fmt::format("Endpoints {}/{} is not used: the service has EndpointSlices", name.first, name.second);
  } else if (endpoints != cluster.endpoints.end()) {
    for (const auto& subset : endpoints->second->subsets) members.add(subset, port);
  }
  auto out = members.take();
  if (!out.empty()) return out;
  if (members.unmatched > 0)
    notice =
        fmt::format("the endpoints of service {}/{} have no port that matches its port {} (name {}, targetPort {})",
                    name.first, name.second, port.port, config::in_quotes(port.name),
                    port.target_number != 0 ? std::to_string(port.target_number) : config::in_quotes(port.target_name));
  else
    notice = fmt::format("service {}/{} has no ready endpoints: the pool is empty", name.first, name.second);
  return out;
}

std::vector<config::Member> nodes_of(const Cluster& cluster, const Cluster::Name& name, const ServicePort& port,
                                     std::string& notice) {
  MemberList members;
  if (port.node_port == 0) {
    notice = fmt::format(
        "port {} of service {}/{} has no nodePort: pool-member-type nodeport needs a service of type NodePort",
        port.port, name.first, name.second);
    return {};
  }
  for (const auto* node : cluster.nodes)
    for (const auto address : node->internal_ips) members.add({address, port.node_port}, config::MemberState::enabled);
  if (members.take().empty()) notice = "no Node has an InternalIP: pool-member-type nodeport needs the Node objects";
  return members.take();
}

}  // namespace

std::vector<config::Member> members_of(const Cluster& cluster, const std::string& space, const VirtualServerSpec& spec,
                                       config::PoolMemberType type, std::string& notice) {
  const Cluster::Name name{space, spec.service};
  const auto service = cluster.services.find(name);
  if (service == cluster.services.end()) {
    notice = fmt::format("there is no service {}/{}: the pool is empty", space, spec.service);
    return {};
  }
  const auto protocol = spec.mode == config::Mode::udp ? lb::Protocol::udp : lb::Protocol::tcp;
  const auto& ports = service->second->ports;
  const auto port = std::find_if(ports.begin(), ports.end(), [&](const ServicePort& p) {
    return p.port == spec.service_port && p.protocol == protocol;
  });
  if (port == ports.end()) {
    notice = fmt::format("service {}/{} has no port {}/{} ({}): the pool is empty", space, spec.service,
                         spec.service_port, config::name_of(protocol), list_ports(*service->second));
    return {};
  }
  return type == config::PoolMemberType::nodeport ? nodes_of(cluster, name, *port, notice)
                                                  : pods_of(cluster, name, *port, notice);
}

}  // namespace sluice::k8s
