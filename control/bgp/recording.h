// Recording: every input of the speaker, with its time, in a file that gives the same outputs when it is played again.
//
// The file: the 16 bytes "sluice-bgp-rec-1", then records {type u8, time u64, length u32, body}, numbers big-endian,
// times in nanoseconds of the recorder's monotonic clock. Bodies, by type:
//
//    1 configure   the configuration as YAML (its bgp and self-ips count), or nothing: the same as before
//    2 tick        -
//    3 connected   conn u64, local endpoint, remote endpoint     endpoint: address, port u16
//    4 failed      conn u64, reason                              address: family u8 (4, 6), 4 or 16 bytes
//    5 accepted    conn u64, local endpoint, remote endpoint     text: to the end of the body
//    6 received    conn u64, bytes
//    7 closed      conn u64, reason
//    8 written     conn u64, pending u64
//    9 path down   address, path_is_dead u8, reason
//   10 next hops   -
//   11 announce    prefix (address, length u8), LOCAL_PREF u32, has MED u8, MED u32, prepend u32, communities u32...
//   12 withdraw    prefix
//   13 shutdown    reason
//   14 clear       address
//   15 refresh     address
//   16 resend      address
//   32 resolved    address, reachable u8, connected u8, metric u32: what a next hop was found to be, from now on
//   33 outputs     hash u64 of what the input before caused
//
// 32 stands between an input and its 33. Passwords are not in it. What is new in a later version has a new type.
//
// Called by: speaker (Recorder), control/daemon (file), tests and `sluiced --replay-bgp` (replay). Runs on: control
// thread. Tested by: tests/control/bgp/recording_test.cc
#pragma once

#include <functional>
#include <map>
#include <string>

#include "control/bgp/speaker.h"

namespace sluice::bgp {

class Recorder {
 public:
  explicit Recorder(std::function<void(const Bytes&)> write);
  // The next configure() has this for its settings.
  void set_configuration(std::string yaml) { yaml_ = std::move(yaml); }

  // ---- the speaker
  void configure(Instant now);
  void step(Instant now, const Input& input);
  void announce(Instant now, const routing::IpPrefix& prefix, const AnnounceAttributes& attributes);
  void withdraw(Instant now, const routing::IpPrefix& prefix);
  void shutdown(Instant now, std::string_view reason);
  enum class Verb : std::uint8_t { clear = 14, refresh = 15, resend = 16 };
  void verb(Instant now, Verb verb, const IpAddress& peer);
  void resolved(const IpAddress& next_hop, const routing::NextHopState& state);
  void outputs(const Outputs& out, std::size_t actions_before, std::size_t routes_before);

 private:
  template <typename Body>
  void record(Instant now, std::uint8_t type, Body body);
  std::function<void(const Bytes&)> write_;
  std::string yaml_;
  Instant now_{};
  std::map<IpAddress, routing::NextHopState> resolved_;
};

// A hash of what came out from these places on (FNV-1a over a fixed form of every output).
std::uint64_t hash_of(const Outputs& out, std::size_t actions_before, std::size_t routes_before);

struct ReplayResult {
  std::size_t inputs = 0, bytes_received = 0, sessions_up = 0;
  std::uint64_t digest = 0;            // of all outputs, in order
  std::optional<std::size_t> differs;  // the first input (from 1) whose outputs are not those recorded
  std::string error;                   // the file is broken from some place on; empty: it is whole
};
// Plays a recording into a fresh speaker. `settings_of`: YAML to settings (nullopt: it cannot be read).
ReplayResult replay(ByteSpan file,
                    const std::function<std::optional<SpeakerSettings>(const std::string&)>& settings_of);

}  // namespace sluice::bgp
