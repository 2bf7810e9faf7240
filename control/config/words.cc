// The tables of words and the search for the word that was meant; see words.h.
#include "control/config/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace sluice::config {
namespace {

constexpr Word<Balance> kBalances[] = {
    {Balance::round_robin, "round-robin"},
    {Balance::ratio_member, "ratio-member"},
    {Balance::least_connections_member, "least-connections-member"},
    {Balance::least_connections_node, "least-connections-node"},
    {Balance::ratio_least_connections_member, "ratio-least-connections-member"},
    {Balance::weighted_least_connections_member, "weighted-least-connections-member"},
    {Balance::maglev, "consistent-hash"},
};
constexpr Word<MemberState> kMemberStates[] = {
    {MemberState::enabled, "enabled"},
    {MemberState::disabled, "disabled"},
    {MemberState::forced_offline, "offline"},
};
constexpr Word<ServiceDownAction> kServiceDownActions[] = {
    {ServiceDownAction::none, "none"},
    {ServiceDownAction::reject, "reject"},
    {ServiceDownAction::drop, "drop"},
    {ServiceDownAction::reselect, "reselect"},
};
constexpr Word<Protocol> kProtocols[] = {{Protocol::tcp, "tcp"}, {Protocol::udp, "udp"}};
constexpr Word<Mode> kModes[] = {{Mode::tcp, "tcp"}, {Mode::udp, "udp"}, {Mode::http, "http"}};
constexpr Word<SnatKind> kSnatKinds[] = {
    {SnatKind::automap, "automap"}, {SnatKind::pool, "pool"}, {SnatKind::none, "none"}};
constexpr Word<PersistKind> kPersistKinds[] = {{PersistKind::none, "none"},
                                               {PersistKind::source_address, "source-address"}};
constexpr Word<IcmpEcho> kIcmpEchoes[] = {
    {IcmpEcho::enabled, "enabled"}, {IcmpEcho::disabled, "disabled"}, {IcmpEcho::selective, "selective"}};
constexpr Word<RouteAdvertisement> kRouteAdvertisements[] = {
    {RouteAdvertisement::selective, "selective"},
    {RouteAdvertisement::any, "any"},
    {RouteAdvertisement::all, "all"},
    {RouteAdvertisement::always, "always"},
    {RouteAdvertisement::never, "never"},
    {RouteAdvertisement::selective, "enabled"},
    {RouteAdvertisement::never, "disabled"},
};
constexpr Word<AddPath> kAddPaths[] = {
    {AddPath::none, "none"}, {AddPath::receive, "receive"}, {AddPath::send, "send"}, {AddPath::both, "both"}};
constexpr Word<BgpRole> kBgpRoles[] = {
    {BgpRole::none, "none"},         {BgpRole::provider, "provider"},
    {BgpRole::route_server, "rs"},   {BgpRole::route_server_client, "rs-client"},
    {BgpRole::customer, "customer"}, {BgpRole::peer, "peer"},
};
constexpr Word<MonitorType> kMonitorTypes[] = {
    {MonitorType::http, "http"},
    {MonitorType::tcp, "tcp"},
    {MonitorType::tcp_half_open, "tcp-half-open"},
    {MonitorType::udp, "udp"},
    {MonitorType::gateway_icmp, "gateway-icmp"},
};
constexpr Word<PoolMemberType> kPoolMemberTypes[] = {{PoolMemberType::cluster, "cluster"},
                                                     {PoolMemberType::nodeport, "nodeport"}};
constexpr Word<CookiePersistKind> kCookiePersistKinds[] = {
    {CookiePersistKind::none, "none"}, {CookiePersistKind::insert, "insert"}, {CookiePersistKind::hashed, "hashed"}};
constexpr Word<HeaderRuleAction> kHeaderRuleActions[] = {
    {HeaderRuleAction::insert, "insert"}, {HeaderRuleAction::replace, "replace"}, {HeaderRuleAction::remove, "remove"}};
constexpr Word<HeaderRuleSide> kHeaderRuleSides[] = {{HeaderRuleSide::request, "request"},
                                                     {HeaderRuleSide::response, "response"}};
constexpr Word<ProxyProtocolIn> kProxyProtocolIns[] = {{ProxyProtocolIn::off, "off"},
                                                       {ProxyProtocolIn::required, "required"}};
constexpr Word<ProxyProtocolOut> kProxyProtocolOuts[] = {
    {ProxyProtocolOut::off, "off"}, {ProxyProtocolOut::v1, "v1"}, {ProxyProtocolOut::v2, "v2"}};
constexpr Word<FallbackAction> kFallbackActions[] = {{FallbackAction::reset, "reset"}, {FallbackAction::page, "page"}};
constexpr Word<AccessLog> kAccessLogs[] = {
    {AccessLog::off, "off"}, {AccessLog::sampled, "sampled"}, {AccessLog::full, "full"}};

// BIG-IP's names that Sluice does not have.
constexpr std::string_view kOtherBalances[] = {"ratio-node",
                                               "ratio-session",
                                               "ratio-least-connections-node",
                                               "weighted-least-connections-node",
                                               "least-sessions",
                                               "fastest-app-response",
                                               "fastest-node",
                                               "observed-member",
                                               "observed-node",
                                               "predictive-member",
                                               "predictive-node",
                                               "dynamic-ratio-member",
                                               "dynamic-ratio-node"};

// Edits (insert, delete, replace, swap of neighbours) from a to b, at most `limit` + 1.
std::size_t distance(std::string_view a, std::string_view b, std::size_t limit) {
  if (a.size() > b.size() + limit || b.size() > a.size() + limit) return limit + 1;
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(last, row);
  }
  return last[b.size()];
}

}  // namespace

