// The cross checks of `bgp:` and of announcements; see validate.h.
//
// Called by: validate. Runs on: control thread. Tested by: tests/control/config/{bgp,validate}_test.cc
#pragma once

#include "control/config/validate.h"

namespace sluice::config {

void check_bgp(const Config& config, Findings& findings);
// Communities of a virtual address or an aggregate.
void check_announcement(const std::string& path, const Announcement& announcement, Findings& findings);

}  // namespace sluice::config
