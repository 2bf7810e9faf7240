// NOTIFICATION: the error that ends a session, as bytes and as words.
//
// Called by: codec, fsm, speaker. Runs on: any thread. Follows: RFC 4271 4.5 and 6, RFC 4486, 6608, 8203, 9003, 8538.
// Tested by: tests/control/bgp/codec_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "control/bgp/bytes.h"

namespace sluice::bgp {

struct Notification {
  std::uint8_t code = 0;
  std::uint8_t subcode = 0;
  Bytes data;

  // Cease 6/2 or 6/4 with words for the other operator (RFC 9003: at most 255 bytes of UTF-8, cut on a character).
  static Notification cease(std::uint8_t subcode, std::string_view reason = {});
  // "Cease/Administrative Shutdown: \"maintenance\"", "OPEN Message Error/Bad Peer AS". Text of the peer is made safe
  // to print: control characters and broken UTF-8 become '?'.
  std::string text() const;
  friend bool operator==(const Notification&, const Notification&) = default;
};

// Of the body (after the header); nullopt: too short.
std::optional<Notification> decode_notification(ByteSpan body);
// The whole message.
Bytes encode_notification(const Notification& notification);

}  // namespace sluice::bgp
