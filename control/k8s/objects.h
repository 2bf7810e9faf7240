// The Kubernetes objects that the load balancer looks at, reduced to what it needs of them.
//
// Called by: object_store, model. Runs on: control thread. Follows: Kubernetes API core/v1, discovery.k8s.io/v1,
// Calico crd.projectcalico.org/v1 and projectcalico.org/v3.
// Tested by: tests/control/k8s/objects_test.cc
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "control/config/model.h"
#include "control/config/tree.h"
#include "control/k8s/fields.h"

namespace sluice::k8s {

struct ObjectKey {
  std::string kind;
  std::string space;  // namespace; empty for what is the cluster's: Node, IPPool, BlockAffinity
  std::string name;

  std::string text() const;  // "ConfigMap default/nginx-vs"
  friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

// ---- ConfigMap with f5type: virtual-server (f5schemadb://bigip-virtual-server_v0.1.x.json) ----

struct MonitorSpec {
  std::string protocol;  // http, tcp, udp
  unsigned interval_s = 5;
  unsigned timeout_s = 16;
  std::string send;  // as written, after JSON's own escapes
  std::string recv;
  friend bool operator==(const MonitorSpec&, const MonitorSpec&) = default;
};

struct VirtualServerSpec {
  std::string service;
  std::uint16_t service_port = 0;
  std::vector<MonitorSpec> monitors;
  std::string partition;
  config::Balance balance = config::Balance::round_robin;
  config::Mode mode = config::Mode::tcp;
  std::optional<Ipv4Endpoint> destination;  // absent: a pool only
  std::string origin;                       // "nginx.yaml ConfigMap default/nginx-vs"
  std::string place;                        // "nginx.yaml:1:1 ConfigMap default/nginx-vs", for errors
  friend bool operator==(const VirtualServerSpec& a, const VirtualServerSpec& b) {
    return a.service == b.service && a.service_port == b.service_port && a.monitors == b.monitors &&
           a.partition == b.partition && a.balance == b.balance && a.mode == b.mode && a.destination == b.destination;
  }
};

// ---- Service and what stands behind it ----

struct ServicePort {
  std::string name;
  lb::Protocol protocol = lb::Protocol::tcp;
  std::uint16_t port = 0;
  std::uint16_t target_number = 0;  // 0: targetPort is a name
  std::string target_name;
  std::uint16_t node_port = 0;
};

struct Service {
  std::vector<ServicePort> ports;
};

struct EndpointPort {
  std::string name;
  lb::Protocol protocol = lb::Protocol::tcp;
  std::uint16_t port = 0;  // 0: every port (EndpointSlice)
};

struct EndpointAddress {
  Ipv4Address address;
  bool draining = false;  // terminating, but still serving what it has
};

// A set of addresses that share their ports: a subset of Endpoints, or an EndpointSlice.
struct EndpointSet {
  std::vector<EndpointAddress> addresses;
  std::vector<EndpointPort> ports;
};

struct Endpoints {
  std::vector<EndpointSet> subsets;
};

struct EndpointSlice {
  std::string service;
  EndpointSet set;
};

struct ClusterNode {
  std::vector<Ipv4Address> internal_ips;
};

// Calico's: the addresses that pods have, and which node has a block of them.
struct IpPool {
  std::optional<Ipv4Prefix> cidr;  // absent: IPv6
};

struct BlockAffinity {
  std::optional<Ipv4Prefix> cidr;  // absent: IPv6, or given up
  std::string node;                // Node's name
};

using Object = std::variant<VirtualServerSpec, Service, Endpoints, EndpointSlice, ClusterNode, IpPool, BlockAffinity>;

// What became of one object in a file.
struct ReadObject {
  ObjectKey key;
  config::Mark mark;
  std::string place;             // "nginx.yaml:12:1 ConfigMap default/nginx-vs"
  std::optional<Object> object;  // absent: not ours, or in error
  std::vector<Breach> breaches;  // why it is in error
  std::string notice;            // what the user should know, if anything
};

// Reads every object of a document; a List gives several.
std::vector<ReadObject> read_objects(std::string_view file, const config::Document& document);

// The `data.data` JSON of a ConfigMap by its schema version (0.1.<minor>); `annotated_address`: the annotation
// virtual-server.f5.com/ip, used if bindAddr is absent.
std::optional<VirtualServerSpec> read_virtual_server(const config::Node& root, unsigned minor,
                                                     const std::optional<std::string>& annotated_address,
                                                     std::vector<Breach>& breaches, std::string& notice);

inline constexpr unsigned kSchemaMinorMin = 1;
inline constexpr unsigned kSchemaMinorMax = 7;

}  // namespace sluice::k8s
