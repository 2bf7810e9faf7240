// Which virtual addresses are to be announced now. Pure.
//
// selective, any: while an enabled virtual server on the address can serve; all: while each of them can; always; never.
// A virtual server can serve when a member of its pool takes new connections and no monitor contradicts.
//
// Called by: control/daemon/balancing. Runs on: control thread. Follows: F5 BIG-IP route advertisement.
// Tested by: tests/control/daemon/advertise_test.cc
#pragma once

#include <set>

#include "control/config/model.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::daemon {

bool can_serve(const lb::VirtualServer& server);
std::set<Ipv4Address> to_announce(const config::Config& config, const lb::Snapshot& snapshot);

}  // namespace sluice::daemon
