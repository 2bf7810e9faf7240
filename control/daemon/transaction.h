// A change in steps that takes effect whole or not at all. Pure.
//
// Called by: control/daemon/reconfigure. Runs on: control thread. Tested by: tests/control/daemon/transaction_test.cc
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "dataplane/base/result.h"

namespace sluice::daemon {

struct Step {
  std::string name;  // for the log: "self IPs"
  // Brings its part in line with the configuration; on errors its part may be left half done: undone by another go().
  std::function<Errors(const config::Config&)> go;
};

struct TransactionOutcome {
  Errors errors;       // empty: all steps are done
  Errors undo_errors;  // steps that could not be brought back: the daemon is not as configured
};

// Runs the steps with `next`, in order. At the first that fails, runs it and those before it with `running`, backwards.
TransactionOutcome run_steps(const std::vector<Step>& steps, const config::Config& running, const config::Config& next);

}  // namespace sluice::daemon