template <>
std::span<const Word<Balance>> words<Balance>() {
  return kBalances;
}
template <>
std::span<const Word<MemberState>> words<MemberState>() {
  return kMemberStates;
}
template <>
std::span<const Word<ServiceDownAction>> words<ServiceDownAction>() {
  return kServiceDownActions;
}
template <>
std::span<const Word<Protocol>> words<Protocol>() {
  return kProtocols;
}
template <>
std::span<const Word<Mode>> words<Mode>() {
  return kModes;
}
template <>
std::span<const Word<SnatKind>> words<SnatKind>() {
  return kSnatKinds;
}
template <>
std::span<const Word<PersistKind>> words<PersistKind>() {
  return kPersistKinds;
}
template <>
std::span<const Word<IcmpEcho>> words<IcmpEcho>() {
  return kIcmpEchoes;
}
template <>
std::span<const Word<RouteAdvertisement>> words<RouteAdvertisement>() {
  return kRouteAdvertisements;
}
template <>
std::span<const Word<MonitorType>> words<MonitorType>() {
  return kMonitorTypes;
}
template <>
std::span<const Word<PoolMemberType>> words<PoolMemberType>() {
  return kPoolMemberTypes;
}
template <>
std::span<const Word<AddPath>> words<AddPath>() {
  return kAddPaths;
}
template <>
std::span<const Word<BgpRole>> words<BgpRole>() {
  return kBgpRoles;
}
template <>
std::span<const Word<CookiePersistKind>> words<CookiePersistKind>() {
  return kCookiePersistKinds;
}
template <>
std::span<const Word<HeaderRuleAction>> words<HeaderRuleAction>() {
  return kHeaderRuleActions;
}
template <>
std::span<const Word<HeaderRuleSide>> words<HeaderRuleSide>() {
  return kHeaderRuleSides;
}
template <>
std::span<const Word<ProxyProtocolIn>> words<ProxyProtocolIn>() {
  return kProxyProtocolIns;
}
template <>
std::span<const Word<ProxyProtocolOut>> words<ProxyProtocolOut>() {
  return kProxyProtocolOuts;
}
template <>
std::span<const Word<FallbackAction>> words<FallbackAction>() {
  return kFallbackActions;
}
template <>
std::span<const Word<AccessLog>> words<AccessLog>() {
  return kAccessLogs;
}

std::string explain_balance(std::string_view name) {
  const bool known = std::find(std::begin(kOtherBalances), std::end(kOtherBalances), name) != std::end(kOtherBalances);
  return known ? fmt::format("is a method of BIG-IP that Sluice does not have: write {}", names<Balance>())
               : fmt::format("is no balancing method: write {}", names<Balance>());
}

std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates) {
  std::string_view best;
  if (name.empty() || name.size() > 64) return best;
  std::size_t limit = std::min<std::size_t>(3, 1 + name.size() / 4);
  for (const auto candidate : candidates) {
    const std::size_t edits = distance(name, candidate, limit);
    if (edits > limit || (edits == limit && !best.empty())) continue;
    best = candidate;
    limit = edits;
  }
  return best;
}

std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates) {
  const auto best = nearest(name, candidates);
  return best.empty() ? "" : fmt::format(": did you mean \"{}\"?", best);
}

}  // namespace sluice::config
