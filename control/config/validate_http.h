// Checks the `http:` of a virtual server beyond what types and ranges say.
//
// Called by: validate. Runs on: control thread. Tested by: tests/control/config/http_test.cc
#pragma once

#include <vector>

#include "control/config/validate.h"

namespace sluice::config {

// Everything that is wrong; paths are below the virtual server ("http.routes[0].pool"). Whether a route's pool exists
// is for the caller to say.
std::vector<Finding> check_http(const VirtualServer& server);

}  // namespace sluice::config
