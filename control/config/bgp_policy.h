// The policy language of `bgp:` in sluice.yaml: rules of one line each, and communities as people write them.
//
// The first rule that matches decides, unless it says `next`; what no rule of a policy decides is rejected:
//   "prefix 10.244.0.0/16 ge 24 le 32 accept"
//   "community 64512:100 as-path length 0..2 set local-pref 200 set community add 64512:1 accept"
//   "prefix-list pods accept"
//   "any reject"
// All matches of a rule must hold; of its prefixes (`prefix`, `prefix-list`, any number) one. An empty policy accepts
// all. What may never be learned (default route, our own addresses) is refused before any policy.
//
// Called by: validate, control/daemon (reads the rules), control/bgp (applies them). Runs on: control thread.
// Follows: RFC 4271 9.1.1, RFC 1997, RFC 8092. Tested by: tests/control/bgp/policy_test.cc
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/ip_prefix.h"
#include "dataplane/base/result.h"

namespace sluice::config {

// RFC 8092: three numbers.
struct LargeCommunity {
  std::uint32_t global = 0, local1 = 0, local2 = 0;
  friend auto operator<=>(const LargeCommunity&, const LargeCommunity&) = default;
};

// "64512:100", or a well-known name: graceful-shutdown, llgr-stale, no-llgr, blackhole, no-export, no-advertise,
// local-as.
std::string community_text(std::uint32_t community);
std::optional<std::uint32_t> parse_community(std::string_view text);
std::string community_text(const LargeCommunity& community);  // "64512:1:2"
std::optional<LargeCommunity> parse_large_community(std::string_view text);

enum class Verdict : std::uint8_t { accept, reject, next };

struct PrefixMatch {
  IpPrefix prefix;
  std::uint8_t length_min = 0;
  std::uint8_t length_max = 32;

  bool matches(const IpPrefix& other) const {
    return prefix.contains(other) && other.length >= length_min && other.length <= length_max;
  }
  friend bool operator==(const PrefixMatch&, const PrefixMatch&) = default;
};
using PrefixLists = std::map<std::string, std::vector<PrefixMatch>, std::less<>>;

struct PolicyRule {
  // match: all that are set must hold
  std::vector<PrefixMatch> prefixes;  // one of them
  std::vector<std::uint32_t> communities;
  std::vector<LargeCommunity> large_communities;
  std::optional<std::uint32_t> as_in_path;
  std::optional<unsigned> as_path_min, as_path_max;  // its length as RFC 4271 9.1.2.2 a counts it
  std::optional<IpAddress> next_hop;
  // set
  std::optional<std::uint32_t> set_local_pref;
  std::optional<std::uint32_t> set_med;
  std::optional<IpAddress> set_next_hop;
  unsigned prepend = 0;  // our AS, this often
  bool clear_communities = false;
  std::vector<std::uint32_t> add_communities, remove_communities;
  std::vector<LargeCommunity> add_large_communities, remove_large_communities;
  Verdict verdict = Verdict::accept;
  friend bool operator==(const PolicyRule&, const PolicyRule&) = default;
};

struct Policy {
  std::vector<PolicyRule> rules;
  Verdict otherwise = Verdict::accept;  // when no rule decides

  bool empty() const { return rules.empty() && otherwise == Verdict::accept; }
  friend bool operator==(const Policy&, const Policy&) = default;
};

// "10.244.0.0/16", "10.244.0.0/16 length 24..32", "10.244.0.0/16 ge 24 le 32", "10.244.0.0/16 le 26".
Result<PrefixMatch> parse_prefix_match(std::string_view text);
// One rule from its line; the error names the word that is wrong.
Result<PolicyRule> parse_policy_rule(std::string_view line, const PrefixLists& lists = {});
// All lines of a policy; every error, its place "[index]".
tl::expected<Policy, Errors> parse_policy(const std::vector<std::string>& lines, const PrefixLists& lists = {});
std::string text_of(const PrefixMatch& match);
std::string text_of(const PolicyRule& rule);  // prefix lists are written out

}  // namespace sluice::config
