// Observer: whoever writes down what happens in the speaker (MRT logs, BMP) sees messages and states as they pass.
//
// Called by: speaker (calls it), control/bgp/mrt, control/bgp/bmp (implement it). Runs on: control thread; it must not
// call the speaker back. Tested by: tests/control/bgp/export_test.cc
#pragma once

#include <array>
#include <string>

#include "control/bgp/bytes.h"
#include "control/bgp/machine.h"
#include "control/bgp/wire.h"
#include "dataplane/base/time.h"

namespace sluice::bgp {

// A neighbour and one of its connections, as those outside name them.
struct PeerView {
  IpAddress address, local_address;  // local_address: zero before there is a connection
  std::uint16_t port = 0, local_port = 0;
  std::uint32_t as = 0, local_as = 0;
  std::uint32_t router_id = 0;  // 0: it has sent no OPEN yet
  ConnId conn = 0;
  bool four_octet_as = true;
  std::array<bool, kFamilyCount> add_path_receive{}, add_path_send{};
};

class Observer {
 public:
  virtual ~Observer() = default;
  // A whole message with its header, before it is judged.
  virtual void on_message(Instant now, const PeerView& peer, bool received, ByteSpan message) = 0;
  virtual void on_state(Instant now, const PeerView& peer, State from, State to) = 0;
  // Established is entered; left, with the NOTIFICATION (whole message, empty: none) and who ended it.
  virtual void on_up(Instant now, const PeerView& peer) = 0;
  struct End {
    bool local = false;           // we have ended it
    Bytes notification;           // sent (local) or received
    std::uint16_t fsm_event = 0;  // RFC 4271 8.1's number, of an end on our side without NOTIFICATION
  };
  virtual void on_down(Instant now, const PeerView& peer, const End& end) = 0;
};

}  // namespace sluice::bgp
