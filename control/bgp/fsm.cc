// RFC 4271 8.2.2, state by state.
#include "control/bgp/fsm.h"

namespace sluice::bgp {
namespace {

constexpr std::uint32_t kRelease = kStopTimers | kDropTcp;
constexpr std::uint32_t kFail = kRelease | kIncrementRetryCounter | kStartIdleHold;

// The default of each state: "in response to any other event": a message that may not come now is an FSM error.
Transition unexpected(State state) {
  switch (state) {
    case State::idle:
    case State::connect:
    case State::active:
      return {State::idle, kFail};
    case State::open_sent:
      return {State::idle, kSendNotification | kFail, code::kFsm, fsm_error::kOpenSent};
    case State::open_confirm:
      return {State::idle, kSendNotification | kFail, code::kFsm, fsm_error::kOpenConfirm};
    case State::established:
      return {State::idle, kSendNotification | kFail | kDown, code::kFsm, fsm_error::kEstablished};
  }
  return {};
}

Transition idle(Event event) {
  switch (event) {
    case Event::manual_start:
    case Event::automatic_start:
      return {State::connect, kResetRetryCounter | kStartConnectRetry | kConnect};
    case Event::idle_hold_timer_expires:  // the counter is kept: the next failure waits longer
      return {State::connect, kStartConnectRetry | kConnect};
    case Event::manual_start_passive:
    case Event::automatic_start_passive:
      return {State::active, kResetRetryCounter | kStartConnectRetry};
    default:
      return {State::idle, 0};  // "the local system does not change its state"
  }
}

Transition connect(Event event) {
  switch (event) {
    case Event::manual_start:
    case Event::automatic_start:
    case Event::manual_start_passive:
    case Event::automatic_start_passive:
      return {State::connect, 0};
    case Event::manual_stop:
      return {State::idle, kRelease | kResetRetryCounter};
    case Event::connect_retry_timer_expires:
      return {State::connect, kDropTcp | kStartConnectRetry | kConnect};
    case Event::tcp_cr_acked:
    case Event::tcp_connection_confirmed:
      return {State::open_sent, kStopConnectRetry | kSendOpen | kStartLargeHold};
    case Event::tcp_connection_fails:  // without DelayOpen the RFC goes to Idle; we wait in Active for the retry timer,
      return {State::active, kDropTcp | kStartConnectRetry};  // so that the other side may connect meanwhile
    default:
      return unexpected(State::connect);
  }
}

Transition active(Event event) {
  switch (event) {
    case Event::manual_start:
    case Event::automatic_start:
    case Event::manual_start_passive:
    case Event::automatic_start_passive:
      return {State::active, 0};
    case Event::manual_stop:
      return {State::idle, kRelease | kResetRetryCounter};
    case Event::connect_retry_timer_expires:
      return {State::connect, kStartConnectRetry | kConnect};
    case Event::tcp_cr_acked:
    case Event::tcp_connection_confirmed:
      return {State::open_sent, kStopConnectRetry | kSendOpen | kStartLargeHold};
    case Event::tcp_connection_fails:
      return {State::active, kDropTcp | kStartConnectRetry};
    default:
      return unexpected(State::active);
  }
}

Transition open_sent(Event event) {
  switch (event) {
    case Event::manual_start:
    case Event::automatic_start:
    case Event::manual_start_passive:
    case Event::automatic_start_passive:
      return {State::open_sent, 0};
    case Event::manual_stop:
      return {State::idle, kSendNotification | kRelease | kResetRetryCounter, code::kCease, 0};
    case Event::automatic_stop:
      return {State::idle, kSendNotification | kFail, code::kCease, 0};
    case Event::hold_timer_expires:
      return {State::idle, kSendNotification | kFail, code::kHoldTimer, 0};
    case Event::tcp_connection_fails:
      return {State::active, kStopTimers | kDropTcp | kStartConnectRetry};
    case Event::bgp_open:
      return {State::open_confirm, kStopConnectRetry | kSendKeepalive | kStartKeepalive | kStartHold | kProcess};
    case Event::bgp_header_err:
    case Event::bgp_open_msg_err:
      return {State::idle, kSendNotification | kFail, code::kOpen, 0};
    case Event::open_collision_dump:
      return {State::idle, kSendNotification | kFail, code::kCease, cease::kCollision};
    case Event::notif_msg_ver_err:
      return {State::idle, kRelease | kStartIdleHold};
    case Event::notif_msg:  // the RFC calls it an FSM error; no NOTIFICATION answers one (RFC 4271 6.4)
      return {State::idle, kFail};
    default:
      return unexpected(State::open_sent);
  }
}

Transition open_confirm(Event event) {
  switch (event) {
    case Event::manual_start:
    case Event::automatic_start:
    case Event::manual_start_passive:
    case Event::automatic_start_passive:
      return {State::open_confirm, 0};
    case Event::manual_stop:
      return {State::idle, kSendNotification | kRelease | kResetRetryCounter, code::kCease, 0};
    case Event::automatic_stop:
      return {State::idle, kSendNotification | kFail, code::kCease, 0};
    case Event::hold_timer_expires:
      return {State::idle, kSendNotification | kFail, code::kHoldTimer, 0};
    case Event::keepalive_timer_expires:
      return {State::open_confirm, kSendKeepalive | kStartKeepalive};
    case Event::tcp_connection_fails:
    case Event::notif_msg:
      return {State::idle, kFail};
    case Event::notif_msg_ver_err:
      return {State::idle, kRelease | kStartIdleHold};
    case Event::bgp_header_err:
    case Event::bgp_open_msg_err:
      return {State::idle, kSendNotification | kFail, code::kOpen, 0};
    case Event::open_collision_dump:
      return {State::idle, kSendNotification | kFail, code::kCease, cease::kCollision};
    case Event::keepalive_msg:
      return {State::established, kRestartHold | kUp};
    default:
      return unexpected(State::open_confirm);
  }
}

Transition established(Event event) {
  switch (event) {
    case Event::manual_start:
    case Event::automatic_start:
    case Event::manual_start_passive:
    case Event::automatic_start_passive:
      return {State::established, 0};
    case Event::manual_stop:
      return {State::idle, kSendNotification | kRelease | kResetRetryCounter | kDown, code::kCease, cease::kShutdown};
    case Event::automatic_stop:
      return {State::idle, kSendNotification | kFail | kDown, code::kCease, 0};
    case Event::hold_timer_expires:
      return {State::idle, kSendNotification | kFail | kDown, code::kHoldTimer, 0};
    case Event::send_hold_timer_expires:
      return {State::idle, kSendNotification | kFail | kDown, code::kSendHoldTimer, 0};
    case Event::keepalive_timer_expires:
      return {State::established, kSendKeepalive | kStartKeepalive};
    case Event::tcp_connection_fails:
    case Event::notif_msg:
    case Event::notif_msg_ver_err:
      return {State::idle, kFail | kDown};
    case Event::bgp_header_err:
    case Event::update_msg_err:
    case Event::route_refresh_msg_err:
      return {State::idle, kSendNotification | kFail | kDown, code::kUpdate, 0};
    case Event::open_collision_dump:
      return {State::idle, kSendNotification | kFail | kDown, code::kCease, cease::kCollision};
    case Event::keepalive_msg:
      return {State::established, kRestartHold};
    case Event::update_msg:
      return {State::established, kRestartHold | kProcess};
    case Event::route_refresh_msg:
      return {State::established, kRestartHold | kProcess};
    default:
      return unexpected(State::established);
  }
}

}  // namespace

Transition transition(State state, Event event) {
  switch (state) {
    case State::idle:
      return idle(event);
    case State::connect:
      return connect(event);
    case State::active:
      return active(event);
    case State::open_sent:
      return open_sent(event);
    case State::open_confirm:
      return open_confirm(event);
    case State::established:
      return established(event);
  }
  return {};
}

std::string_view name_of(Event event) {
  switch (event) {
    case Event::manual_start:
      return "ManualStart";
    case Event::manual_stop:
      return "ManualStop";
    case Event::automatic_start:
      return "AutomaticStart";
    case Event::manual_start_passive:
      return "ManualStart_with_PassiveTcpEstablishment";
    case Event::automatic_start_passive:
      return "AutomaticStart_with_PassiveTcpEstablishment";
    case Event::automatic_stop:
      return "AutomaticStop";
    case Event::connect_retry_timer_expires:
      return "ConnectRetryTimer_Expires";
    case Event::hold_timer_expires:
      return "HoldTimer_Expires";
    case Event::keepalive_timer_expires:
      return "KeepaliveTimer_Expires";
    case Event::idle_hold_timer_expires:
      return "IdleHoldTimer_Expires";
    case Event::tcp_cr_acked:
      return "Tcp_CR_Acked";
    case Event::tcp_connection_confirmed:
      return "TcpConnectionConfirmed";
    case Event::tcp_connection_fails:
      return "TcpConnectionFails";
    case Event::bgp_open:
      return "BGPOpen";
    case Event::bgp_header_err:
      return "BGPHeaderErr";
    case Event::bgp_open_msg_err:
      return "BGPOpenMsgErr";
    case Event::open_collision_dump:
      return "OpenCollisionDump";
    case Event::notif_msg_ver_err:
      return "NotifMsgVerErr";
    case Event::notif_msg:
      return "NotifMsg";
    case Event::keepalive_msg:
      return "KeepAliveMsg";
    case Event::update_msg:
      return "UpdateMsg";
    case Event::update_msg_err:
      return "UpdateMsgErr";
    case Event::route_refresh_msg:
      return "RouteRefreshMsg";
    case Event::route_refresh_msg_err:
      return "RouteRefreshMsgErr";
    case Event::send_hold_timer_expires:
      return "SendHoldTimer_Expires";
  }
  return "";
}

}  // namespace sluice::bgp
