// Policy: what a rule matches and what it sets.
#include "control/bgp/policy.h"

#include <algorithm>

#include "control/bgp/attributes.h"

namespace sluice::bgp {
namespace {

template <typename T>
bool has_all(const std::vector<T>& of, const std::vector<T>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&of](const T& c) { return std::find(of.begin(), of.end(), c) != of.end(); });
}

template <typename T>
void change(std::vector<T>& list, const std::vector<T>& remove, const std::vector<T>& add) {
  for (const T& c : remove) std::erase(list, c);
  for (const T& c : add) {
    if (std::find(list.begin(), list.end(), c) == list.end()) list.push_back(c);
  }
}

bool matches(const PolicyRule& rule, const routing::IpPrefix& prefix, const PathAttributes& attributes) {
  if (!rule.prefixes.empty() && std::none_of(rule.prefixes.begin(), rule.prefixes.end(),
                                             [&prefix](const auto& m) { return m.matches(prefix); })) {
    return false;
  }
  if (!has_all(attributes.communities, rule.communities)) return false;
  if (!has_all(attributes.large_communities, rule.large_communities)) return false;
  if (rule.as_in_path && !attributes.as_path.contains(*rule.as_in_path)) return false;
  if (rule.as_path_min) {
    const auto length = attributes.as_path.length();
    if (length < *rule.as_path_min || length > *rule.as_path_max) return false;
  }
  return !rule.next_hop || attributes.next_hop == *rule.next_hop;
}

void set(const PolicyRule& rule, PathAttributes& a, std::uint32_t prepend_as) {
  if (rule.set_local_pref) a.local_pref = rule.set_local_pref;
  if (rule.set_med) a.med = rule.set_med;
  if (rule.set_next_hop) a.next_hop = *rule.set_next_hop;
  a.as_path.prepend(prepend_as, rule.prepend);
  if (rule.clear_communities) {
    a.communities.clear();
    a.large_communities.clear();
  }
  change(a.communities, rule.remove_communities, rule.add_communities);
  change(a.large_communities, rule.remove_large_communities, rule.add_large_communities);
}

}  // namespace

bool apply(const Policy& policy, const routing::IpPrefix& prefix, PathAttributes& attributes,
           std::uint32_t prepend_as) {
  for (const auto& rule : policy.rules) {
    if (!matches(rule, prefix, attributes)) continue;
    if (rule.verdict == Verdict::reject) return false;
    set(rule, attributes, prepend_as);
    if (rule.verdict == Verdict::accept) return true;
  }
  return policy.otherwise != Verdict::reject;
}

}  // namespace sluice::bgp
