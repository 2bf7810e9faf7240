// Sessions with their peer groups, prefix lists as values; see bgp.h.
#include "control/config/bgp.h"

#include <algorithm>

namespace sluice::config {

BgpSession effective(const Bgp& bgp, const std::string& peer_group, const BgpSession& own) {
  const auto group = std::find_if(bgp.peer_groups.begin(), bgp.peer_groups.end(),
                                  [&](const BgpPeerGroup& g) { return g.name == peer_group; });
  if (peer_group.empty() || group == bgp.peer_groups.end()) return own;
  BgpSession out = own;
  const BgpSession& from = group->session;
  const auto inherit = [&](auto BgpSession::*field) {
    auto& value = out.*field;
    if constexpr (requires { value.has_value(); }) {
      if (!value.has_value()) value = from.*field;
    } else {
      if (value.empty()) value = from.*field;
    }
  };
  const auto inherit_all = [&](auto... fields) { (inherit(fields), ...); };
  using S = BgpSession;
  inherit_all(&S::remote_as, &S::local_as, &S::port, &S::local_address, &S::hold_time, &S::keepalive, &S::connect_retry,
              &S::idle_hold, &S::idle_hold_max, &S::passive, &S::password, &S::bfd, &S::ttl_security, &S::multihop,
              &S::graceful_restart, &S::long_lived_graceful_restart, &S::add_path, &S::ipv6_unicast,
              &S::extended_next_hop, &S::extended_messages, &S::allow_as_in, &S::prefixes_max,
              &S::prefixes_warn_percent, &S::prefixes_restart, &S::role, &S::role_strict, &S::require_policy,
              &S::import_rules, &S::export_rules);
  // A hold time of its own comes with the keepalive that goes with it.
  if (own.hold_time && !own.keepalive) out.keepalive.reset();
  return out;
}

Duration keepalive_of(const BgpSession& session, Duration hold_time_default) {
  if (session.keepalive) return *session.keepalive;
  const Duration hold = session.hold_time.value_or(hold_time_default);
  return hold < 3s ? Duration(0s) : hold / 3 / 1s * 1s;
}

PrefixLists prefix_lists_of(const Bgp& bgp) {
  PrefixLists out;
  for (const BgpPrefixList& list : bgp.prefix_lists) {
    auto& matches = out[list.name];
    for (const std::string& text : list.prefixes)
      if (auto match = parse_prefix_match(text)) matches.push_back(*match);
  }
  return out;
}

}  // namespace sluice::config
