// The state machine of RFC 4271 8.2.2 as one pure function: state × event → next state and actions.
//
// Each connection of a neighbour has one (RFC 4271 8.2.1): the first does the connecting, a second lives while two
// connections collide. Timers and bytes are the session's; here is only what follows from what.
//
// Called by: session. Runs on: control thread. Follows: RFC 4271 8, RFC 6608, RFC 4724 5, RFC 9687.
// Tested by: tests/control/bgp/fsm_test.cc
#pragma once

#include <cstdint>
#include <string_view>

#include "control/bgp/wire.h"

namespace sluice::bgp {

// Numbered as RFC 4271 8.1 numbers them; optional ones that are not implemented are missing (see README.md).
enum class Event : std::uint8_t {
  manual_start = 1,
  manual_stop = 2,
  automatic_start = 3,
  manual_start_passive = 4,
  automatic_start_passive = 5,
  automatic_stop = 8,
  connect_retry_timer_expires = 9,
  hold_timer_expires = 10,
  keepalive_timer_expires = 11,
  idle_hold_timer_expires = 13,
  tcp_cr_acked = 16,
  tcp_connection_confirmed = 17,
  tcp_connection_fails = 18,
  bgp_open = 19,
  bgp_header_err = 21,
  bgp_open_msg_err = 22,
  open_collision_dump = 23,
  notif_msg_ver_err = 24,
  notif_msg = 25,
  keepalive_msg = 26,
  update_msg = 27,
  update_msg_err = 28,
  route_refresh_msg = 29,        // RFC 2918: as update_msg
  route_refresh_msg_err = 30,    // RFC 7313 5
  send_hold_timer_expires = 31,  // RFC 9687
};
std::string_view name_of(Event event);

// Bits of Transition::actions, carried out in this order.
enum Action : std::uint32_t {
  kStopConnectRetry = 1u << 0,
  kStartConnectRetry = 1u << 1,
  kConnect = 1u << 2,  // initiate a TCP connection
  kSendOpen = 1u << 3,
  kStartLargeHold = 1u << 4,  // 4 minutes
  kStartHold = 1u << 5,       // negotiated
  kStartKeepalive = 1u << 6,
  kSendKeepalive = 1u << 7,
  kSendNotification = 1u << 8,  // the one that came with the event, or Transition::code
  kDropTcp = 1u << 9,           // and release all that the connection held
  kStopTimers = 1u << 10,
  kResetRetryCounter = 1u << 11,
  kIncrementRetryCounter = 1u << 12,
  kStartIdleHold = 1u << 13,  // DampPeerOscillations: wait, then start again
  kUp = 1u << 14,             // Established is entered
  kDown = 1u << 15,           // Established is left
  kProcess = 1u << 16,        // the message is to be handled
  kRestartHold = 1u << 17,
};

struct Transition {
  State next = State::idle;
  std::uint32_t actions = 0;
  std::uint8_t code = 0;  // of the NOTIFICATION that kSendNotification sends if the event brought none
  std::uint8_t subcode = 0;

  bool has(Action action) const { return (actions & action) != 0; }
};

Transition transition(State state, Event event);

}  // namespace sluice::bgp
