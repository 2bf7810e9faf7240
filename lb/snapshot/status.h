// Is it available, and why: the availability of member, pool, virtual server and virtual address in BIG-IP's words.
//
// Each level is made of the one below: member (its monitors, its node, its limit) -> pool -> virtual server -> virtual
// address. Pure functions of values.
// Called by: lb/snapshot/builder, control/admin (show). Runs on: control thread. Follows: F5 BIG-IP LTM.
// Tested by: tests/lb/snapshot/status_test.cc
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lb/snapshot/words.h"

namespace sluice::lb {

enum class Availability : std::uint8_t {
  available,    // green circle
  offline,      // red diamond
  unknown,      // blue square: no monitor, or no verdict yet
  unavailable,  // yellow triangle: a connection limit is reached
};
std::string_view name_of(Availability availability);

struct ObjectStatus {
  Availability availability = Availability::unknown;
  bool enabled = true;
  std::string reason;
  friend bool operator==(const ObjectStatus&, const ObjectStatus&) = default;
};

// What the monitors say of a member.
enum class MonitorStatus : std::uint8_t {
  unchecked,  // it has none
  checking,   // no verdict yet
  up,
  down,
};
std::string_view name_of(MonitorStatus status);  // "unchecked", "checking", "up", "down", as BIG-IP's `state`

struct MonitorVerdict {
  MonitorStatus status = MonitorStatus::unchecked;
  bool session_disabled = false;  // recv-disable matched: as if the user had disabled it
  std::string reason;  // the monitor's words: "/Common/http: No successful responses received before deadline."
};

// `connections` open now; limit 0: none.
ObjectStatus member_status(MemberState state, const MonitorVerdict& verdict, std::uint32_t connections,
                           std::uint32_t limit);
ObjectStatus pool_status(std::span<const ObjectStatus> members);
// `pool` null: the virtual server has none.
ObjectStatus virtual_server_status(bool enabled, const ObjectStatus* pool, std::uint32_t connections,
                                   std::uint32_t limit);
ObjectStatus virtual_address_status(std::span<const ObjectStatus> virtual_servers);

}  // namespace sluice::lb
