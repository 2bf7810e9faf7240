// Is this monitor sensible? Every fault of it at once, each with its field and what would be valid.
//
// Called by: control/config/validate, monitors/engine (refuses a plan that skipped it). Runs on: control thread.
// Follows: F5 BIG-IP. Tested by: tests/monitors/validate_test.cc
#pragma once

#include "dataplane/base/result.h"
#include "monitors/monitor.h"

namespace sluice::monitors {

// Error::place is the field as configuration writes it ("interval", "recv", "recv-disable", "time-until-up", …);
// the caller puts the monitor's own place before it. Empty: the monitor is fit to run.
Errors validate(const Monitor& monitor);

}  // namespace sluice::monitors
