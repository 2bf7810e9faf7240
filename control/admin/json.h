// Status values as JSON: field names as in status.h, times in seconds, keys in a fixed order.
//
// Called by: admin/api. Runs on: control thread. Follows: RFC 8259. Tested by: tests/control/admin/json_test.cc
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "control/admin/status.h"
#include "dataplane/base/result.h"

namespace sluice::admin {

using Json = nlohmann::ordered_json;

std::string_view name_of(Availability availability);

Json to_json(const Traffic& value);
Json to_json(const VirtualStatus& value);
Json to_json(const VirtualAddressStatus& value);
Json to_json(const MemberStatus& value);
Json to_json(const PoolStatus& value);
Json to_json(const NodeStatus& value);
Json to_json(const MonitorStatus& value);
Json to_json(const RouteStatus& value);
Json to_json(const NeighborEntryStatus& value);
Json to_json(const BgpPathStatus& value);
Json to_json(const BgpNeighborStatus& value);
Json to_json(const BgpStatus& value);
Json to_json(const BfdStatus& value);
Json to_json(const WorkerStatus& value);
Json to_json(const PortStatus& value);
Json to_json(const DropsStatus& value);
Json to_json(const FlowStatus& value);
Json to_json(const FlowsStatus& value);
Json to_json(const VersionStatus& value);
// json_l7.cc
Json to_json(const LatencyStatus& value);
Json to_json(const HttpStatus& value);
Json to_json(const HttpErrorStatus& value);
Json to_json(const HttpErrorsStatus& value);
Json to_json(const TcpWorkerStatus& value);
Json to_json(const AccessLogStatus& value);
Json to_json(const Error& value);

template <typename T>
Json to_json(const std::vector<T>& values) {
  Json array = Json::array();
  for (const T& value : values) array.push_back(to_json(value));
  return array;
}

// Two decimals are what a person reads; more is noise in diffs and golden files.
double round2(double value);

// JSON text; bytes that are no UTF-8 (a monitor's send string may hold them) become U+FFFD instead of an exception.
std::string dump(const Json& json, int indent = -1);

}  // namespace sluice::admin
