// The BFD Control packet's bytes; see packet.h.
#include "dataplane/bfd/packet.h"

namespace sluice::bfd {
namespace {

constexpr std::uint8_t kVersion = 1;
// Bits of the second byte.
constexpr std::uint8_t kPoll = 0x20, kFinal = 0x10, kControlPlaneIndependent = 0x08, kAuthentication = 0x04,
                       kDemand = 0x02, kMultipoint = 0x01;

}  // namespace

std::string_view name_of(State state) {
  constexpr std::string_view kNames[] = {"AdminDown", "Down", "Init", "Up"};
  return kNames[static_cast<std::size_t>(state) & 3];
}

std::string_view text_of(Diagnostic diagnostic) {
  constexpr std::string_view kTexts[] = {"no diagnostic",
                                         "control detection time expired",
                                         "echo function failed",
                                         "neighbor signaled session down",
                                         "forwarding plane reset",
                                         "path down",
                                         "concatenated path down",
                                         "administratively down",
                                         "reverse concatenated path down"};
  const auto at = static_cast<std::size_t>(diagnostic);
  return at < std::size(kTexts) ? kTexts[at] : "reserved";
}

std::optional<DropReason> decode(wire::ConstBytes payload, ControlPacket& out) {
  if (payload.size() < kControlLength) return DropReason::bfd_bad_length;
  const std::uint8_t* p = payload.data();
  if (p[0] >> 5 != kVersion) return DropReason::bfd_bad_version;
  const bool authenticated = (p[1] & kAuthentication) != 0;
  const std::size_t length = p[3];
  // An authentication section has two bytes at least.
  if (length < kControlLength + (authenticated ? 2 : 0) || length > payload.size()) return DropReason::bfd_bad_length;
  if (p[2] == 0) return DropReason::bfd_zero_multiplier;
  if ((p[1] & kMultipoint) != 0) return DropReason::bfd_multipoint;
  out.diagnostic = static_cast<Diagnostic>(p[0] & 0x1f);
  out.state = static_cast<State>(p[1] >> 6);
  out.poll = (p[1] & kPoll) != 0;
  out.final = (p[1] & kFinal) != 0;
  out.control_plane_independent = (p[1] & kControlPlaneIndependent) != 0;
  out.demand = (p[1] & kDemand) != 0;
  out.detect_multiplier = p[2];
  out.my_discriminator = wire::load_be32(p + 4);
  out.your_discriminator = wire::load_be32(p + 8);
  out.desired_min_tx_us = wire::load_be32(p + 12);
  out.required_min_rx_us = wire::load_be32(p + 16);
  out.required_min_echo_rx_us = wire::load_be32(p + 20);
  if (out.my_discriminator == 0) return DropReason::bfd_zero_discriminator;
  if (out.your_discriminator == 0 && out.state > State::down) return DropReason::bfd_bad_state;
  if (authenticated) return DropReason::bfd_authentication;
  return std::nullopt;
}

std::array<std::uint8_t, kControlLength> encode(const ControlPacket& packet) {
  std::array<std::uint8_t, kControlLength> out{};
  out[0] = static_cast<std::uint8_t>(kVersion << 5 | (static_cast<unsigned>(packet.diagnostic) & 0x1f));
  out[1] = static_cast<std::uint8_t>(
      static_cast<unsigned>(packet.state) << 6 | (packet.poll ? kPoll : 0) | (packet.final ? kFinal : 0) |
      (packet.control_plane_independent ? kControlPlaneIndependent : 0) | (packet.demand ? kDemand : 0));
  out[2] = packet.detect_multiplier;
  out[3] = kControlLength;
  wire::store_be32(out.data() + 4, packet.my_discriminator);
  wire::store_be32(out.data() + 8, packet.your_discriminator);
  wire::store_be32(out.data() + 12, packet.desired_min_tx_us);
  wire::store_be32(out.data() + 16, packet.required_min_rx_us);
  wire::store_be32(out.data() + 20, packet.required_min_echo_rx_us);
  return out;
}

}  // namespace sluice::bfd
