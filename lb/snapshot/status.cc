// The availability rules and the words of each; see status.h.
#include "lb/snapshot/status.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::lb {
namespace {

constexpr std::string_view kChildrenDown = "The children pool member(s) are down";
constexpr std::string_view kChildrenUnknown =
    "The children pool member(s) either don't have service checking enabled, or service check results are not "
    "available yet";
constexpr std::string_view kChildrenDisabled = "The children pool member(s) might be disabled";
constexpr std::string_view kChildrenFull = "The children pool member(s) are at their connection limit";

ObjectStatus make(Availability availability, bool enabled, std::string_view reason) {
  return {availability, enabled, std::string(reason)};
}

bool any(std::span<const ObjectStatus> all, Availability availability) {
  return std::ranges::any_of(all, [&](const ObjectStatus& s) { return s.enabled && s.availability == availability; });
}

}  // namespace

std::string_view name_of(Availability availability) {
  constexpr std::string_view kNames[] = {"available", "offline", "unknown", "unavailable"};
  return kNames[static_cast<std::size_t>(availability)];
}

std::string_view name_of(MonitorStatus status) {
  constexpr std::string_view kNames[] = {"unchecked", "checking", "up", "down"};
  return kNames[static_cast<std::size_t>(status)];
}

ObjectStatus member_status(MemberState state, const MonitorVerdict& verdict, std::uint32_t connections,
                           std::uint32_t limit) {
  if (state == MemberState::forced_offline) return make(Availability::offline, false, "Forced down");
  const bool enabled = state == MemberState::enabled && !verdict.session_disabled;
  const std::string_view tail = enabled                          ? ""
                                : state == MemberState::disabled ? ", user disabled"
                                                                 : ", monitor disabled";
  switch (verdict.status) {
    case MonitorStatus::down:
      return make(
          Availability::offline, enabled,
          fmt::format("Pool member has been marked down by a monitor{}{}{}{}", verdict.reason.empty() ? "" : " (",
                      verdict.reason, verdict.reason.empty() ? "" : ")", tail));
    case MonitorStatus::unchecked:
      if (limit == 0 || connections < limit) {
        return make(Availability::unknown, enabled,
                    fmt::format("Pool member does not have service checking enabled{}", tail));
      }
      break;
    case MonitorStatus::checking:
      return make(Availability::unknown, enabled,
                  fmt::format("Pool member service check results are not available yet{}", tail));
    case MonitorStatus::up:
      break;
  }
  if (limit != 0 && connections >= limit) {
    return make(Availability::unavailable, enabled,
                fmt::format("Pool member has reached its connection limit{}", tail));
  }
  return make(Availability::available, enabled, fmt::format("Pool member is available{}", tail));
}

ObjectStatus pool_status(std::span<const ObjectStatus> members) {
  if (any(members, Availability::available)) return make(Availability::available, true, "The pool is available");
  if (members.empty() || any(members, Availability::unknown))
    return make(Availability::unknown, true, kChildrenUnknown);
  if (any(members, Availability::unavailable)) return make(Availability::unavailable, true, kChildrenFull);
  // A member that is down is down whether or not it is disabled; one that is up but disabled is the user's doing.
  const bool fit_but_disabled = std::ranges::any_of(
      members, [](const ObjectStatus& s) { return !s.enabled && s.availability != Availability::offline; });
  return make(Availability::offline, true, fit_but_disabled ? kChildrenDisabled : kChildrenDown);
}

ObjectStatus virtual_server_status(bool enabled, const ObjectStatus* pool, std::uint32_t connections,
                                   std::uint32_t limit) {
  ObjectStatus status = pool == nullptr ? make(Availability::unknown, enabled, kChildrenUnknown) : *pool;
  if (status.availability == Availability::available) {
    status.reason = "The virtual server is available";
    if (limit != 0 && connections >= limit) {
      status = make(Availability::unavailable, enabled, "The virtual server has reached its connection limit");
    }
  }
  status.enabled = enabled;
  if (!enabled) status.reason += ", user disabled";
  return status;
}

ObjectStatus virtual_address_status(std::span<const ObjectStatus> virtual_servers) {
  const bool enabled =
      virtual_servers.empty() || std::ranges::any_of(virtual_servers, [](const ObjectStatus& s) { return s.enabled; });
  if (any(virtual_servers, Availability::available)) {
    return make(Availability::available, enabled, "A virtual server on this address is available");
  }
  for (const auto availability : {Availability::unknown, Availability::unavailable, Availability::offline}) {
    for (const ObjectStatus& s : virtual_servers) {
      if (s.availability == availability && (s.enabled || !enabled)) return make(availability, enabled, s.reason);
    }
  }
  if (virtual_servers.empty()) return make(Availability::unknown, true, "No virtual server uses this address");
  return make(Availability::offline, enabled, "Every virtual server on this address is disabled");
}

}  // namespace sluice::lb
