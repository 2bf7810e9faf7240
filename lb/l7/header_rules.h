// Header rules as they are configured: which are allowed, and why not.
//
// Called by: control/config (validate). Runs on: control thread. Follows: RFC 9110 5.1, 5.5, 7.6.1.
// Tested by: tests/control/config/http_test.cc
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lb/l7/http_options.h"

namespace sluice::lb::http {

bool is_token(std::string_view text);        // RFC 9110 5.6.2, not empty
bool is_field_value(std::string_view text);  // visible bytes, spaces and tabs inside; no line ends

// What is wrong with the rule, as a sentence ("is no header name: ..."); nothing: it can be applied.
// Fields that decide where a message ends or which connection it belongs to cannot be changed by a rule.
std::optional<std::string> check_header_rule(const HeaderRule& rule);

}  // namespace sluice::lb::http
