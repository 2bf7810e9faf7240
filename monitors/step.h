// What goes into the engine and what comes out of it: inputs from the network, commands to it, changes of health.
//
// Called by: control/io/probe_io (carries commands out, reports what happened), control/daemon (uses the changes).
// Runs on: control thread. Follows: -. Tested by: tests/monitors/engine_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/time.h"
#include "monitors/plan.h"

namespace sluice::monitors {

inline constexpr std::size_t kAnswerMax = 5120;  // bytes of an answer that count, status line and headers included
inline constexpr Duration kAnswerQuiet = 1s;     // an answer of unknown length has ended when nothing came for so long

// One connection (or datagram exchange) of one probe. Numbers are never reused: a late input for an attempt that is
// over is recognised and ignored.
struct AttemptId {
  std::uint32_t slot = 0;        // < Limits::in_flight_max: io may index an array with it
  std::uint32_t generation = 0;  // 0: no attempt
  friend constexpr auto operator<=>(const AttemptId&, const AttemptId&) = default;
};

enum class Transport : std::uint8_t {
  tcp,            // connect, exchange bytes, close
  tcp_half_open,  // connect; as soon as it is established, abort with RST
  udp,            // one connected socket; each datagram is an input
  icmp_echo,      // echo request with the sent bytes as payload; the payload of its reply is the input
};

// ---- out of the engine

struct Command {
  enum class Kind : std::uint8_t { open, send, close };
  Kind kind = Kind::open;
  AttemptId attempt;
  Transport transport = Transport::tcp;  // open
  Ipv4Endpoint to;                       // open; icmp_echo: port 0
  std::string_view bytes;                // send; valid until the engine is called again
};

enum class Health : std::uint8_t {
  unchecked,  // no monitor watches it
  checking,   // no verdict yet
  up,
  down,
};
std::string_view text(Health health);

struct Change {
  TargetKey key = 0;
  Health health = Health::checking;
  bool session_disabled = false;  // recv-disable matched: up, but only existing and persistent clients
  std::string reason;             // "http: No successful responses received before deadline. @2026/11/22 17:36:01. …"
};

// What one call of the engine asks for. Bounded: what does not fit comes with the next tick, which next_deadline()
// then asks for at once. The caller clears it once everything in it was done; its memory is kept.
struct Outputs {
  static constexpr std::size_t kCommandsMax = 256;
  static constexpr std::size_t kChangesMax = 256;

  std::vector<Command> commands;
  std::vector<Change> changes;

  Outputs() {
    commands.reserve(kCommandsMax);
    changes.reserve(kChangesMax);
  }
  void clear() {
    commands.clear();
    changes.clear();
  }
  bool empty() const { return commands.empty() && changes.empty(); }
};

// ---- into the engine

enum class CloseReason : std::uint8_t {
  eof,          // the peer finished in good order
  refused,      // RST to our SYN; ICMP port unreachable
  reset,        // RST later
  unreachable,  // ICMP host or network unreachable, no neighbour
  timed_out,    // the kernel gave up
  local_error,  // a fault of ours (no descriptor, no port, no permission): says nothing about the member
};

struct Input {
  enum class Kind : std::uint8_t { tick, connected, received, closed };
  Kind kind = Kind::tick;
  AttemptId attempt;                            // not for tick
  std::string_view bytes;                       // received
  CloseReason close_reason = CloseReason::eof;  // closed
  std::string_view detail;                      // closed by local_error: what went wrong, in words

  static Input tick() { return {}; }
  static Input connected(AttemptId attempt) { return {Kind::connected, attempt, {}, CloseReason::eof, {}}; }
  static Input received(AttemptId attempt, std::string_view bytes) {
    return {Kind::received, attempt, bytes, CloseReason::eof, {}};
  }
  static Input closed(AttemptId attempt, CloseReason reason, std::string_view detail = {}) {
    return {Kind::closed, attempt, {}, reason, detail};
  }
};

}  // namespace sluice::monitors
