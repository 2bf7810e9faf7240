// OPEN: decode, check, encode and negotiate.
#include "control/bgp/open.h"

#include <algorithm>

#include "control/bgp/message.h"

namespace sluice::bgp {
namespace {

constexpr std::uint8_t kParameterCapabilities = 2;
constexpr std::uint8_t kExtendedParameters = 255;  // RFC 9072

std::optional<Family> family_of(std::uint16_t afi, std::uint8_t safi) {
  if (safi != kSafiUnicast) return std::nullopt;
  if (afi == kAfiIpv4) return Family::ipv4;
  if (afi == kAfiIpv6) return Family::ipv6;
  return std::nullopt;
}

void decode_graceful_restart(Reader value, Capabilities& caps) {
  GracefulRestart restart;
  const auto head = value.u16();
  restart.restarting = (head & 0x8000) != 0;
  restart.notification = (head & 0x4000) != 0;
  restart.time_s = head & 0x0fff;
  while (value.left() >= 4) {
    const auto afi = value.u16();
    const auto safi = value.u8();
    const auto flags = value.u8();
    if (const auto family = family_of(afi, safi)) {
      restart.families[index_of(*family)] = {true, (flags & 0x80) != 0};
    }
  }
  caps.graceful_restart = restart;  // RFC 4724 3: the last one counts
}

void decode_long_lived_restart(Reader value, Capabilities& caps) {
  LongLivedRestart restart;
  while (value.left() >= 7) {
    const auto afi = value.u16();
    const auto safi = value.u8();
    const auto flags = value.u8();
    const auto time = std::uint32_t{value.u8()} << 16 | value.u16();
    if (const auto family = family_of(afi, safi)) {
      restart.families[index_of(*family)] = {true, (flags & 0x80) != 0, time};
    }
  }
  caps.long_lived_restart = restart;
}

void decode_add_path(Reader value, Capabilities& caps) {
  while (value.left() >= 4) {
    const auto afi = value.u16();
    const auto safi = value.u8();
    const auto mode = value.u8();
    const auto family = family_of(afi, safi);
    // RFC 7911 4: any other mode than 1, 2, 3 is ignored.
    if (family && mode >= 1 && mode <= 3) caps.add_path[index_of(*family)] = {(mode & 1) != 0, (mode & 2) != 0};
  }
}

// A capability whose length is wrong is ignored as if it were not there: the session lives without it (RFC 5492 4).
void decode_capability(std::uint8_t code, ByteSpan bytes, Capabilities& caps) {
  Reader value(bytes);
  switch (code) {
    case capability::kMultiprotocol: {
      if (bytes.size() != 4) return;
      const auto afi = value.u16();
      value.u8();
      caps.any_multiprotocol = true;
      if (const auto family = family_of(afi, value.u8())) caps.multiprotocol[index_of(*family)] = true;
      return;
    }
    case capability::kRouteRefresh:
      if (bytes.empty()) caps.route_refresh = true;
      return;
    case capability::kRouteRefreshOld:
      if (bytes.empty()) caps.route_refresh_old = true;
      return;
    case capability::kEnhancedRefresh:
      if (bytes.empty()) caps.enhanced_refresh = true;
      return;
    case capability::kExtendedMessage:
      if (bytes.empty()) caps.extended_message = true;
      return;
    case capability::kRole:
      if (bytes.size() != 1) return;
      caps.roles_differ = caps.roles_differ || (caps.role && *caps.role != bytes[0]);
      caps.role = bytes[0];
      return;
    case capability::kFourOctetAs:
      if (bytes.size() == 4) caps.four_octet_as = value.u32();
      return;
    case capability::kGracefulRestart:
      if (bytes.size() >= 2 && (bytes.size() - 2) % 4 == 0) decode_graceful_restart(value, caps);
      return;
    case capability::kLongLivedRestart:
      if (bytes.size() % 7 == 0) decode_long_lived_restart(value, caps);
      return;
    case capability::kAddPath:
      if (bytes.size() % 4 == 0) decode_add_path(value, caps);
      return;
    case capability::kExtendedNextHop:
      while (value.left() >= 6) {
        const auto afi = value.u16();
        const auto safi = value.u16();
        if (value.u16() == kAfiIpv6 && afi == kAfiIpv4 && safi == kSafiUnicast) caps.extended_next_hop = true;
      }
      return;
    default:
      if (std::find(caps.unknown.begin(), caps.unknown.end(), code) == caps.unknown.end()) caps.unknown.push_back(code);
      return;
  }
}

Notification open_fault(std::uint8_t subcode, Bytes data = {}) { return {code::kOpen, subcode, std::move(data)}; }

std::optional<Notification> decode_capabilities(ByteSpan value, Capabilities& caps) {
  Reader reader(value);
  while (!reader.empty()) {
    const auto code = reader.u8();
    const auto bytes = reader.take(reader.u8());
    if (!reader.ok()) return open_fault(0);
    decode_capability(code, bytes, caps);
  }
  return std::nullopt;
}

std::optional<Notification> decode_parameters(ByteSpan parameters, bool extended, Capabilities& caps) {
  Reader reader(parameters);
  while (!reader.empty()) {
    const auto type = reader.u8();
    const auto value = reader.take(extended ? reader.u16() : reader.u8());
    if (!reader.ok()) return open_fault(0);
    if (type != kParameterCapabilities) return open_fault(open_error::kOptionalParameter, {});
    if (auto error = decode_capabilities(value, caps)) return error;
  }
  return std::nullopt;
}

void write_families(Bytes& out, const Capabilities& caps) {
  Writer writer(out);
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    if (!caps.multiprotocol[index_of(family)]) continue;
    writer.u8(capability::kMultiprotocol);
    writer.u8(4);
    writer.u16(afi_of(family));
    writer.u8(0);
    writer.u8(kSafiUnicast);
  }
}

void write_graceful_restart(Bytes& out, const GracefulRestart& restart) {
  Writer writer(out);
  writer.u8(capability::kGracefulRestart);
  const auto length_at = writer.size();
  writer.u8(0);
  writer.u16((restart.restarting ? 0x8000u : 0u) | (restart.notification ? 0x4000u : 0u) | (restart.time_s & 0xfffu));
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto& f = restart.families[index_of(family)];
    if (!f.listed) continue;
    writer.u16(afi_of(family));
    writer.u8(kSafiUnicast);
    writer.u8(f.forwarding_preserved ? 0x80 : 0);
  }
  writer.patch_u8(length_at, writer.size() - length_at - 1);
}

