// The words of load balancing, as BIG-IP uses them: what a virtual server, pool or member can be set to.
//
// Called by: lb (decides by them), control/config (parses and prints them). Runs on: any thread. Follows: F5 BIG-IP
// LTM.
#pragma once

#include <cstdint>

#include "dataplane/base/time.h"

namespace sluice::lb {

enum class Balance : std::uint8_t {
  round_robin,
  ratio_member,
  least_connections_member,
  least_connections_node,
  ratio_least_connections_member,
  weighted_least_connections_member,
  maglev,  // "consistent-hash": source address to member, no state
};

enum class MemberState : std::uint8_t {
  enabled,
  disabled,        // existing and persistent connections only   (session user-disabled)
  forced_offline,  // existing connections only                  (state user-down)
};

enum class ServiceDownAction : std::uint8_t { none, reject, drop, reselect };

enum class Protocol : std::uint8_t { tcp, udp };
enum class Mode : std::uint8_t { tcp, udp, http };
enum class SnatKind : std::uint8_t { automap, pool, none };
enum class PersistKind : std::uint8_t { none, source_address };

struct IdleTimeouts {
  Duration established = 300s;
  Duration half_open = 10s;  // SYN seen, handshake not complete
  Duration closing = 5s;     // one FIN or both seen
  Duration time_wait = 2s;
  Duration udp = 60s;
  friend bool operator==(const IdleTimeouts&, const IdleTimeouts&) = default;
};

enum class IcmpEcho : std::uint8_t { enabled, disabled, selective };

}  // namespace sluice::lb
