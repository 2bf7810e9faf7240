// Policy: applies the rules of sluice.yaml (control/config/bgp_policy.h) to a route's attributes.
//
// Called by: speaker (import per path, export per announcement). Runs on: control thread.
// Follows: RFC 4271 9.1.1, RFC 8212. Tested by: tests/control/bgp/policy_test.cc
#pragma once

#include <cstdint>

#include "control/config/bgp_policy.h"
#include "control/routing/ip_prefix.h"

namespace sluice::bgp {

struct PathAttributes;

using config::parse_policy, config::parse_policy_rule, config::Policy, config::PolicyRule, config::text_of,
    config::Verdict;

// Applies the policy to a route: false: rejected. `attributes` is changed only by rules that match;
// `prepend_as` is the AS that `prepend` repeats.
bool apply(const Policy& policy, const routing::IpPrefix& prefix, PathAttributes& attributes, std::uint32_t prepend_as);

}  // namespace sluice::bgp
