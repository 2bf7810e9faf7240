// Session: one BFD session as the worker that owns it and the control thread that made it share it.
//
// The control thread makes a Session, has the worker insert it into its Table by a Task, reads facts() at any time, and
// has it erased before it goes. Nothing of a session is locked: the worker publishes what others may read as atomics.
//
// Called by: bfd/table (worker), control/daemon (makes and reads it). Runs on: see each member.
// Follows: RFC 5881 §4 and RFC 5883 §4 (what tells sessions apart). Tested by: tests/dataplane/bfd/table_test.cc
#pragma once

#include <atomic>

#include "dataplane/base/address.h"
#include "dataplane/base/counter.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/bfd/machine.h"

namespace sluice::bfd {

struct SessionKey {
  Ipv4Address local, remote;
  bool multihop = false;
  friend auto operator<=>(const SessionKey&, const SessionKey&) = default;
};

// The worker that owns the sessions with this neighbour: what others receive of it they hand over.
inline unsigned owner_of(Ipv4Address remote, unsigned workers) {
  return hash_to_range(hash_address(HashSeed{}, remote), workers);
}

// A session as others see it; each field is right by itself, all of them together nearly.
struct SessionFacts {
  State state = State::down, remote_state = State::down;
  Diagnostic diagnostic = Diagnostic::none, remote_diagnostic = Diagnostic::none;
  bool remote_control_plane_independent = false, polling = false;
  std::uint32_t failures = 0;  // times the session left Up without anybody's wish
  std::uint32_t ups = 0;
  Diagnostic failure = Diagnostic::none;  // of the last one
  bool failure_independent = false;       // the neighbour's C bit then
  Instant since{};                        // in this state
  std::uint32_t remote_discriminator = 0;
  std::uint8_t remote_multiplier = 0;
  Duration transmit_interval{}, detection_time{}, remote_min_tx{}, remote_min_rx{};
  std::uint64_t packets_in = 0, packets_out = 0;
};

class Session {
 public:
  Session(const SessionKey& key, std::uint16_t src_port, const Settings& settings, std::uint32_t discriminator,
          std::uint64_t seed)
      : key_(key), src_port_(src_port), machine_(settings, discriminator, seed) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // ---- any thread
  const SessionKey& key() const { return key_; }
  std::uint16_t src_port() const { return src_port_; }
  std::uint32_t discriminator() const { return machine_.local_discriminator(); }
  SessionFacts facts() const;

 private:
  friend class Table;
  // The worker: what facts() reads. `before`: the state before the step.
  void publish(Instant now, State before);

  struct Wakeup : Timer {
    Session* session = nullptr;
  };

  const SessionKey key_;
  const std::uint16_t src_port_;
  Machine machine_;
  Wakeup timer_;
  Session* next_by_discriminator_ = nullptr;
  Session* next_by_key_ = nullptr;
  bool inserted_ = false;

  std::atomic<std::uint32_t> states_{0x05};  // see publish()
  Counter failures_, ups_, since_, remote_discriminator_, remote_multiplier_;
  Counter transmit_interval_, detection_time_, remote_min_tx_, remote_min_rx_;
  Counter packets_in_, packets_out_;
};

}  // namespace sluice::bfd
