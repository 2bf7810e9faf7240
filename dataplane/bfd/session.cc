// What a session tells other threads; see session.h.
#include "dataplane/bfd/session.h"

namespace sluice::bfd {
namespace {

// Fields of Session::states_, from bit 0.
constexpr unsigned kRemoteState = 2, kDiagnostic = 4, kRemoteDiagnostic = 9, kFailure = 14, kIndependent = 19,
                   kFailureIndependent = 20, kPolling = 21;

Duration duration_of(const Counter& counter) { return Duration(static_cast<std::int64_t>(counter.get())); }
std::uint64_t count_of(Duration duration) { return static_cast<std::uint64_t>(duration.count()); }

}  // namespace

void Session::publish(Instant now, State before) {
  std::uint32_t states = states_.load(std::memory_order_relaxed) & (0x1fu << kFailure | 1u << kFailureIndependent);
  const State state = machine_.state();
  const bool left = before == State::up && state == State::down;
  // RFC 5882 §3.2: a neighbour that is taken down by its operator has not failed.
  const bool failed = left && machine_.remote_state() != State::admin_down;
  if (failed) {
    states = static_cast<std::uint32_t>(machine_.diagnostic()) << kFailure |
             (machine_.remote_control_plane_independent() ? 1u << kFailureIndependent : 0u);
  }
  states |= static_cast<std::uint32_t>(state) | static_cast<std::uint32_t>(machine_.remote_state()) << kRemoteState |
            static_cast<std::uint32_t>(machine_.diagnostic()) << kDiagnostic |
            static_cast<std::uint32_t>(machine_.remote_diagnostic()) << kRemoteDiagnostic |
            (machine_.remote_control_plane_independent() ? 1u << kIndependent : 0u) |
            (machine_.is_polling() ? 1u << kPolling : 0u);
  if (state != before) since_.set(static_cast<std::uint64_t>(to_ns(now)));
  remote_discriminator_.set(machine_.remote_discriminator());
  remote_multiplier_.set(machine_.remote_multiplier());
  transmit_interval_.set(count_of(machine_.transmit_interval()));
  detection_time_.set(count_of(machine_.detection_time()));
  remote_min_tx_.set(count_of(machine_.remote_min_tx()));
  remote_min_rx_.set(count_of(machine_.remote_min_rx()));
  states_.store(states, std::memory_order_release);
  if (state == State::up && before != State::up) ups_.add();
  if (failed) failures_.add();  // last: whoever sees the count sees the reason (both are read in this order)
}

SessionFacts Session::facts() const {
  SessionFacts out;
  out.failures = static_cast<std::uint32_t>(failures_.get());
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint32_t states = states_.load(std::memory_order_acquire);
  out.state = static_cast<State>(states & 3);
  out.remote_state = static_cast<State>(states >> kRemoteState & 3);
  out.diagnostic = static_cast<Diagnostic>(states >> kDiagnostic & 0x1f);
  out.remote_diagnostic = static_cast<Diagnostic>(states >> kRemoteDiagnostic & 0x1f);
  out.failure = static_cast<Diagnostic>(states >> kFailure & 0x1f);
  out.remote_control_plane_independent = (states >> kIndependent & 1) != 0;
  out.failure_independent = (states >> kFailureIndependent & 1) != 0;
  out.polling = (states >> kPolling & 1) != 0;
  out.ups = static_cast<std::uint32_t>(ups_.get());
  out.since = instant_ns(static_cast<std::int64_t>(since_.get()));
  out.remote_discriminator = static_cast<std::uint32_t>(remote_discriminator_.get());
  out.remote_multiplier = static_cast<std::uint8_t>(remote_multiplier_.get());
  out.transmit_interval = duration_of(transmit_interval_);
  out.detection_time = duration_of(detection_time_);
  out.remote_min_tx = duration_of(remote_min_tx_);
  out.remote_min_rx = duration_of(remote_min_rx_);
  out.packets_in = packets_in_.get();
  out.packets_out = packets_out_.get();
  return out;
}

}  // namespace sluice::bfd
