// The configuration's BGP as the speaker's settings. Pure.
//
// Called by: control/daemon. Runs on: control thread. Tested by: tests/control/daemon/bgp_settings_test.cc
#pragma once

#include "control/bgp/settings.h"
#include "control/bgp/speaker.h"
#include "control/config/model.h"

namespace sluice::daemon {

// A neighbour's session is its own keys, then its peer group's, then the speaker's defaults. A neighbour without
// local-address gets the self IP on its subnet, else the first; a listen range leaves that to the speaker.
// Precondition: `config` is valid.
bgp::SpeakerSettings make_settings(const config::Config& config);
// Communities that cannot be read are left out: config has reported them.
bgp::AnnounceAttributes make_attributes(const config::Announcement& announcement);

}  // namespace sluice::daemon
