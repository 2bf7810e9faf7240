// Ethtool: turns named offload features of an interface off and on again (what `ethtool -K` does).
//
// Called by: port/quiet_interface. Runs on: control thread. Follows: linux/ethtool.h, ETHTOOL_SFEATURES.
// Tested by: tests/dataplane/worker/veth_test.cc
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dataplane/base/result.h"

namespace sluice::port {

// Sets each feature ("rx-gro", "rx-lro") that the interface has and that is not so already; returns those it changed.
Result<std::vector<std::string>> set_features(const std::string& interface, std::span<const std::string> names,
                                              bool on);

}  // namespace sluice::port
