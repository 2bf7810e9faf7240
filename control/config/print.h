// print: a Config as canonical YAML: parse(print(c)) == c, except for passwords, which are never printed.
//
// Called by: control/admin (show config). Runs on: control thread. Tested by: tests/control/config/print_test.cc
#pragma once

#include <string>

#include "control/config/model.h"

namespace sluice::config {

struct PrintOptions {
  bool all = false;  // also the values that are at their default
};

std::string print(const Config& config, PrintOptions options = {});

// What stands in place of a password; parse() refuses it as a password.
inline constexpr std::string_view kMaskedSecret = "********";

}  // namespace sluice::config
