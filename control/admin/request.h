// A request's target and JSON body taken apart, with an error message for whatever is wrong in them.
//
// Called by: admin/api. Runs on: control thread. Follows: RFC 3986 (query, percent-encoding).
// Tested by: tests/control/admin/request_test.cc
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "control/admin/backend.h"
#include "control/admin/json.h"

namespace sluice::admin {

struct Target {
  std::string path;  // "/v1/virtual", a trailing slash removed
  std::map<std::string, std::string> query;
};

// "/v1/virtual?name=a%2fb". Fails on bad percent-encoding, a parameter given twice, or no leading slash.
Result<Target> parse_target(std::string_view target);
std::string percent_encode(std::string_view text);

// A JSON object; empty text is the empty object. Depth and size are bounded (size by the server).
Result<Json> parse_body(const std::string& text);

// Fields of a body. Absent: nullopt; of the wrong type or out of range: an error that names the field.
Result<std::optional<std::string>> text_field(const Json& body, const char* name);
Result<std::optional<std::uint64_t>> number_field(const Json& body, const char* name, std::uint64_t max);
Result<std::optional<double>> seconds_field(const Json& body, const char* name, double min, double max);
Result<std::optional<bool>> bool_field(const Json& body, const char* name);
// Fails on a member of `body` that is not in `known`.
Status only_fields(const Json& body, std::initializer_list<std::string_view> known);

Result<FlowFilter> parse_flow_filter(const std::map<std::string, std::string>& query);
Result<PingRequest> parse_ping(const Json& body);
Result<CaptureRequest> parse_capture(const Json& body);

}  // namespace sluice::admin
