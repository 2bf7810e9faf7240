// IpPrefix under the name by which routing and BGP know it.
//
// Called by: control/bgp, control/routing. Runs on: control thread. Tested by:
// tests/control/routing/prefix_index_test.cc
#pragma once

#include "dataplane/base/ip_prefix.h"

namespace sluice::routing {

using sluice::IpPrefix;

}  // namespace sluice::routing
