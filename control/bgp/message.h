// Messages on a stream: the 19-byte header, how to find the next message, and the two messages without a body.
//
// Called by: speaker, codec files. Runs on: any thread. Follows: RFC 4271 4.1, 4.4, 6.1; RFC 2918, 7313; RFC 8654.
// Tested by: tests/control/bgp/codec_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <variant>

#include "control/bgp/bytes.h"
#include "control/bgp/notification.h"
#include "control/bgp/wire.h"

namespace sluice::bgp {

struct Frame {
  MessageType type;
  ByteSpan body;     // after the header
  ByteSpan message;  // with the header
};
struct NeedMore {};
// The next message at the front of `bytes`; or more bytes are needed; or the stream is broken (RFC 4271 6.1).
using FrameResult = std::variant<NeedMore, Frame, Notification>;
FrameResult next_frame(ByteSpan bytes, std::size_t message_max);
// How many bytes the message that begins with `bytes` lacks: first to its header's end, then to its own.
std::size_t missing_bytes(ByteSpan bytes);

// Writes a header whose length finish() fills in.
class MessageWriter : public Writer {
 public:
  MessageWriter(Bytes& out, MessageType type) : Writer(out), start_(out.size()) {
    out.insert(out.end(), 16, 0xff);
    u16(0);
    u8(static_cast<unsigned>(type));
  }
  std::size_t length() const { return size() - start_; }
  void finish() { patch_u16(start_ + 16, length()); }

 private:
  std::size_t start_;
};

Bytes encode_keepalive();

enum class RefreshKind : std::uint8_t { request = 0, begin = 1, end = 2 };  // RFC 7313
struct RouteRefresh {
  std::uint16_t afi = 0;
  std::uint8_t kind = 0;  // RefreshKind; others are ignored
  std::uint8_t safi = 0;
};
// Notification: RFC 7313 5 (wrong length).
std::variant<RouteRefresh, Notification> decode_route_refresh(const Frame& frame);
Bytes encode_route_refresh(Family family, RefreshKind kind = RefreshKind::request);

}  // namespace sluice::bgp
