// MRT records; see mrt.h.
#include "control/bgp/mrt.h"

#include <algorithm>
#include <array>

#include "control/bgp/attributes.h"
#include "control/bgp/message.h"
#include "control/bgp/update.h"

namespace sluice::bgp {
namespace {

void write_address(Writer& out, const IpAddress& address, bool v4) {
  if (v4) return out.u32(address.is_v4() ? address.v4().value : 0);
  out.bytes(address.is_v6() ? address.v6().bytes : Ipv6Address{}.bytes);
}

// RFC 6396 §2; with `et`, §3.
template <typename Body>
void write_record(Bytes& out, const WallTime& time, std::uint16_t type, std::uint16_t subtype, bool et, Body body) {
  Writer w(out);
  w.u32(time.seconds);
  w.u16(type);
  w.u16(subtype);
  const std::size_t length_at = w.size();
  w.u32(0);
  if (et) w.u32(time.microseconds);
  body(w);
  const std::size_t length = w.size() - length_at - 4;
  w.patch_u16(length_at, length >> 16);
  w.patch_u16(length_at + 2, length & 0xffff);
}

// What BGP4MP_MESSAGE and BGP4MP_STATE_CHANGE begin with.
void write_peer(Writer& w, const PeerView& peer, bool as4) {
  const auto as = [&](std::uint32_t number) { as4 ? w.u32(number) : w.u16(number > 0xffff ? kAsTrans : number); };
  as(peer.as);
  as(peer.local_as);
  w.u16(0);  // interface index: none
  const bool v4 = peer.address.is_v4();
  w.u16(v4 ? kAfiIpv4 : kAfiIpv6);
  write_address(w, peer.address, v4);
  write_address(w, peer.local_address, v4);
}

// RFC 6396 §4.4.1
std::uint16_t number_of(State state) { return static_cast<std::uint16_t>(static_cast<unsigned>(state) + 1); }

// RFC 8050 §3: the subtype says that the NLRI of this UPDATE's family carries path identifiers. One message is of one
// family: IPv4 unless it brings MP_REACH or MP_UNREACH for IPv6; both families nearly always agree.
bool has_path_ids(const PeerView& peer, bool received, ByteSpan message) {
  if (static_cast<MessageType>(message[18]) != MessageType::update) return false;
  const auto& add_path = received ? peer.add_path_receive : peer.add_path_send;
  if (add_path[0] == add_path[1]) return add_path[0];
  Reader body(message.subspan(kHeaderSize));
  body.take(body.u16());
  Reader attributes(body.take(body.u16()));
  auto family = Family::ipv4;
  while (!attributes.empty() && attributes.ok()) {
    const auto flags = attributes.u8(), type = attributes.u8();
    Reader value(attributes.take((flags & attribute::kFlagExtended) != 0 ? attributes.u16() : attributes.u8()));
    if ((type == attribute::kMpReach || type == attribute::kMpUnreach) && value.u16() == kAfiIpv6)
      family = Family::ipv6;
  }
  return add_path[index_of(family)];
}

}  // namespace

Bytes mrt_message(const WallTime& time, const PeerView& peer, bool received, ByteSpan message) {
  const bool path_ids = has_path_ids(peer, received, message);
  std::uint16_t subtype = peer.four_octet_as ? (path_ids ? mrt::kMessageAs4AddPath : mrt::kMessageAs4)
                                             : (path_ids ? mrt::kMessageAddPath : mrt::kMessage);
  if (!received) {
    subtype = peer.four_octet_as ? (path_ids ? mrt::kMessageAs4LocalAddPath : mrt::kMessageAs4Local)
                                 : (path_ids ? mrt::kMessageLocalAddPath : mrt::kMessageLocal);
  }
  Bytes out;
  out.reserve(message.size() + 64);
  write_record(out, time, mrt::kBgp4mpEt, subtype, true, [&](Writer& w) {
    write_peer(w, peer, peer.four_octet_as);
    w.bytes(message);
  });
  return out;
}

Bytes mrt_state_change(const WallTime& time, const PeerView& peer, State from, State to) {
  Bytes out;
  write_record(out, time, mrt::kBgp4mpEt, mrt::kStateChangeAs4, true, [&](Writer& w) {
    write_peer(w, peer, true);
    w.u16(number_of(from));
    w.u16(number_of(to));
  });
  return out;
}

// ---- TABLE_DUMP_V2

std::string mrt_file_name(const std::string& pattern, const std::tm& local) {
  std::array<char, 4096> name;  // PATH_MAX
  const auto n = std::strftime(name.data(), name.size(), pattern.c_str(), &local);
  return n == 0 ? pattern : std::string(name.data(), n);
}

Duration mrt_until_next(Duration interval, std::int64_t local_seconds) {
  const auto step = std::max<std::int64_t>(std::chrono::duration_cast<std::chrono::seconds>(interval).count(), 1);
  return std::chrono::seconds(step - local_seconds % step);
}

RibDump::RibDump(const Speaker& speaker, WallClock wall, std::uint32_t router_id)
    : speaker_(speaker), wall_(std::move(wall)), router_id_(router_id) {}

// RFC 6396 §4.3.1
void RibDump::write_peers(Instant now, Bytes& out) {
  constexpr std::uint8_t kIpv6 = 1, kAs4 = 2;
  const auto all = speaker_.known_peers();
  write_record(out, wall_(now), mrt::kTableDumpV2, mrt::kPeerIndexTable, false, [&](Writer& w) {
    w.u32(router_id_);
    w.u16(0);  // no view name
    w.u16(static_cast<unsigned>(all.size()));
    for (const auto& peer : all) {
      const bool v4 = peer.address.is_v4();
      w.u8(kAs4 | (v4 ? 0 : kIpv6));
      w.u32(peer.router_id);
      write_address(w, peer.address, v4);
      w.u32(peer.as);
      peers_.emplace(peer.address, static_cast<std::uint16_t>(peers_.size()));
      for (std::size_t i = 0; i < kFamilyCount; ++i) {
        if (peer.add_path[i]) add_path_[i].insert(peer.address);
      }
    }
  });
}

// RFC 6396 §4.3.2 and §4.3.4; RFC 8050 §4.1: with a path identifier in front of each entry's attributes.
void RibDump::write_prefix(Instant now, const routing::IpPrefix& prefix, std::span<const Speaker::WalkedPath> paths,
                           Bytes& out) {
  const auto family = prefix.is_v4() ? Family::ipv4 : Family::ipv6;
  const WallTime time = wall_(now);
  std::vector<const Speaker::WalkedPath*> known;
  bool add_path = false;
  for (const auto& path : paths) {
    if (!peers_.contains(path.peer)) continue;  // it came after the table was written
    known.push_back(&path);
    add_path |= path.path_id != 0 || add_path_[index_of(family)].contains(path.peer);
  }
  if (known.empty()) return;
  const std::uint16_t subtype = family == Family::ipv4 ? (add_path ? mrt::kRibIpv4AddPath : mrt::kRibIpv4)
                                                       : (add_path ? mrt::kRibIpv6AddPath : mrt::kRibIpv6);
  write_record(out, time, mrt::kTableDumpV2, subtype, false, [&](Writer& w) {
    w.u32(sequence_++);
    write_nlri(w, {prefix, 0}, false);
    w.u16(static_cast<unsigned>(known.size()));
    for (const auto* path : known) {
      w.u16(peers_.at(path->peer));
      const auto age = std::chrono::duration_cast<std::chrono::seconds>(path->age).count();
      w.u32(time.seconds - static_cast<std::uint32_t>(age));
      if (add_path) w.u32(path->path_id);
      const std::size_t length_at = w.size();
      w.u16(0);
      // AS_PATH in four octets, always. MP_REACH_NLRI is cut down to the next hop, so it is written by hand.
      PathAttributes attributes = *path->attributes;
      const IpAddress next_hop = attributes.next_hop;
      const bool mp = next_hop.is_v6();
      if (mp) attributes.next_hop = Ipv4Address{};
      Bytes encoded;
      Writer attribute_writer(encoded);
      encode_attributes(attribute_writer, attributes, {true, true});
      Reader reader(encoded);
      while (!reader.empty()) {
        const ByteSpan from = reader.rest();
        const auto flags = reader.u8(), type = reader.u8();
        reader.take((flags & attribute::kFlagExtended) != 0 ? reader.u16() : reader.u8());
        constexpr std::uint8_t kNextHop = 3;
        if (!(mp && type == kNextHop)) w.bytes(from.first(from.size() - reader.left()));
      }
      if (mp) {
        w.u8(attribute::kFlagOptional);
        w.u8(attribute::kMpReach);
        w.u8(17);
        w.u8(16);
        w.bytes(next_hop.v6().bytes);
      }
      w.patch_u16(length_at, w.size() - length_at - 2);
    }
  });
}

bool RibDump::more(Instant now, std::size_t prefixes_max, Bytes& out) {
  if (!std::exchange(begun_, true)) write_peers(now, out);
  cursor_ = speaker_.walk(now, cursor_, prefixes_max,
                          [&](const routing::IpPrefix& prefix, std::span<const Speaker::WalkedPath> paths) {
                            write_prefix(now, prefix, paths, out);
                          });
  return cursor_ != 0;
}

}  // namespace sluice::bgp
