// NOTIFICATION: the names of all errors, and the message itself.
#include "control/bgp/notification.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/bgp/message.h"
#include "control/bgp/wire.h"

namespace sluice::bgp {
namespace {

constexpr std::size_t kReasonMax = 255;

std::string_view name_of_code(std::uint8_t code) {
  constexpr std::array<std::string_view, 9> kNames{"",
                                                   "Message Header Error",
                                                   "OPEN Message Error",
                                                   "UPDATE Message Error",
                                                   "Hold Timer Expired",
                                                   "Finite State Machine Error",
                                                   "Cease",
                                                   "ROUTE-REFRESH Message Error",
                                                   "Send Hold Timer Expired"};
  return code < kNames.size() ? kNames[code] : std::string_view{};
}

std::string_view name_of_subcode(std::uint8_t code, std::uint8_t subcode) {
  constexpr std::array<std::string_view, 4> kHeader{"", "Connection Not Synchronized", "Bad Message Length",
                                                    "Bad Message Type"};
  constexpr std::array<std::string_view, 12> kOpen{"",
                                                   "Unsupported Version Number",
                                                   "Bad Peer AS",
                                                   "Bad BGP Identifier",
                                                   "Unsupported Optional Parameter",
                                                   "Authentication Failure",
                                                   "Unacceptable Hold Time",
                                                   "Unsupported Capability",
                                                   "",
                                                   "",
                                                   "",
                                                   "Role Mismatch"};
  constexpr std::array<std::string_view, 12> kUpdate{"",
                                                     "Malformed Attribute List",
                                                     "Unrecognized Well-known Attribute",
                                                     "Missing Well-known Attribute",
                                                     "Attribute Flags Error",
                                                     "Attribute Length Error",
                                                     "Invalid ORIGIN Attribute",
                                                     "AS Routing Loop",
                                                     "Invalid NEXT_HOP Attribute",
                                                     "Optional Attribute Error",
                                                     "Invalid Network Field",
                                                     "Malformed AS_PATH"};
  constexpr std::array<std::string_view, 4> kFsm{"", "Unexpected Message in OpenSent State",
                                                 "Unexpected Message in OpenConfirm State",
                                                 "Unexpected Message in Established State"};
  constexpr std::array<std::string_view, 11> kCease{"",
                                                    "Maximum Number of Prefixes Reached",
                                                    "Administrative Shutdown",
                                                    "Peer Unconfigured",
                                                    "Administrative Reset",
                                                    "Connection Rejected",
                                                    "Other Configuration Change",
                                                    "Connection Collision Resolution",
                                                    "Out of Resources",
                                                    "Hard Reset",
                                                    "BFD Down"};
  const auto pick = [subcode](const auto& names) {
    return subcode < names.size() ? names[subcode] : std::string_view{};
  };
  switch (code) {
    case code::kHeader:
      return pick(kHeader);
    case code::kOpen:
      return pick(kOpen);
    case code::kUpdate:
      return pick(kUpdate);
    case code::kFsm:
      return pick(kFsm);
    case code::kCease:
      return pick(kCease);
    case code::kRefresh:
      return subcode == refresh_error::kBadLength ? "Invalid Message Length" : "";
    default:
      return {};
  }
}

// The length of the well-formed UTF-8 character at the front of `text`; 0: none.
std::size_t utf8_length(ByteSpan text) {
  const auto first = text[0];
  const std::size_t n = first < 0x80                    ? 1
                        : first >= 0xc2 && first < 0xe0 ? 2
                        : first >= 0xe0 && first < 0xf0 ? 3
                        : first >= 0xf0 && first < 0xf5 ? 4
                                                        : 0;
  if (n == 0 || n > text.size()) return 0;
  for (std::size_t i = 1; i < n; ++i) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  // Too long a form, and surrogates (RFC 3629 3).
  if (n == 3 && ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] >= 0xa0))) return 0;
  if (n == 4 && ((first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] >= 0x90))) return 0;
  return n;
}

std::string printable(ByteSpan text) {
  std::string out;
  while (!text.empty()) {
    const auto n = utf8_length(text);
    // U+0080..U+009F are control characters too: a terminal takes U+009B for ESC [.
    const bool c1 = n == 2 && text[0] == 0xc2 && text[1] < 0xa0;
    const bool shown = (n > 1 && !c1) || (n == 1 && text[0] >= 0x20 && text[0] != 0x7f);
    if (shown) {
      out.append(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(n));
    } else {
      out.push_back('?');
    }
    text = text.subspan(n == 0 ? 1 : n);
  }
  return out;
}

bool carries_reason(const Notification& n) {
  return n.code == code::kCease && (n.subcode == cease::kShutdown || n.subcode == cease::kReset);
}

}  // namespace

Notification Notification::cease(std::uint8_t subcode, std::string_view reason) {
  Notification n{code::kCease, subcode, {}};
  if (reason.empty()) return n;
  std::size_t length = std::min(reason.size(), kReasonMax);
  while (length > 0 && length < reason.size() && (static_cast<std::uint8_t>(reason[length]) & 0xc0) == 0x80) --length;
  n.data.resize(1 + length);
  n.data[0] = static_cast<std::uint8_t>(length);
  std::copy_n(reason.begin(), length, n.data.begin() + 1);
  return n;
}

std::string Notification::text() const {
  const auto name = name_of_code(code);
  std::string out = name.empty() ? fmt::format("error code {}", code) : std::string(name);
  if (const auto sub = name_of_subcode(code, subcode); !sub.empty()) {
    out += fmt::format("/{}", sub);
  } else if (subcode != 0) {
    out += fmt::format("/subcode {}", subcode);
  }
  if (carries_reason(*this) && !data.empty() && data[0] != 0 && data[0] <= data.size() - 1) {
    out += fmt::format(": \"{}\"", printable(ByteSpan(data).subspan(1, data[0])));
  }
  if (code == code::kCease && subcode == cease::kHardReset && data.size() >= 2) {
    // RFC 8538 3.1: another NOTIFICATION. One inside that is not looked at: a neighbour could nest 30,000 of them.
    const bool nested = data[0] == code::kCease && data[1] == cease::kHardReset;
    Notification inner{data[0], data[1], {}};
    if (!nested) inner.data.assign(data.begin() + 2, data.end());
    out += " (" + inner.text() + ")";
  }
  return out;
}

std::optional<Notification> decode_notification(ByteSpan body) {
  if (body.size() < 2) return std::nullopt;
  return Notification{body[0], body[1], Bytes(body.begin() + 2, body.end())};
}

Bytes encode_notification(const Notification& notification) {
  Bytes out;
  MessageWriter message(out, MessageType::notification);
  message.u8(notification.code);
  message.u8(notification.subcode);
  // The message must fit: what quotes a large erroneous attribute is cut.
  const auto fits = std::min(notification.data.size(), kMessageMax - kHeaderSize - 2);
  message.bytes(ByteSpan(notification.data).first(fits));
  message.finish();
  return out;
}

}  // namespace sluice::bgp
