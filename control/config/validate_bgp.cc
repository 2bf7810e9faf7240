// The cross checks of `bgp:`, key by key; see validate_bgp.h.
#include "control/config/validate_bgp.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "control/config/bgp.h"
#include "control/config/text.h"
#include "control/config/tree.h"
#include "control/config/words.h"

namespace sluice::config {
namespace {

constexpr std::size_t kPasswordMax = 80;  // TCP_MD5SIG_MAXKEYLEN
constexpr Duration kHoldTimeDefault = 90s;

class BgpValidator {
 public:
  BgpValidator(const Config& config, Findings& findings)
      : config_(config), bgp_(config.bgp), findings_(findings), lists_(prefix_lists_of(config.bgp)) {}

  void run() {
    if (bgp_.router_id.is_zero()) error("bgp.router-id", "is missing, and there is no self IP to take it from");
    for (const auto& list : bgp_.prefix_lists) check_prefix_list(list);
    // What is wrong in a group is said once, not at each of its neighbours.
    for (const auto& group : bgp_.peer_groups) check_session("bgp.peer-groups." + group.name, group.session);
    for (std::size_t i = 0; i < bgp_.neighbors.size(); ++i)
      check_neighbor(fmt::format("bgp.neighbors[{}]", i), bgp_.neighbors[i]);
    for (std::size_t i = 0; i < bgp_.listen_ranges.size(); ++i)
      check_range(fmt::format("bgp.listen-ranges[{}]", i), bgp_.listen_ranges[i]);
    for (std::size_t i = 0; i < bgp_.aggregates.size(); ++i)
      check_aggregate(fmt::format("bgp.aggregates[{}]", i), bgp_.aggregates[i]);
    for (std::size_t i = 0; i < bgp_.block_owners.size(); ++i)
      check_owner(fmt::format("bgp.block-owners[{}].prefix", i), bgp_.block_owners[i]);
  }

 private:
  void error(std::string path, std::string message) {
    findings_.errors.push_back({std::move(path), std::move(message)});
  }
  void warn(std::string path, std::string message) {
    findings_.warnings.push_back({std::move(path), std::move(message)});
  }
  bool is_self_ip(Ipv4Address address) const {
    return std::any_of(config_.self_ips.begin(), config_.self_ips.end(),
                       [&](const SelfIp& self) { return self.address.address == address; });
  }
  bool on_connected_subnet(Ipv4Address address) const {
    return std::any_of(config_.self_ips.begin(), config_.self_ips.end(),
                       [&](const SelfIp& self) { return self.address.subnet().contains(address); });
  }

  void check_prefix_list(const BgpPrefixList& list) {
    const std::string path = fmt::format("bgp.prefix-lists.{}.prefixes", list.name);
    if (list.prefixes.empty()) error(path, "is empty: write at least one prefix");
    for (std::size_t i = 0; i < list.prefixes.size(); ++i)
      if (const auto match = parse_prefix_match(list.prefixes[i]); !match)
        error(fmt::format("{}[{}]", path, i), match.error().message);
  }

  void check_rules(const std::string& path, const std::vector<std::string>& rules) {
    const auto policy = parse_policy(rules, lists_);
    if (policy) return;
    for (const Error& wrong : policy.error()) error(path + wrong.place, wrong.message);
  }

  // What a session says of itself, without its group.
  void check_session(const std::string& path, const BgpSession& s) {
    if (s.hold_time && *s.hold_time != 0s && *s.hold_time < 3s)
      error(path + ".hold-time", fmt::format("{} is too short: write 0 (never) or at least 3s", to_text(*s.hold_time)));
    for (const auto& [key, value] : {std::pair("hold-time", s.hold_time), std::pair("keepalive", s.keepalive)})
      if (value && *value % 1s != 0s)
        error(fmt::format("{}.{}", path, key), fmt::format("{} is not in whole seconds", to_text(*value)));
    if (s.local_address && !is_self_ip(*s.local_address))
      error(path + ".local-address", fmt::format("{} is no self IP", s.local_address->text()));
    if (s.password.size() > kPasswordMax)
      error(path + ".password",
            fmt::format("is {} bytes long: TCP MD5 takes at most {}", s.password.size(), kPasswordMax));
    check_rules(path + ".import", s.import_rules);
    check_rules(path + ".export", s.export_rules);
  }

  // What only holds together with the group.
  void check_together(const std::string& path, const BgpSession& s) {
    if (!s.remote_as) error(path + ".remote-as", "is missing: write it here or in the peer group");
    const Duration hold = s.hold_time.value_or(kHoldTimeDefault), keepalive = keepalive_of(s, kHoldTimeDefault);
    if (hold >= 3s && (keepalive >= hold || keepalive == 0s))
      error(path + ".keepalive",
            fmt::format("{} must be more than 0 and less than the hold time {}", to_text(keepalive), to_text(hold)));
    if (s.idle_hold && s.idle_hold_max && *s.idle_hold > *s.idle_hold_max)
      error(path + ".idle-hold",
            fmt::format("{} is longer than idle-hold-max {}", to_text(*s.idle_hold), to_text(*s.idle_hold_max)));
    if (s.ttl_security.value_or(0) != 0 && s.multihop)
      error(path + ".ttl-security", "contradicts multihop: with TTL security every segment leaves with 255");
    const bool internal = s.remote_as && *s.remote_as == s.local_as.value_or(bgp_.local_as);
    if (internal && s.role.value_or(BgpRole::none) != BgpRole::none)
      error(path + ".role",
            fmt::format("{} is for external neighbors: this one is in our AS (RFC 9234)", name_of(*s.role)));
    if (s.role_strict.value_or(false) && s.role.value_or(BgpRole::none) == BgpRole::none)
      error(path + ".role-strict", "needs a role");
    if (!internal && s.remote_as) check_external_policy(path, s);
  }

