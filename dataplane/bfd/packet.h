// The BFD Control packet: 24 bytes that a UDP datagram carries; bytes to value with the checks that need no session.
//
//   ControlPacket packet;
//   if (const auto reason = decode(payload, packet)) return drops.drop(frame, *reason);
//
// Called by: bfd/table, tests. Runs on: workers. Follows: RFC 5880 §4.1 (format), §6.8.6 (checks, in its order).
// Tested by: tests/dataplane/bfd/packet_test.cc, tests/fuzz/bfd_fuzz.cc
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "dataplane/base/drop_reason.h"
#include "dataplane/wire/bytes.h"

namespace sluice::bfd {

inline constexpr std::uint16_t kSingleHopPort = 3784;  // RFC 5881 §4
inline constexpr std::uint16_t kMultihopPort = 4784;   // RFC 5883 §5
inline constexpr std::uint16_t kSourcePortFirst = 49152;
inline constexpr std::uint16_t kSourcePortLast = 65535;
inline constexpr std::size_t kControlLength = 24;  // without an authentication section

enum class State : std::uint8_t { admin_down = 0, down = 1, init = 2, up = 3 };
std::string_view name_of(State state);  // "AdminDown" "Down" "Init" "Up"

enum class Diagnostic : std::uint8_t {
  none = 0,
  detection_time_expired = 1,
  echo_failed = 2,
  neighbor_signaled_down = 3,
  forwarding_plane_reset = 4,
  path_down = 5,
  concatenated_path_down = 6,
  administratively_down = 7,
  reverse_concatenated_path_down = 8,
};
std::string_view text_of(Diagnostic diagnostic);  // "control detection time expired"; "reserved" above 8

struct ControlPacket {
  Diagnostic diagnostic = Diagnostic::none;
  State state = State::down;
  bool poll = false;
  bool final = false;
  bool control_plane_independent = false;  // C
  bool demand = false;
  std::uint8_t detect_multiplier = 3;
  std::uint32_t my_discriminator = 0;
  std::uint32_t your_discriminator = 0;
  std::uint32_t desired_min_tx_us = 0;
  std::uint32_t required_min_rx_us = 0;
  std::uint32_t required_min_echo_rx_us = 0;
  friend bool operator==(const ControlPacket&, const ControlPacket&) = default;
};

// `payload`: what is behind the UDP header, all of it. Nullopt: `out` is filled in; otherwise why it must be discarded.
// No session of ours uses authentication: packets that carry it are refused (§6.8.6).
std::optional<DropReason> decode(wire::ConstBytes payload, ControlPacket& out);
std::array<std::uint8_t, kControlLength> encode(const ControlPacket& packet);

}  // namespace sluice::bfd
