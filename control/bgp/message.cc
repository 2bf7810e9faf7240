// Messages on a stream: framing and its errors; KEEPALIVE and ROUTE-REFRESH.
#include "control/bgp/message.h"

#include <algorithm>

namespace sluice::bgp {
namespace {

// RFC 4271 6.1: the least length of each type; KEEPALIVE's is exact.
std::size_t length_min(std::uint8_t type) {
  constexpr std::size_t kMin[] = {0, 29, 23, 21, 19, 19};
  return kMin[type];
}

Notification bad_length(ByteSpan header) {
  return {code::kHeader, header_error::kBadLength, Bytes(header.begin() + 16, header.begin() + 18)};
}

}  // namespace

FrameResult next_frame(ByteSpan bytes, std::size_t message_max) {
  // The marker is checked as it comes, so that a stranger's stream is refused at once.
  const auto marker = bytes.first(std::min<std::size_t>(bytes.size(), 16));
  if (std::any_of(marker.begin(), marker.end(), [](std::uint8_t b) { return b != 0xff; })) {
    return Notification{code::kHeader, header_error::kNotSynchronized, {}};
  }
  if (bytes.size() < kHeaderSize) return NeedMore{};
  const std::size_t length = std::size_t{bytes[16]} << 8 | bytes[17];
  const auto type = bytes[18];
  if (type < 1 || type > 5) return Notification{code::kHeader, header_error::kBadType, {type}};
  // RFC 8654 4: OPEN and KEEPALIVE never exceed 4,096 bytes.
  const bool may_be_long =
      type != static_cast<std::uint8_t>(MessageType::open) && type != static_cast<std::uint8_t>(MessageType::keepalive);
  if (length < length_min(type) || length > (may_be_long ? message_max : kMessageMax)) return bad_length(bytes);
  if (type == static_cast<std::uint8_t>(MessageType::keepalive) && length != kHeaderSize) return bad_length(bytes);
  if (bytes.size() < length) return NeedMore{};
  const auto message = bytes.first(length);
  return Frame{static_cast<MessageType>(type), message.subspan(kHeaderSize), message};
}

std::size_t missing_bytes(ByteSpan bytes) {
  if (bytes.size() < kHeaderSize) return kHeaderSize - bytes.size();
  const std::size_t length = std::size_t{bytes[16]} << 8 | bytes[17];
  return length > bytes.size() ? length - bytes.size() : 0;
}

Bytes encode_keepalive() {
  Bytes out;
  MessageWriter(out, MessageType::keepalive).finish();
  return out;
}

std::variant<RouteRefresh, Notification> decode_route_refresh(const Frame& frame) {
  if (frame.body.size() != 4) {
    return Notification{code::kRefresh, refresh_error::kBadLength, Bytes(frame.message.begin(), frame.message.end())};
  }
  Reader reader(frame.body);
  RouteRefresh refresh;
  refresh.afi = reader.u16();
  refresh.kind = reader.u8();
  refresh.safi = reader.u8();
  return refresh;
}

Bytes encode_route_refresh(Family family, RefreshKind kind) {
  Bytes out;
  MessageWriter message(out, MessageType::route_refresh);
  message.u16(afi_of(family));
  message.u8(static_cast<unsigned>(kind));
  message.u8(kSafiUnicast);
  message.finish();
  return out;
}

}  // namespace sluice::bgp
