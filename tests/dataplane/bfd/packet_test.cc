// BFD Control packets as bytes: what RFC 5880 §4.1 draws, and every check of §6.8.6 that needs no session.
#include "dataplane/bfd/packet.h"

#include <gtest/gtest.h>

#include <vector>

namespace sluice::bfd {
namespace {

// Version 1, diagnostic 3; Init, Poll, C; multiplier 5; 24 bytes; mine 0x01020304, yours 0x0a0b0c0d; 1 s, 300 ms, 0.
const std::vector<std::uint8_t> kBytes = {0x23, 0xa8, 0x05, 0x18, 0x01, 0x02, 0x03, 0x04, 0x0a, 0x0b, 0x0c, 0x0d,
                                          0x00, 0x0f, 0x42, 0x40, 0x00, 0x04, 0x93, 0xe0, 0x00, 0x00, 0x00, 0x00};

std::optional<DropReason> refused(std::vector<std::uint8_t> bytes) {
  ControlPacket packet;
  return decode(bytes, packet);
}
std::vector<std::uint8_t> with(std::size_t at, std::uint8_t value) {
  auto bytes = kBytes;
  bytes[at] = value;
  return bytes;
}

TEST(BfdPacket, BytesOfTheRfc) {
  ControlPacket packet;
  ASSERT_EQ(decode(kBytes, packet), std::nullopt);
  EXPECT_EQ(packet.diagnostic, Diagnostic::neighbor_signaled_down);
  EXPECT_EQ(packet.state, State::init);
  EXPECT_TRUE(packet.poll);
  EXPECT_FALSE(packet.final);
  EXPECT_TRUE(packet.control_plane_independent);
  EXPECT_FALSE(packet.demand);
  EXPECT_EQ(packet.detect_multiplier, 5);
  EXPECT_EQ(packet.my_discriminator, 0x01020304u);
  EXPECT_EQ(packet.your_discriminator, 0x0a0b0c0du);
  EXPECT_EQ(packet.desired_min_tx_us, 1'000'000u);
  EXPECT_EQ(packet.required_min_rx_us, 300'000u);
  EXPECT_EQ(packet.required_min_echo_rx_us, 0u);
  const auto again = encode(packet);
  EXPECT_EQ(std::vector<std::uint8_t>(again.begin(), again.end()), kBytes);
}

// RFC 5880 §6.8.6, in its order.
TEST(BfdPacket, Section6_8_6_Validity) {
  EXPECT_EQ(refused(with(0, 0x03)), DropReason::bfd_bad_version);
  EXPECT_EQ(refused(with(0, 0x43)), DropReason::bfd_bad_version);
  EXPECT_EQ(refused(with(3, 23)), DropReason::bfd_bad_length);
  EXPECT_EQ(refused(with(3, 0)), DropReason::bfd_bad_length);
  EXPECT_EQ(refused(with(3, 25)), DropReason::bfd_bad_length);  // beyond the datagram
  EXPECT_EQ(refused({kBytes.begin(), kBytes.begin() + 23}), DropReason::bfd_bad_length);
  EXPECT_EQ(refused({}), DropReason::bfd_bad_length);
  EXPECT_EQ(refused(with(2, 0)), DropReason::bfd_zero_multiplier);
  EXPECT_EQ(refused(with(1, 0xa9)), DropReason::bfd_multipoint);
  auto bytes = kBytes;
  std::fill_n(bytes.begin() + 4, 4, std::uint8_t{0});
  EXPECT_EQ(refused(bytes), DropReason::bfd_zero_discriminator);
}

TEST(BfdPacket, Section6_8_6_YourDiscriminatorZeroOnlyWhileDown) {
  for (const unsigned state : {0u, 1u, 2u, 3u}) {
    auto bytes = with(1, static_cast<std::uint8_t>(state << 6));
    std::fill_n(bytes.begin() + 8, 4, std::uint8_t{0});
    EXPECT_EQ(refused(bytes), state <= 1 ? std::nullopt : std::optional(DropReason::bfd_bad_state)) << state;
  }
}

TEST(BfdPacket, Section6_8_6_AuthenticationIsRefused) {
  auto bytes = with(1, 0xac);
  EXPECT_EQ(refused(bytes), DropReason::bfd_bad_length);  // the section's two bytes are missing
  bytes[3] = 28;
  bytes.insert(bytes.end(), {1, 4, 1, 'x'});
  EXPECT_EQ(refused(bytes), DropReason::bfd_authentication);
}

// RFC 5880 §4.1: bytes behind the packet are the transport's business.
TEST(BfdPacket, PaddingBehindIsIgnored) {
  auto bytes = kBytes;
  bytes.resize(64, 0xff);
  EXPECT_EQ(refused(bytes), std::nullopt);
}

TEST(BfdPacket, Words) {
  EXPECT_EQ(name_of(State::admin_down), "AdminDown");
  EXPECT_EQ(name_of(State::up), "Up");
  EXPECT_EQ(text_of(Diagnostic::detection_time_expired), "control detection time expired");
  EXPECT_EQ(text_of(static_cast<Diagnostic>(9)), "reserved");
  EXPECT_EQ(text_of(static_cast<Diagnostic>(31)), "reserved");
}

}  // namespace
}  // namespace sluice::bfd
