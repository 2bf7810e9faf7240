// What follows from several parts of `bgp:`: a neighbour's session with its peer group's, prefix lists as values.
//
// Called by: validate_bgp, control/daemon. Runs on: control thread. Tested by: tests/control/config/bgp_test.cc
#pragma once

#include <string>

#include "control/config/bgp_policy.h"
#include "control/config/model.h"

namespace sluice::config {

// `own`, and what it does not say as the peer group says it; an unknown group says nothing.
BgpSession effective(const Bgp& bgp, const std::string& peer_group, const BgpSession& own);
// Keepalive as sent: as configured, else a third of the hold time in whole seconds.
Duration keepalive_of(const BgpSession& session, Duration hold_time_default);
// Entries that cannot be read are left out: validate has reported them.
PrefixLists prefix_lists_of(const Bgp& bgp);

}  // namespace sluice::config
