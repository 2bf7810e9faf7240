// UPDATE: the message around the attributes, NLRI, and our encoder.
#include "control/bgp/update.h"

#include <algorithm>

#include "control/bgp/message.h"

namespace sluice::bgp {

bool NlriReader::next(Nlri& out) {
  if (reader_.empty() || failed_) return false;
  out.path_id = add_path_ ? reader_.u32() : 0;
  const unsigned length = reader_.u8();
  if (length > (family_ == Family::ipv4 ? 32u : 128u)) {
    failed_ = true;
    return false;
  }
  const auto bytes = reader_.take((length + 7) / 8);
  if (!reader_.ok()) {
    failed_ = true;
    return false;
  }
  if (family_ == Family::ipv4) {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) value |= std::uint32_t{bytes[i]} << (24 - 8 * i);
    out.prefix = Ipv4Prefix::of(Ipv4Address{value}, length);  // RFC 4271 4.3: trailing bits are irrelevant
  } else {
    Ipv6Address address;
    std::copy(bytes.begin(), bytes.end(), address.bytes.begin());
    out.prefix = Ipv6Prefix::of(address, length);
  }
  return true;
}

bool valid_nlri(ByteSpan bytes, Family family, bool add_path) {
  Reader reader(bytes);
  const unsigned bits = family == Family::ipv4 ? 32 : 128;
  while (!reader.empty()) {
    if (add_path) reader.u32();
    const unsigned length = reader.u8();
    if (length > bits) return false;
    reader.take((length + 7) / 8);
    if (!reader.ok()) return false;
  }
  return true;
}

namespace {

void reset(UpdateMessage& update, std::uint8_t subcode, std::string why, ByteSpan data = {}) {
  update.path.action = ErrorAction::session_reset;
  update.path.notification = Notification{code::kUpdate, subcode, Bytes(data.begin(), data.end())};
  update.path.error = std::move(why);
}

bool add_path_of(const DecodeContext& context, Family family) { return context.add_path[index_of(family)]; }

// RFC 7606 3 j, 5.3.
void check_nlri(UpdateMessage& update, const DecodeContext& context) {
  const auto v4 = add_path_of(context, Family::ipv4);
  if (!valid_nlri(update.withdrawn, Family::ipv4, v4)) {
    return reset(update, update_error::kNetwork, "withdrawn routes cannot be parsed (RFC 7606 3 i)");
  }
  if (!valid_nlri(update.nlri, Family::ipv4, v4)) {
    return reset(update, update_error::kNetwork, "announced routes cannot be parsed (RFC 7606 3 j)");
  }
  const auto& reach = update.path.mp_reach;
  if (reach && reach->family && !valid_nlri(reach->nlri, *reach->family, add_path_of(context, *reach->family))) {
    return reset(update, update_error::kOptional, "MP_REACH_NLRI cannot be parsed (RFC 7606 5.3)", reach->whole);
  }
  const auto& unreach = update.path.mp_unreach;
  if (unreach && unreach->family &&
      !valid_nlri(unreach->nlri, *unreach->family, add_path_of(context, *unreach->family))) {
    return reset(update, update_error::kOptional, "MP_UNREACH_NLRI cannot be parsed (RFC 7606 5.3)", unreach->whole);
  }
}

}  // namespace

UpdateMessage decode_update(ByteSpan body, const DecodeContext& context) {
  UpdateMessage update;
  Reader reader(body);
  update.withdrawn = reader.take(reader.u16());
  const auto attributes = reader.take(reader.u16());
  if (!reader.ok()) {  // RFC 4271 6.3: the lengths do not fit into the message
    reset(update, update_error::kAttributeList, "lengths exceed the message (RFC 4271 6.3)");
    return update;
  }
  update.nlri = reader.rest();
  if (body.size() == 4) {  // RFC 4724 2
    update.end_of_rib = true;
    return update;
  }
  update.path = decode_attributes(attributes, !update.nlri.empty(), context);
  if (update.path.action == ErrorAction::session_reset) return update;
  check_nlri(update, context);
  if (update.path.action == ErrorAction::session_reset) return update;
  const bool reaches = !update.nlri.empty() || (update.path.mp_reach && !update.path.mp_reach->nlri.empty());
  // RFC 7606 5.2: nothing is announced that could be withdrawn, so an error in the attributes cannot be contained.
  if (update.path.action == ErrorAction::treat_as_withdraw && !reaches && update.path.other_than_mp_unreach) {
    update.path.action = ErrorAction::session_reset;
    update.path.error += ", and no routes are announced (RFC 7606 5.2)";
    return update;
  }
  const auto& unreach = update.path.mp_unreach;
  if (unreach && unreach->family && unreach->nlri.empty() && !update.path.other_than_mp_unreach &&
      update.withdrawn.empty() && update.nlri.empty() && update.path.action == ErrorAction::none) {
    update.end_of_rib = true;
    update.end_of_rib_family = *unreach->family;
  }
  return update;
}