void write_long_lived_restart(Bytes& out, const LongLivedRestart& restart) {
  Writer writer(out);
  writer.u8(capability::kLongLivedRestart);
  const auto length_at = writer.size();
  writer.u8(0);
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto& f = restart.families[index_of(family)];
    if (!f.listed) continue;
    writer.u16(afi_of(family));
    writer.u8(kSafiUnicast);
    writer.u8(f.forwarding_preserved ? 0x80 : 0);
    writer.u8(f.time_s >> 16 & 255);
    writer.u16(f.time_s & 0xffff);
  }
  writer.patch_u8(length_at, writer.size() - length_at - 1);
}

void write_add_path(Bytes& out, const Capabilities& caps) {
  Writer writer(out);
  const auto start = writer.size();
  writer.u8(capability::kAddPath);
  writer.u8(0);
  for (const auto family : {Family::ipv4, Family::ipv6}) {
    const auto& mode = caps.add_path[index_of(family)];
    if (!mode.receive && !mode.send) continue;
    writer.u16(afi_of(family));
    writer.u8(kSafiUnicast);
    writer.u8((mode.receive ? 1u : 0u) | (mode.send ? 2u : 0u));
  }
  if (writer.size() == start + 2) {
    out.resize(start);
  } else {
    writer.patch_u8(start + 1, writer.size() - start - 2);
  }
}

Bytes encode_capabilities(const Capabilities& caps) {
  Bytes out;
  Writer writer(out);
  const auto flag = [&writer](std::uint8_t code, bool set) {
    if (!set) return;
    writer.u8(code);
    writer.u8(0);
  };
  write_families(out, caps);
  flag(capability::kRouteRefresh, caps.route_refresh);
  flag(capability::kRouteRefreshOld, caps.route_refresh_old);
  if (caps.extended_next_hop) {
    writer.u8(capability::kExtendedNextHop);
    writer.u8(6);
    writer.u16(kAfiIpv4);
    writer.u16(kSafiUnicast);
    writer.u16(kAfiIpv6);
  }
  flag(capability::kExtendedMessage, caps.extended_message);
  if (caps.role) {
    writer.u8(capability::kRole);
    writer.u8(1);
    writer.u8(*caps.role);
  }
  if (caps.graceful_restart) write_graceful_restart(out, *caps.graceful_restart);
  if (caps.four_octet_as) {
    writer.u8(capability::kFourOctetAs);
    writer.u8(4);
    writer.u32(*caps.four_octet_as);
  }
  write_add_path(out, caps);
  flag(capability::kEnhancedRefresh, caps.enhanced_refresh);
  if (caps.long_lived_restart) write_long_lived_restart(out, *caps.long_lived_restart);
  return out;
}

}  // namespace

Bytes encode_families(const Capabilities& caps) {
  Bytes out;
  write_families(out, caps);
  return out;
}

