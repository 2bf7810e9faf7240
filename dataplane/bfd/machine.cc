// The session's state machine; see machine.h.
#include "dataplane/bfd/machine.h"

namespace sluice::bfd {
namespace {

Duration of_microseconds(std::uint32_t us) { return std::chrono::microseconds(us); }
std::uint32_t to_microseconds(Duration duration) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
}

}  // namespace

// §6.8.7: never more often than the neighbour wants to receive; 0 from it: nothing at all.
Duration Machine::transmit_interval() const {
  return remote_min_rx_ == Duration(0) ? Duration(0) : std::max(tx_in_use_, remote_min_rx_);
}

// §6.8.4
Duration Machine::detection_time() const { return remote_multiplier_ * std::max(rx_in_use_, remote_min_tx_); }

bool Machine::sends_periodically() const {
  if (remote_min_rx_ == Duration(0)) return false;
  return !(remote_demand_ && state_ == State::up && remote_state_ == State::up && !polling_);
}

// §6.8.7: up to a quarter less than the interval, so that sessions do not synchronize; with DetectMult 1 between a
// tenth and a quarter less, so that a packet that is late does not end the session at once.
void Machine::schedule_transmission(Instant now) {
  if (!sends_periodically()) {
    next_tx_ = kInstantMax;
    return;
  }
  const Duration interval = transmit_interval();
  const std::int64_t part = settings_.multiplier == 1 ? 750 + static_cast<std::int64_t>(random_.below(151))
                                                      : 750 + static_cast<std::int64_t>(random_.below(251));
  next_tx_ = std::max(now, (last_tx_ == Instant::min() ? now : last_tx_) + interval / 1000 * part);
}

void Machine::set_state(State state, Diagnostic diagnostic, Outcome& outcome) {
  if (state_ == state) return;
  state_ = state;
  diagnostic_ = diagnostic;
  outcome.changed = true;
  outcome.send = true;  // §6.8.7: what would differ from the packet before may go out of turn
}

// §6.8.3: a Poll Sequence tells of new intervals. While Up, sending less often than the neighbour knows of, and
// counting on more packets than it knows of, wait for its Final; everything else takes effect at once.
void Machine::intervals_changed(Instant now, Duration former_tx, Duration former_rx) {
  const Duration tx = wanted_tx();
  if (state_ != State::up) {
    polling_ = false;
    tx_in_use_ = tx;
    rx_in_use_ = settings_.min_rx;
  } else {
    if (tx != former_tx || settings_.min_rx != former_rx) polling_ = true;
    tx_in_use_ = std::min(tx_in_use_, tx);
    rx_in_use_ = std::max(rx_in_use_, settings_.min_rx);
  }
  if (next_tx_ != kInstantMax) next_tx_ = std::min(next_tx_, now + transmit_interval());
}

void Machine::end_poll() {
  polling_ = false;
  tx_in_use_ = wanted_tx();
  rx_in_use_ = settings_.min_rx;
}

Outcome Machine::configure(Instant now, const Settings& settings) {
  Outcome outcome;
  if (settings == settings_) return outcome;
  const Duration former_tx = wanted_tx(), former_rx = settings_.min_rx;
  settings_ = settings;
  if (is_admin_down()) return outcome;
  intervals_changed(now, former_tx, former_rx);
  outcome.send = true;
  last_tx_ = now;
  schedule_transmission(now);
  return outcome;
}

Outcome Machine::set_admin_down(Instant now, bool down) {
  Outcome outcome;
  if (down == is_admin_down()) return outcome;
  set_state(down ? State::admin_down : State::down, down ? Diagnostic::administratively_down : Diagnostic::none,
            outcome);
  polling_ = false;
  tx_in_use_ = wanted_tx();
  rx_in_use_ = settings_.min_rx;
  detection_deadline_ = kInstantMax;
  if (!down) {
    remote_discriminator_ = 0;
    remote_state_ = State::down;
  }
  last_tx_ = now;
  schedule_transmission(now);
  return outcome;
}

Outcome Machine::input(Instant now, const ControlPacket& packet) {
  Outcome outcome;
  const Duration former_interval = transmit_interval();
  const bool sent_before = sends_periodically();
  remote_discriminator_ = packet.my_discriminator;
  remote_state_ = packet.state;
  remote_diagnostic_ = packet.diagnostic;
  remote_independent_ = packet.control_plane_independent;
  remote_demand_ = packet.demand;
  remote_multiplier_ = packet.detect_multiplier;
  remote_min_tx_ = of_microseconds(packet.desired_min_tx_us);
  remote_min_rx_ = of_microseconds(packet.required_min_rx_us);
  if (packet.final && polling_) end_poll();

  const Duration former_tx = wanted_tx();
  if (packet.state == State::admin_down) {
    if (state_ != State::down) set_state(State::down, Diagnostic::neighbor_signaled_down, outcome);
  } else if (state_ == State::down) {
    if (packet.state == State::down) set_state(State::init, Diagnostic::none, outcome);
    if (packet.state == State::init) set_state(State::up, Diagnostic::none, outcome);
  } else if (state_ == State::init) {
    if (packet.state >= State::init) set_state(State::up, Diagnostic::none, outcome);
  } else if (packet.state == State::down) {
    set_state(State::down, Diagnostic::neighbor_signaled_down, outcome);
  }
  if (outcome.changed) intervals_changed(now, former_tx, settings_.min_rx);

  if (packet.poll) outcome.send = outcome.final = true;
  excused_ = false;
  detection_deadline_ = now + detection_time();
  if (outcome.send && !outcome.final) last_tx_ = now;
  if (outcome.changed || transmit_interval() != former_interval || sends_periodically() != sent_before) {
    schedule_transmission(now);
  }
  return outcome;
}

Outcome Machine::expire(Instant now) {
  Outcome outcome;
  if (now >= detection_deadline_) {
    if (now - detection_deadline_ > kLate && !excused_) {
      excused_ = true;
      detection_deadline_ = now + kExcuse;
    } else {
      detection_deadline_ = kInstantMax;
      remote_discriminator_ = 0;  // §6.8.1: forgotten when it has been silent for a detection time
      remote_min_rx_ = std::max<Duration>(remote_min_rx_, 1us);
      remote_demand_ = false;
      const Duration former_tx = wanted_tx();
      if (state_ == State::init || state_ == State::up) {
        set_state(State::down, Diagnostic::detection_time_expired, outcome);
        intervals_changed(now, former_tx, settings_.min_rx);
      }
      remote_state_ = State::down;
      if (next_tx_ == kInstantMax) next_tx_ = now;
    }
  }
  if (now >= next_tx_) outcome.send = true;
  if (outcome.send) {
    last_tx_ = now;
    schedule_transmission(now);
  }
  return outcome;
}

// §6.8.7. The C bit stays clear: a crash of the process takes both the worker and the control thread.
ControlPacket Machine::packet(bool final) const {
  ControlPacket out;
  out.diagnostic = diagnostic_;
  out.state = state_;
  out.poll = polling_ && !final;  // §6.8.6: never both
  out.final = final;
  out.detect_multiplier = static_cast<std::uint8_t>(settings_.multiplier);
  out.my_discriminator = local_discriminator_;
  out.your_discriminator = remote_discriminator_;
  out.desired_min_tx_us = to_microseconds(wanted_tx());
  out.required_min_rx_us = to_microseconds(settings_.min_rx);
  return out;
}

}  // namespace sluice::bfd
