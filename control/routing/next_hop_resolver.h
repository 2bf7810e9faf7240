// The question BGP asks of the routing table: can this next hop be reached, and how far is it?
//
// Called by: control/bgp (RFC 4271 9.1.2.1). Implemented by: control/routing/routing_table.h, and by tests.
// Runs on: control thread. Tested by: tests/control/routing/routing_table_test.cc
#pragma once

#include <cstdint>

#include "dataplane/base/address.h"

namespace sluice::routing {

struct NextHopState {
  bool reachable = false;
  bool connected = false;    // on a subnet of ours: no gateway in between
  std::uint32_t metric = 0;  // 0: connected; otherwise the number of recursions
  friend bool operator==(const NextHopState&, const NextHopState&) = default;
};

class NextHopResolver {
 public:
  NextHopResolver() = default;
  NextHopResolver(const NextHopResolver&) = delete;
  NextHopResolver& operator=(const NextHopResolver&) = delete;
  virtual ~NextHopResolver() = default;
  virtual NextHopState resolve_next_hop(const IpAddress& next_hop) const = 0;
};

}  // namespace sluice::routing
