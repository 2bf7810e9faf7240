// Policy: an ordered list of rules that accept or reject a route and set its attributes.
//
// One rule a line in sluice.yaml, the first that matches decides unless it says `next`:
//   "prefix 10.244.0.0/16 length 24..32 accept"
//   "community 64512:100 set local-pref 200 set community add 64512:1 accept"
//   "any reject"
// An empty policy accepts all. What may never be learned (default route, our own addresses) is refused before it.
//
// Called by: speaker (import per path, export per announcement). Runs on: control thread.
// Follows: RFC 4271 9.1.1, RFC 8212. Tested by: tests/control/bgp/policy_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/routing/ip_prefix.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::bgp {

struct PathAttributes;

enum class Verdict : std::uint8_t { accept, reject, next };

struct PolicyRule {
  // match: all that are set must hold
  struct PrefixMatch {
    routing::IpPrefix prefix;
    std::uint8_t length_min = 0;
    std::uint8_t length_max = 32;
    friend bool operator==(const PrefixMatch&, const PrefixMatch&) = default;
  };
  std::vector<PrefixMatch> prefixes;  // one of them
  std::optional<std::uint32_t> community;
  std::optional<std::uint32_t> as_in_path;
  std::optional<IpAddress> next_hop;
  // set
  std::optional<std::uint32_t> set_local_pref;
  std::optional<std::uint32_t> set_med;
  std::optional<IpAddress> set_next_hop;
  unsigned prepend = 0;  // our AS, this often
  bool clear_communities = false;
  std::vector<std::uint32_t> add_communities;
  std::vector<std::uint32_t> remove_communities;
  Verdict verdict = Verdict::accept;
  friend bool operator==(const PolicyRule&, const PolicyRule&) = default;
};

struct Policy {
  std::vector<PolicyRule> rules;
  Verdict otherwise = Verdict::accept;  // when no rule decides

  bool empty() const { return rules.empty() && otherwise == Verdict::accept; }
  friend bool operator==(const Policy&, const Policy&) = default;
};

// One rule from its line; the error names the word that is wrong.
Result<PolicyRule> parse_policy_rule(std::string_view line);
// All lines of a policy; every error.
tl::expected<Policy, Errors> parse_policy(const std::vector<std::string>& lines);
std::string text_of(const PolicyRule& rule);

// Applies the policy to a route: false: rejected. `attributes` is changed only by rules that match;
// `prepend_as` is the AS that `prepend` repeats.
bool apply(const Policy& policy, const routing::IpPrefix& prefix, PathAttributes& attributes, std::uint32_t prepend_as);

}  // namespace sluice::bgp
