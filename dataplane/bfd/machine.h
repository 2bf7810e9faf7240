// Machine: one BFD session as a pure state machine: time and packets in, packets and state changes out.
//
//   Machine machine(settings, my_discriminator, seed);
//   machine.start(now);
//   const Outcome outcome = machine.input(now, packet);         // a packet that the table gave to this session
//   const Outcome outcome = machine.expire(now);                // at machine.deadline()
//   if (outcome.send) transmit(machine.packet(outcome.final));
//
// Asynchronous mode, active role, no echo, no authentication, never asks for demand mode; a neighbour in demand mode is
// not sent periodic packets, as §6.8.7 wants it. State variables bear the RFC's names without "bfd.".
//
// Called by: bfd/table. Runs on: the worker that owns the session. Follows: RFC 5880 §6.
// Tested by: tests/dataplane/bfd/machine_test.cc
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/base/rng.h"
#include "dataplane/base/time.h"
#include "dataplane/bfd/packet.h"

namespace sluice::bfd {

inline constexpr Duration kSlowInterval = 1s;  // §6.8.3: while the session is not Up

inline constexpr Duration kLate = 10ms;    // what a worker that runs is never behind
inline constexpr Duration kExcuse = 20ms;  // enough turns to empty a receive queue

// What the user sets of a session.
struct Settings {
  Duration min_tx = 300ms;  // DesiredMinTxInterval
  Duration min_rx = 300ms;  // RequiredMinRxInterval
  unsigned multiplier = 3;  // DetectMult, 1..255
  friend bool operator==(const Settings&, const Settings&) = default;
};

// What a step asks its caller to do.
struct Outcome {
  bool send = false;     // transmit packet(final) now
  bool final = false;    // with the Final bit: it answers a Poll
  bool changed = false;  // SessionState is another one
};

class Machine {
 public:
  // `my_discriminator`: not 0, unique here, hard to guess. `seed`: of the jitter.
  Machine(const Settings& settings, std::uint32_t my_discriminator, std::uint64_t seed)
      : settings_(settings), local_discriminator_(my_discriminator), random_(seed) {}

  // Down, and the first packet soon: within a second, spread out by the jitter.
  void start(Instant now) { next_tx_ = now + kSlowInterval * static_cast<std::int64_t>(random_.below(1000)) / 1000; }
  // §6.8.3: new intervals take effect as the Poll Sequence lets them.
  Outcome configure(Instant now, const Settings& settings);
  // §6.8.16: down on our own account (the neighbour is told and shall not take it for a failure), and back again.
  Outcome set_admin_down(Instant now, bool down);

  // A packet that is for this session: §6.8.6 from "Set bfd.RemoteDiscr" on. Precondition: !is_admin_down().
  Outcome input(Instant now, const ControlPacket& packet);
  // What is due at deadline(): at most one packet. A caller that itself comes late (its thread had no core) may have
  // the missing packet in its receive queue: once in a row the detection time is then kExcuse longer.
  Outcome expire(Instant now);
  Instant deadline() const { return std::min(next_tx_, detection_deadline_); }

  // The packet to send now.
  ControlPacket packet(bool final) const;

  // ---- what people want to see
  State state() const { return state_; }
  State remote_state() const { return remote_state_; }
  Diagnostic diagnostic() const { return diagnostic_; }
  Diagnostic remote_diagnostic() const { return remote_diagnostic_; }
  bool is_admin_down() const { return state_ == State::admin_down; }
  bool remote_control_plane_independent() const { return remote_independent_; }
  bool is_polling() const { return polling_; }
  const Settings& settings() const { return settings_; }
  std::uint32_t local_discriminator() const { return local_discriminator_; }
  std::uint32_t remote_discriminator() const { return remote_discriminator_; }
  std::uint8_t remote_multiplier() const { return remote_multiplier_; }
  Duration remote_min_tx() const { return remote_min_tx_; }
  Duration remote_min_rx() const { return remote_min_rx_; }
  Duration transmit_interval() const;  // negotiated, before jitter; 0: nothing is sent
  Duration detection_time() const;     // 0: nothing has been received yet

 private:
  // DesiredMinTxInterval as we say it (§6.8.3) and as we use it.
  Duration wanted_tx() const {
    return state_ == State::up ? settings_.min_tx : std::max(settings_.min_tx, kSlowInterval);
  }
  bool sends_periodically() const;
  void set_state(State state, Diagnostic diagnostic, Outcome& outcome);
  void intervals_changed(Instant now, Duration former_tx, Duration former_rx);
  void schedule_transmission(Instant now);
  void end_poll();

  Settings settings_;
  State state_ = State::down;
  State remote_state_ = State::down;
  Diagnostic diagnostic_ = Diagnostic::none;
  Diagnostic remote_diagnostic_ = Diagnostic::none;
  std::uint32_t local_discriminator_;
  std::uint32_t remote_discriminator_ = 0;
  std::uint8_t remote_multiplier_ = 0;
  bool remote_independent_ = false;
  bool remote_demand_ = false;
  bool polling_ = false;
  bool excused_ = false;
  Duration remote_min_tx_{};
  Duration remote_min_rx_ = 1us;           // §6.8.1
  Duration tx_in_use_ = kSlowInterval;     // an increase while Up waits for the end of the Poll Sequence
  Duration rx_in_use_ = settings_.min_rx;  // so does a decrease of this one
  Instant next_tx_ = kInstantMax;
  Instant last_tx_ = Instant::min();
  Instant detection_deadline_ = kInstantMax;
  Rng random_;
};

}  // namespace sluice::bfd
