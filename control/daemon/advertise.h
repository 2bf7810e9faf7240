// Which virtual addresses are to be announced now. Pure.
//
// selective, any: while an enabled virtual server on the address can serve; all: while each of them can; always; never.
//
// Called by: control/daemon/balancing. Runs on: control thread. Follows: F5 BIG-IP route advertisement.
// Tested by: tests/control/daemon/advertise_test.cc
#pragma once

#include <set>

#include "control/config/model.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::daemon {

std::set<Ipv4Address> to_announce(const config::Config& config, const lb::Snapshot& snapshot);

}  // namespace sluice::daemon
