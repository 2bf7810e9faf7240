// The state machine against RFC 4271 8.2.2: every state with every event.
#include "control/bgp/fsm.h"

#include <gtest/gtest.h>

namespace sluice::bgp::fsm_test {
namespace {

constexpr State kStates[] = {State::idle,      State::connect,      State::active,
                             State::open_sent, State::open_confirm, State::established};
constexpr Event kEvents[] = {Event::manual_start,
                             Event::manual_stop,
                             Event::automatic_start,
                             Event::manual_start_passive,
                             Event::automatic_start_passive,
                             Event::automatic_stop,
                             Event::connect_retry_timer_expires,
                             Event::hold_timer_expires,
                             Event::keepalive_timer_expires,
                             Event::idle_hold_timer_expires,
                             Event::tcp_cr_acked,
                             Event::tcp_connection_confirmed,
                             Event::tcp_connection_fails,
                             Event::bgp_open,
                             Event::bgp_header_err,
                             Event::bgp_open_msg_err,
                             Event::open_collision_dump,
                             Event::notif_msg_ver_err,
                             Event::notif_msg,
                             Event::keepalive_msg,
                             Event::update_msg,
                             Event::update_msg_err,
                             Event::route_refresh_msg,
                             Event::route_refresh_msg_err,
                             Event::send_hold_timer_expires};

TEST(Fsm, InvariantsOfEveryPair) {
  for (const auto state : kStates) {
    for (const auto event : kEvents) {
      SCOPED_TRACE(std::string(name_of(state)) + " × " + std::string(name_of(event)));
      const auto t = transition(state, event);
      EXPECT_FALSE(name_of(event).empty());
      // Established is left and entered only with its actions.
      EXPECT_EQ(t.has(kDown), state == State::established && t.next != State::established);
      EXPECT_EQ(t.has(kUp), state != State::established && t.next == State::established);
      // From a state with a connection to one without: the connection is dropped and the timers stop.
      if (state >= State::open_sent && t.next < State::open_sent) {
        EXPECT_TRUE(t.has(kDropTcp));
        EXPECT_TRUE(t.has(kStopTimers));
      }
      // A NOTIFICATION is never answered by one (6.4), and is the last message of a connection.
      EXPECT_FALSE((event == Event::notif_msg || event == Event::notif_msg_ver_err) && t.has(kSendNotification));
      if (t.has(kSendNotification)) {
        EXPECT_TRUE(t.has(kDropTcp));
        EXPECT_GE(state, State::open_sent);
        EXPECT_NE(t.code, 0);
      }
      // Stopped stays stopped; a failure comes back by itself.
      if (event == Event::manual_stop) {
        EXPECT_EQ(t.next, State::idle);
        EXPECT_FALSE(t.has(kStartIdleHold));
      } else if (state != State::idle && t.next == State::idle) {
        EXPECT_TRUE(t.has(kStartIdleHold));
      }
    }
  }
}

TEST(Fsm, TheWayUp) {
  EXPECT_EQ(transition(State::idle, Event::automatic_start).next, State::connect);
  EXPECT_EQ(transition(State::idle, Event::automatic_start_passive).next, State::active);
  EXPECT_EQ(transition(State::connect, Event::tcp_cr_acked).next, State::open_sent);
  EXPECT_TRUE(transition(State::connect, Event::tcp_cr_acked).has(kStartLargeHold));
  EXPECT_EQ(transition(State::open_sent, Event::bgp_open).next, State::open_confirm);
  EXPECT_TRUE(transition(State::open_sent, Event::bgp_open).has(kSendKeepalive));
  EXPECT_EQ(transition(State::open_confirm, Event::keepalive_msg).next, State::established);
}

TEST(Fsm, UnexpectedMessagesHaveTheSubcodesOfRfc6608) {
  const struct {
    State state;
    Event event;
    std::uint8_t subcode;
  } cases[] = {{State::open_sent, Event::update_msg, 1},        {State::open_sent, Event::keepalive_msg, 1},
               {State::open_sent, Event::route_refresh_msg, 1}, {State::open_confirm, Event::update_msg, 2},
               {State::open_confirm, Event::bgp_open, 2},       {State::open_confirm, Event::route_refresh_msg, 2},
               {State::established, Event::bgp_open, 3}};
  for (const auto& c : cases) {
    const auto t = transition(c.state, c.event);
    EXPECT_EQ(t.next, State::idle);
    EXPECT_TRUE(t.has(kSendNotification));
    EXPECT_EQ(t.code, code::kFsm);
    EXPECT_EQ(t.subcode, c.subcode);
  }
}

TEST(Fsm, IdleIgnoresEverythingButStart) {
  for (const auto event : kEvents) {
    const bool start = event == Event::manual_start || event == Event::automatic_start ||
                       event == Event::manual_start_passive || event == Event::automatic_start_passive ||
                       event == Event::idle_hold_timer_expires;
    const auto t = transition(State::idle, event);
    EXPECT_EQ(t.next != State::idle, start);
    EXPECT_TRUE(start || t.actions == 0u);
  }
}

}  // namespace
}  // namespace sluice::bgp::fsm_test
