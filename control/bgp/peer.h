// Peer and Connection: all that the speaker knows of one neighbour and of its one or two TCP connections.
//
// Called by: speaker_impl.h and the files that implement it. Runs on: control thread.
// Follows: RFC 4271 8.1 (mandatory session attributes), RFC 4724 4.2. Tested by: tests/control/bgp/speaker*_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/bgp/facts.h"
#include "control/bgp/machine.h"
#include "control/bgp/open.h"
#include "control/bgp/rib.h"
#include "control/bgp/settings.h"

namespace sluice::bgp {

// One connection and its state machine. A neighbour in Connect has a `conn` that is not open yet.
struct Connection {
  ConnId id = 0;
  State state = State::idle;
  bool outgoing = false;
  Endpoint local, remote;
  Bytes input;  // the incomplete message at the end of what was received
  OpenMessage local_open;
  std::optional<OpenMessage> remote_open;
  Negotiated negotiated;
  Instant hold_deadline = kInstantMax;
  Instant keepalive_deadline = kInstantMax;
  Instant send_hold_deadline = kInstantMax;  // RFC 9687: runs while the transport holds bytes of ours
  std::size_t pending = 0;                   // bytes in the transport
  std::size_t unwritten_since_report = 0;

  bool open() const { return state >= State::open_sent; }
};

// Why a neighbour is not being talked to.
enum class Hold : std::uint8_t { none, disabled, max_prefixes, no_self_ip };

struct Peer {
  IpAddress address;
  SessionSettings settings;
  bool enabled = true;
  bool dynamic = false;  // came by listen_ranges[range]
  std::size_t range = 0;
  PeerIndex index = 0;
  Hold hold = Hold::none;
  // [0]: the one that connects, and the only one that can be Established; [1]: a second one, while they collide.
  std::array<Connection, 2> conns;

  Instant connect_retry_deadline = kInstantMax;
  Instant idle_hold_deadline = kInstantMax;
  Instant refuse_until{};  // no incoming connection before it: a flapping neighbour costs one session a second
  Instant expiry_deadline = kInstantMax;  // dynamic: forgotten then
  unsigned retry_counter = 0;
  Instant wake = kInstantMax;  // its place in the queue of timers

  // Established
  Instant state_since{};
  std::size_t group = 0;           // update group
  std::uint64_t sent_version = 0;  // of our announcements
  std::uint64_t sync_target = 0;   // the table is being sent whole until here
  bool syncing = false, behind = false;
  // The sync answers ROUTE-REFRESH of these families: BoRR before it, EoRR behind it (RFC 7313).
  std::array<bool, kFamilyCount> refresh_answer{};
  bool refresh_begun = false;                      // BoRR has been sent
  std::array<bool, kFamilyCount> refresh_again{};  // asked for before our End-of-RIB: answered behind it
  std::array<bool, kFamilyCount> prefix_warning_given{};
  std::uint32_t announced = 0;
  std::array<bool, kFamilyCount> end_of_rib_received{}, refresh_running{};
  Instant refresh_deadline = kInstantMax;  // what was not refreshed until then goes, EoRR or not
  bool end_of_rib_sent = false;

  // graceful restart helper
  bool restarting = false;                              // its routes are stale
  std::array<bool, kFamilyCount> long_lived{};          // what is kept is long-lived stale
  std::array<bool, kFamilyCount> long_lived_expired{};  // its time ran out while the session was up again
  Instant stale_deadline = kInstantMax;
  std::array<Instant, kFamilyCount> long_lived_deadline{kInstantMax, kInstantMax};
  std::optional<GracefulRestart> remote_restart;  // of the session that went
  std::optional<LongLivedRestart> remote_long_lived;

  // Routes received that are not in the Rib as they came: refused ones, and the originals of those that policy
  // changed. Bounded: for show only.
  struct Aside {
    AttributeId attributes = 0;  // as received
    std::string_view refused;    // why; empty: accepted
  };
  std::map<std::pair<routing::IpPrefix, std::uint32_t>, Aside> aside;  // by prefix and path identifier

  // facts
  MessageCounts in, out;
  std::uint64_t bytes_in = 0, bytes_out = 0;
  std::optional<Instant> last_read, last_write;
  std::uint64_t rejected = 0, treated_as_withdraw = 0, discarded_attributes = 0;
  std::string last_update_error;
  Instant next_update_log{};
  std::uint32_t established_count = 0, dropped_count = 0;
  std::string last_reset;
  std::optional<Instant> last_reset_at;
  std::string last_error;  // of the attempt before: "connection refused"

  bool established() const { return conns[0].state == State::established; }
  State state() const { return std::max(conns[0].state, conns[1].state); }
  const Connection& main() const { return conns[1].state > conns[0].state ? conns[1] : conns[0]; }
  Connection* find(ConnId id) {
    for (auto& c : conns) {
      if (c.id == id && id != 0) return &c;
    }
    return nullptr;
  }
};

}  // namespace sluice::bgp
