// build_model: the objects of a cluster as pools, virtual servers and monitors, named as BIG-IP's controller names
// them.
//
// Called by: object_store. Runs on: control thread. Tested by: tests/control/k8s/model_test.cc
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "control/k8s/object_store.h"
#include "control/k8s/objects.h"

namespace sluice::k8s {

// ConfigMaps as they were last accepted.
using Accepted = std::map<ObjectKey, VirtualServerSpec>;

// The objects in force, sorted by what they are. Values are copied or pointed to; the store outlives it.
class Cluster {
 public:
  void add(const ObjectKey& key, const Object& object);
  // Not in any file as it should be, but accepted before.
  void keep(const ObjectKey& key, const VirtualServerSpec& spec) { servers.emplace(key, &spec); }

  using Name = std::pair<std::string, std::string>;  // namespace, name
  std::map<ObjectKey, const VirtualServerSpec*> servers;
  std::map<Name, const Service*> services;
  std::map<Name, const Endpoints*> endpoints;
  std::map<Name, std::vector<const EndpointSlice*>> slices;  // by the service they belong to
  std::vector<const ClusterNode*> nodes;
  std::map<std::string, const ClusterNode*> nodes_by_name;
  std::vector<const IpPool*> ip_pools;
  std::vector<const BlockAffinity*> block_affinities;
};

// What Calico's objects tell BGP: the pod ranges where sluice.yaml accepts none by name, and the owners of blocks.
void learn_calico(const Cluster& cluster, config::Bgp& bgp);

// The members behind one port of a service; `notice` says why there are none, or what else to know.
std::vector<config::Member> members_of(const Cluster& cluster, const std::string& space, const VirtualServerSpec& spec,
                                       config::PoolMemberType type, std::string& notice);

void build_model(const config::Config& base, const Cluster& cluster, Accepted& accepted, ModelOutcome& out);

}  // namespace sluice::k8s
