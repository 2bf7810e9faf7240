// normalise: fills in what follows from other values, so that readers of a Config never have to.
//
// One VirtualAddress for each destination in use (those the user described keep their settings), sorted; the bytes of
// each monitor's send string from its text; a self IP's name from its address; a BGP router ID from the first self IP.
// Idempotent.
//
// Called by: parse, k8s::ObjectStore::to_model. Runs on: control thread. Tested by: tests/control/config/parse_test.cc
#pragma once

#include <string>
#include <string_view>

#include "control/config/model.h"

namespace sluice::config {

void normalise(Config& config);

// The bytes that a send or recv string as written means: \r \n \t \0 \\ \" and \xHH are resolved, real control bytes
// and unknown escapes stay as they are.
std::string unescape(std::string_view written);

// BIG-IP's default for http monitors that say nothing.
inline constexpr std::string_view kDefaultHttpSend = "GET /\\r\\n";

}  // namespace sluice::config
