// RestartState: what a sluiced that restarts leaves to the one after it: flows, learned routes, members known to be up,
// neighbors.
//
// The old process writes it into a file without a name (memfd) and executes itself anew with --restore and the
// descriptor; so it ends with the machine, needs no folder, and nobody else reads it.
//
// Called by: control/daemon/daemon. Runs on: control thread. Tested by: tests/control/daemon/restart_state_test.cc
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/daemon/health.h"
#include "control/routing/routing_table.h"
#include "dataplane/base/result.h"
#include "dataplane/ip/neighbor.h"
#include "lb/l4/saved_flow.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::daemon {

struct SavedRoute {
  Ipv4Prefix prefix;
  std::vector<Ipv4Address> gateways;
  bool external = false;
  friend bool operator==(const SavedRoute&, const SavedRoute&) = default;
};

struct SavedNeighbor {
  std::string port;
  Ipv4Address address;
  MacAddress mac;
  friend bool operator==(const SavedNeighbor&, const SavedNeighbor&) = default;
};

struct RestartState {
  std::vector<std::vector<lb::SavedFlow>> flows;  // by worker
  std::vector<SavedRoute> routes;                 // learned by BGP
  std::vector<MemberName> up;
  std::vector<SavedNeighbor> neighbors;  // whose MAC address is known, to any worker
  std::map<std::string, int> kept;  // by port: the descriptor that keeps what arrives meanwhile (port/kept_frames.h)
  std::size_t flow_count() const;
};

// Bytes for a process of the same program; decode() refuses those of another one.
std::string encode(const RestartState& state);
Result<RestartState> decode(std::string_view bytes);

// The routes in use that BGP gave.
std::vector<SavedRoute> routes_by_bgp(const routing::RoutingTable& table, Instant now);

// The usable entries of every worker's table, each once; of ports that `ports` (by PortId) names.
std::vector<SavedNeighbor> merge_neighbors(std::span<const std::vector<ip::NeighborInfo>> workers,
                                           std::span<const packet::PortInfo> ports);

// A saved flow and what it holds in this process.
struct RestoredFlow {
  lb::SavedFlowFacts facts;
  lb::VirtualServerRuntime* virtual_server = nullptr;
  lb::MemberRuntime* member = nullptr;
};
// Those whose virtual server and member are still there, of `worker`.
std::vector<RestoredFlow> find_owners(const std::vector<lb::SavedFlow>& flows, const lb::Snapshot& snapshot);

// The descriptor holds `bytes` and survives exec.
Result<int> to_descriptor(std::string_view bytes);
// Reads all and closes it.
Result<std::string> from_descriptor(int descriptor);
// Executes this program anew with its own command line and `--restore descriptor`; of other descriptors only those of
// `kept` stay open. Returns only if that failed.
Error execute_again(int descriptor, const std::map<std::string, int>& kept);

}  // namespace sluice::daemon