std::variant<OpenMessage, Notification> decode_open(ByteSpan body) {
  Reader reader(body);
  OpenMessage open;
  open.version = reader.u8();
  open.as = reader.u16();
  open.hold_time_s = reader.u16();
  open.identifier = reader.u32();
  std::size_t length = reader.u8();
  if (!reader.ok()) return open_fault(0);
  if (open.version != 4) return open_fault(open_error::kVersion, {0, 4});
  bool extended = false;
  // RFC 9072 2: the type field, not the length, says that the long form follows.
  if (length != 0 && reader.left() >= 3 && reader.rest()[0] == kExtendedParameters) {
    extended = true;
    reader.u8();
    length = reader.u16();
  }
  if (reader.left() != length) return open_fault(0);
  if (auto error = decode_parameters(reader.rest(), extended, open.capabilities)) return *error;
  if (open.capabilities.four_octet_as) open.as = *open.capabilities.four_octet_as;
  // RFC 4760 8: without the capability the session carries IPv4 unicast.
  if (!open.capabilities.any_multiprotocol) open.capabilities.multiprotocol[index_of(Family::ipv4)] = true;
  return open;
}

std::optional<Notification> check_open(const OpenMessage& open, const OpenExpectation& expected) {
  if (open.as == 0 || open.as != expected.remote_as) return open_fault(open_error::kPeerAs);
  if (open.hold_time_s == 1 || open.hold_time_s == 2) return open_fault(open_error::kHoldTime);
  // RFC 6286 2.1: not zero; on an internal session different from ours.
  const bool internal = expected.remote_as == expected.local_as;
  if (open.identifier == 0 || (internal && open.identifier == expected.local_identifier)) {
    return open_fault(open_error::kIdentifier);
  }
  return std::nullopt;
}

Bytes encode_open(const OpenMessage& open) {
  Bytes out;
  MessageWriter message(out, MessageType::open);
  message.u8(open.version);
  message.u16(open.as > 0xffff ? kAsTrans : open.as);
  message.u16(open.hold_time_s);
  message.u32(open.identifier);
  const auto caps = encode_capabilities(open.capabilities);
  if (caps.empty()) {
    message.u8(0);
  } else if (caps.size() <= 253) {
    message.u8(static_cast<unsigned>(caps.size() + 2));
    message.u8(kParameterCapabilities);
    message.u8(static_cast<unsigned>(caps.size()));
    message.bytes(caps);
  } else {
    message.u8(255);
    message.u8(kExtendedParameters);
    message.u16(static_cast<unsigned>(caps.size() + 3));
    message.u8(kParameterCapabilities);
    message.u16(static_cast<unsigned>(caps.size()));
    message.bytes(caps);
  }
  message.finish();
  return out;
}

std::optional<Notification> role_mismatch(Role ours, bool strict, const Capabilities& theirs) {
  if (ours == Role::none) return std::nullopt;
  if (theirs.roles_differ) return open_fault(open_error::kRoleMismatch);
  if (!theirs.role) return strict ? std::optional(open_fault(open_error::kRoleMismatch)) : std::nullopt;
  constexpr std::uint8_t kCounterpart[] = {3, 2, 1, 0, 4};  // of provider, server, server client, customer, peer
  if (*theirs.role == kCounterpart[static_cast<std::size_t>(ours)]) return std::nullopt;
  return open_fault(open_error::kRoleMismatch);
}

Negotiated negotiate(const OpenMessage& ours, const OpenMessage& theirs) {
  const auto& a = ours.capabilities;
  const auto& b = theirs.capabilities;
  Negotiated n;
  n.internal = ours.as == theirs.as;
  n.four_octet_as = a.four_octet_as.has_value() && b.four_octet_as.has_value();
  n.extended_message = a.extended_message && b.extended_message;
  n.extended_message_receive = a.extended_message;
  n.route_refresh = (a.route_refresh && b.route_refresh) || (a.route_refresh_old && b.route_refresh_old);
  n.enhanced_refresh = n.route_refresh && a.enhanced_refresh && b.enhanced_refresh;
  n.extended_next_hop = a.extended_next_hop && b.extended_next_hop;
  for (std::size_t i = 0; i < kFamilyCount; ++i) {
    n.family[i] = a.multiprotocol[i] && b.multiprotocol[i];
    n.add_path_receive[i] = n.family[i] && a.add_path[i].receive && b.add_path[i].send;
    n.add_path_send[i] = n.family[i] && a.add_path[i].send && b.add_path[i].receive;
  }
  n.hold_time_s = std::min(ours.hold_time_s, theirs.hold_time_s);
  return n;
}

}  // namespace sluice::bgp