std::size_t nlri_size(const routing::IpPrefix& prefix, bool add_path) {
  return (add_path ? 5u : 1u) + (prefix.length + 7u) / 8;
}

void write_nlri(Writer& out, const Nlri& nlri, bool add_path) {
  if (add_path) out.u32(nlri.path_id);
  out.u8(nlri.prefix.length);
  const std::size_t n = (nlri.prefix.length + 7u) / 8;
  if (nlri.prefix.is_v4()) {
    const auto value = nlri.prefix.v4().address.value;
    for (std::size_t i = 0; i < n; ++i) out.u8(value >> (24 - 8 * i) & 255);
  } else {
    const auto address = nlri.prefix.v6().address;
    out.bytes(ByteSpan(address.bytes).first(n));
  }
}

namespace {

// How many routes from the front of `routes`, of one family, fit into `room` bytes.
std::size_t fitting(std::span<const Nlri> routes, bool add_path, std::size_t room) {
  std::size_t n = 0;
  for (; n < routes.size() && routes[n].prefix.is_v4() == routes[0].prefix.is_v4(); ++n) {
    const auto size = nlri_size(routes[n].prefix, add_path);
    if (size > room) break;
    room -= size;
  }
  return n;
}

Bytes nlri_bytes(std::span<const Nlri> routes, bool add_path) {
  Bytes out;
  Writer writer(out);
  for (const auto& route : routes) write_nlri(writer, route, add_path);
  return out;
}

}  // namespace

void encode_announcements(Bytes& out, const PathAttributes& attributes, const EncodeContext& context,
                          std::span<const Nlri> routes, bool add_path, std::size_t message_max) {
  Bytes scratch;
  while (!routes.empty()) {
    const auto family = routes[0].prefix.is_v4() ? Family::ipv4 : Family::ipv6;
    const bool mp = family == Family::ipv6 || attributes.next_hop.is_v6();
    const auto mp_family = mp ? std::optional(family) : std::nullopt;
    scratch.clear();
    Writer measure(scratch);
    encode_attributes(measure, attributes, context, mp_family, {});
    // 4: both length fields; 1: the length of MP_REACH_NLRI may need a second byte.
    const auto overhead = kHeaderSize + 4 + scratch.size() + (mp ? 1u : 0u);
    const auto n = overhead < message_max ? fitting(routes, add_path, message_max - overhead) : 0;
    if (n == 0) return;  // attributes of our own never come near a message's size
    const auto nlri = nlri_bytes(routes.first(n), add_path);
    MessageWriter message(out, MessageType::update);
    message.u16(0);
    const auto length_at = message.size();
    message.u16(0);
    encode_attributes(message, attributes, context, mp_family, nlri);
    message.patch_u16(length_at, message.size() - length_at - 2);
    if (!mp) message.bytes(nlri);
    message.finish();
    routes = routes.subspan(n);
  }
}

void encode_withdrawals(Bytes& out, std::span<const Nlri> routes, bool add_path, std::size_t message_max) {
  while (!routes.empty()) {
    const bool v4 = routes[0].prefix.is_v4();
    // 8: flags, type, two bytes of length, AFI and SAFI of MP_UNREACH_NLRI.
    const auto n = fitting(routes, add_path, message_max - kHeaderSize - 4 - (v4 ? 0 : 8));
    const auto nlri = nlri_bytes(routes.first(n), add_path);
    MessageWriter message(out, MessageType::update);
    if (v4) {
      message.u16(static_cast<unsigned>(nlri.size()));
      message.bytes(nlri);
      message.u16(0);
    } else {
      message.u16(0);
      message.u16(static_cast<unsigned>(nlri.size() + 7));
      message.u8(attribute::kFlagOptional | attribute::kFlagExtended);
      message.u8(attribute::kMpUnreach);
      message.u16(static_cast<unsigned>(nlri.size() + 3));
      message.u16(kAfiIpv6);
      message.u8(kSafiUnicast);
      message.bytes(nlri);
    }
    message.finish();
    routes = routes.subspan(n);
  }
}

void encode_end_of_rib(Bytes& out, Family family) {
  MessageWriter message(out, MessageType::update);
  message.u16(0);
  if (family == Family::ipv4) {
    message.u16(0);
  } else {
    message.u16(6);
    message.u8(attribute::kFlagOptional);
    message.u8(attribute::kMpUnreach);
    message.u8(3);
    message.u16(afi_of(family));
    message.u8(kSafiUnicast);
  }
  message.finish();
}

}  // namespace sluice::bgp
