// All counters and states in the Prometheus text format, version 0.0.4.
//
// Names: sluice_<thing>_<what>_<unit>[_total]; labels name the thing ({virtual="…"}, {reason="…"}).
// Called by: admin/api (GET /metrics). Runs on: control thread. Follows: Prometheus exposition formats.
// Tested by: tests/control/admin/prometheus_test.cc
#pragma once

#include <string>
#include <string_view>

#include "control/admin/backend.h"

namespace sluice::admin {

inline constexpr std::string_view kPrometheusType = "text/plain; version=0.0.4; charset=utf-8";

std::string prometheus_text(Backend& backend);

}  // namespace sluice::admin
