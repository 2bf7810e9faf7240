// validate: what must hold between the values of a Config; each breach is a Finding at a path of sluice.yaml.
//
// Single values (ranges, names, addresses) are checked while reading; here are the checks that need two of them: names
// that are referenced exist, subnets do not clash, a virtual address is nobody else's, interval < timeout, and so on.
//
// Called by: parse, control/admin. Runs on: control thread. Tested by: tests/control/config/validate_test.cc
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "dataplane/base/result.h"

namespace sluice::config {

struct Finding {
  std::string path;     // "virtual-servers.web.pool"
  std::string message;  // "no pool \"wbe\": did you mean \"web\"?"
  friend bool operator==(const Finding&, const Finding&) = default;
};

struct Findings {
  std::vector<Finding> errors;
  std::vector<Finding> warnings;
};

Findings validate(const Config& config);

// Why this monitor cannot work by itself (interval >= timeout, a regular expression that does not compile, ...); the
// path is relative to the monitor ("timeout"). Shared with k8s, whose monitors come from ConfigMaps.
std::vector<Finding> check_monitor(const Monitor& monitor);

// Why no virtual server may listen on this address (a self IP's, a neighbour's, a member's own gateway ...).
std::optional<std::string> check_virtual_address(const Config& config, Ipv4Address address);

}  // namespace sluice::config
