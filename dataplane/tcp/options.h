// What a TCP endpoint of ours is told: limits, timers and which extensions it offers.
//
// Called by: lb/l7 (sets them from the virtual server), tcp (obeys). Runs on: workers. Follows: RFC 9293, 7323, 2018,
// 6298.
#pragma once

#include <cstdint>

#include "dataplane/base/time.h"
#include "dataplane/tcp/congestion/congestion.h"

namespace sluice::tcp {

struct Options {
  std::uint32_t receive_buffer_bytes = 256 * 1024;  // most bytes that wait for the application: the window offered
  std::uint32_t send_buffer_bytes = 256 * 1024;     // most bytes queued to be sent or acknowledged
  std::uint16_t mss_max = 1460;                     // our side's: egress MTU - 40
  bool timestamps = true;                           // RFC 7323
  bool sack = true;                                 // RFC 2018
  bool window_scale = true;                         // RFC 7323
  bool delayed_ack = true;                          // RFC 1122 4.2.3.2
  bool nagle = false;                               // a proxy forwards at once
  CongestionControl congestion = CongestionControl::cubic;
  Duration rto_min = 200ms;
  Duration delayed_ack_max = 40ms;
  Duration idle_timeout = 300s;      // no segment from the peer for so long: reset; 0: never
  Duration keepalive_interval = 0s;  // probes while idle; 0: none
  Duration connect_timeout = 5s;     // no SYN-ACK: give up
  Duration fin_wait_timeout = 5s;    // released, our FIN acknowledged, theirs does not come: reset; 0: never
  Duration time_wait = 2s;
  Duration zero_window_timeout = 20s;  // the peer's window stays shut for so long: reset
  std::uint8_t syn_retries_max = 4;
  std::uint8_t keepalive_probes_max = 9;  // unanswered: reset
  std::uint8_t retries_max = 8;  // retransmissions of one segment before the conn is given up (R2, RFC 1122 4.2.3.5)
};

}  // namespace sluice::tcp