  // RFC 8212 asks for a policy on every external session.
  void check_external_policy(const std::string& path, const BgpSession& s) {
    const bool required = s.require_policy.value_or(false);
    if (s.import_rules.empty() && required)
      warn(path + ".import", "is missing: require-policy accepts nothing from an external neighbor (RFC 8212)");
    else if (s.import_rules.empty() && bgp_.accept.empty())
      warn(path + ".import",
           "is missing, and so is bgp.accept: an external neighbor may announce any prefix but the default route and "
           "our own (RFC 8212)");
    if (s.export_rules.empty() && required)
      warn(path + ".export", "is missing: require-policy announces nothing to an external neighbor (RFC 8212)");
  }

  void check_group(const std::string& path, const std::string& name) {
    if (name.empty()) return;
    std::vector<std::string_view> names;
    for (const auto& group : bgp_.peer_groups) names.push_back(group.name);
    if (std::find(names.begin(), names.end(), name) != names.end()) return;
    std::string hint = did_you_mean(name, names);
    if (hint.empty() && names.empty()) hint = ": no peer group is configured";
    error(path + ".peer-group", fmt::format("no peer group {}{}", in_quotes(name), hint));
  }

  void check_neighbor(const std::string& path, const BgpNeighbor& peer) {
    const std::string address = peer.address.text();
    if (!neighbors_.insert(peer.address).second)
      error(path + ".address", fmt::format("{} is a neighbor twice", address));
    if (is_self_ip(peer.address)) error(path + ".address", fmt::format("{} is a self IP of our own", address));
    if (peer.address.is_zero() || peer.address.is_multicast() || peer.address.is_loopback() ||
        peer.address.is_broadcast())
      error(path + ".address", fmt::format("{} can be no neighbor's address", address));
    check_group(path, peer.peer_group);
    check_session(path, peer.session);
    const BgpSession session = effective(bgp_, peer.peer_group, peer.session);
    check_together(path, session);
    if (session.remote_as && *session.remote_as != bgp_.local_as && !on_connected_subnet(peer.address))
      warn(path + ".address",
           fmt::format("{} is an external neighbor on no subnet of ours: it needs a route and multihop on its side",
                       address));
  }

  void check_range(const std::string& path, const BgpListenRange& range) {
    if (!ranges_.insert(range.prefix).second)
      error(path + ".prefix", fmt::format("{} is a listen range twice", to_text(range.prefix)));
    if (range.prefix.length == 0)
      error(path + ".prefix", "would let everybody in: write the subnet that the nodes are on");
    check_group(path, range.peer_group);
    check_session(path, range.session);
    const BgpSession session = effective(bgp_, range.peer_group, range.session);
    if (range.session.passive && !*range.session.passive)
      error(path + ".passive", "cannot be false: who is not known by name must connect first");
    check_together(path, session);
  }

  void check_aggregate(const std::string& path, const BgpAggregate& aggregate) {
    if (aggregate.prefix.length == 0 || aggregate.prefix.length == 32)
      error(path + ".prefix", fmt::format("{} covers no virtual addresses: write the prefix that they are in",
                                          to_text(aggregate.prefix)));
    if (!aggregates_.insert(aggregate.prefix).second)
      error(path + ".prefix", fmt::format("{} is an aggregate twice", to_text(aggregate.prefix)));
    check_announcement(path, aggregate.announcement, findings_);
  }

  void check_owner(const std::string& path, const BgpBlockOwner& owner) {
    if (!owned_.insert(owner.prefix).second) error(path, fmt::format("{} has an owner already", to_text(owner.prefix)));
  }

  const Config& config_;
  const Bgp& bgp_;
  Findings& findings_;
  PrefixLists lists_;
  std::set<Ipv4Address> neighbors_;
  std::set<Ipv4Prefix> ranges_, aggregates_, owned_;
};

}  // namespace

void check_bgp(const Config& config, Findings& findings) {
  if (config.bgp.local_as != 0) BgpValidator(config, findings).run();
}

void check_announcement(const std::string& path, const Announcement& announcement, Findings& findings) {
  for (const std::string& community : announcement.communities)
    if (!parse_community(community) && !parse_large_community(community))
      findings.errors.push_back(
          {path + ".communities",
           fmt::format("{} is no community: write 64512:100, 64512:1:2 or a name such as no-export",
                       in_quotes(community))});
}

}  // namespace sluice::config
