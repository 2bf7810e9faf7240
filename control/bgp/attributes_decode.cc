// The attribute decoder: one switch over the types, each case with the RFC 7606 section that says what an error does.
#include <fmt/format.h>

#include <algorithm>
#include <bitset>

#include "control/bgp/attributes.h"

namespace sluice::bgp {
namespace {

struct RawAttribute {
  std::uint8_t flags = 0;
  std::uint8_t type = 0;
  ByteSpan value;
  ByteSpan whole;  // flags, type, length and value: what a NOTIFICATION quotes
};

class Decoder {
 public:
  Decoder(ByteSpan bytes, bool has_nlri, const DecodeContext& context)
      : bytes_(bytes), has_nlri_(has_nlri), context_(context) {}

  DecodedAttributes run() {
    while (!bytes_.empty() && out_.action != ErrorAction::session_reset) {
      RawAttribute raw;
      if (!next(raw)) break;
      one(raw);
    }
    if (out_.action != ErrorAction::session_reset) finish();
    return std::move(out_);
  }

 private:
  // RFC 7606 4: attributes that do not fill their field exactly: treat-as-withdraw; the NLRI is still where the total
  // length says.
  bool next(RawAttribute& raw) {
    Reader reader(bytes_);
    raw.flags = reader.u8();
    raw.type = reader.u8();
    const std::size_t length = (raw.flags & attribute::kFlagExtended) != 0 ? reader.u16() : reader.u8();
    raw.value = reader.take(length);
    if (!reader.ok()) {
      // Whether what is cut off was MP_REACH_NLRI cannot be told: its routes would be lost unseen.
      if (raw.type == attribute::kMpReach || raw.type == attribute::kMpUnreach) {
        reset(update_error::kOptional, bytes_, "MP_REACH_NLRI or MP_UNREACH_NLRI is cut off (RFC 7606 4, 5.3)");
      } else {
        out_.other_than_mp_unreach = true;
        withdraw(update_error::kAttributeList, {}, "attributes do not fill their field exactly (RFC 7606 4)");
      }
      return false;
    }
    raw.whole = bytes_.first(bytes_.size() - reader.left());
    bytes_ = reader.rest();
    return true;
  }

  void one(const RawAttribute& raw) {
    if (raw.type != attribute::kMpUnreach) out_.other_than_mp_unreach = true;
    if (seen_[raw.type]) {
      // RFC 7606 3 g.
      if (raw.type == attribute::kMpReach || raw.type == attribute::kMpUnreach) {
        reset(update_error::kAttributeList, {}, "MP_REACH_NLRI or MP_UNREACH_NLRI twice (RFC 7606 3 g)");
      } else {
        discard(raw, "it is there twice (RFC 7606 3 g)");
      }
      return;
    }
    seen_[raw.type] = true;
    if (!flags_right(raw)) {
      // RFC 7606 3 c. MP_REACH and MP_UNREACH are still read, so that their routes can be withdrawn.
      withdraw(update_error::kFlags, raw.whole,
               fmt::format("flags 0x{:02x} of attribute {} (RFC 7606 3 c)", raw.flags, raw.type));
      if (raw.type != attribute::kMpReach && raw.type != attribute::kMpUnreach) return;
    }
    value(raw);
  }

  static bool flags_right(const RawAttribute& raw) {
    const unsigned kind = raw.flags & (attribute::kFlagOptional | attribute::kFlagTransitive);
    switch (raw.type) {
      case attribute::kOrigin:
      case attribute::kAsPath:
      case attribute::kNextHop:
      case attribute::kLocalPref:
      case attribute::kAtomicAggregate:
        return kind == attribute::kFlagTransitive;
      case attribute::kMed:
      case attribute::kOriginatorId:
      case attribute::kClusterList:
      case attribute::kMpReach:
      case attribute::kMpUnreach:
        return kind == attribute::kFlagOptional;
      case attribute::kAggregator:
      case attribute::kCommunities:
      case attribute::kExtendedCommunities:
      case attribute::kAs4Path:
      case attribute::kAs4Aggregator:
      case attribute::kLargeCommunities:
      case attribute::kOnlyToCustomer:
        return kind == (attribute::kFlagOptional | attribute::kFlagTransitive);
      default:
        return true;
    }
  }

  void value(const RawAttribute& raw) {
    auto& a = out_.attributes;
    Reader reader(raw.value);
    const auto length = raw.value.size();
    switch (raw.type) {
      case attribute::kOrigin:  // 7.1
        if (length != 1 || raw.value[0] > 2) return withdraw(update_error::kOrigin, raw.whole, "ORIGIN (RFC 7606 7.1)");
        a.origin = static_cast<Origin>(raw.value[0]);
        return;
      case attribute::kAsPath: {  // 7.2
        auto path = AsPath::decode(raw.value, context_.four_octet_as);
        if (!path) return withdraw(update_error::kAsPath, {}, "AS_PATH (RFC 7606 7.2, RFC 7607)");
        a.as_path = std::move(*path);
        return;
      }
      case attribute::kNextHop:  // 7.3
        if (length != 4) return withdraw(update_error::kNextHop, raw.whole, "NEXT_HOP (RFC 7606 7.3)");
        a.next_hop = Ipv4Address{reader.u32()};
        return;
      case attribute::kMed:  // 7.4
        if (length != 4) return withdraw(update_error::kLength, raw.whole, "MULTI_EXIT_DISC (RFC 7606 7.4)");
        a.med = reader.u32();
        return;
      case attribute::kLocalPref:  // 7.5
        if (!context_.internal) return discard(raw, "LOCAL_PREF from an external neighbour (RFC 7606 7.5)");
        if (length != 4) return withdraw(update_error::kLength, raw.whole, "LOCAL_PREF (RFC 7606 7.5)");
        a.local_pref = reader.u32();
        return;
      case attribute::kAtomicAggregate:  // 7.6
        if (length != 0) return discard(raw, "ATOMIC_AGGREGATE (RFC 7606 7.6)");
        a.atomic_aggregate = true;
        return;
      case attribute::kAggregator:  // 7.7
        if (length != (context_.four_octet_as ? 8 : 6)) return discard(raw, "AGGREGATOR (RFC 7606 7.7)");
        a.aggregator = Aggregator{context_.four_octet_as ? reader.u32() : reader.u16(), 0};
        a.aggregator->address = reader.u32();
        if (a.aggregator->as == 0) {  // RFC 7607 2
          a.aggregator.reset();
          discard(raw, "AGGREGATOR with AS 0 (RFC 7607)");
        }
        return;
      case attribute::kCommunities:  // 7.8
        if (length == 0 || length % 4 != 0)
          return withdraw(update_error::kOptional, raw.whole, "COMMUNITIES (RFC 7606 7.8)");
        while (!reader.empty()) a.communities.push_back(reader.u32());
        return;
      case attribute::kOriginatorId:  // 7.9
        if (!context_.internal) return discard(raw, "ORIGINATOR_ID from an external neighbour (RFC 7606 7.9)");
        if (length != 4) return withdraw(update_error::kLength, raw.whole, "ORIGINATOR_ID (RFC 7606 7.9)");
        a.originator_id = reader.u32();
        return;
      case attribute::kClusterList:  // 7.10
        if (!context_.internal) return discard(raw, "CLUSTER_LIST from an external neighbour (RFC 7606 7.10)");
        if (length == 0 || length % 4 != 0)
          return withdraw(update_error::kLength, raw.whole, "CLUSTER_LIST (RFC 7606 7.10)");
        while (!reader.empty()) a.cluster_list.push_back(reader.u32());
        return;
      case attribute::kMpReach:
        return mp_reach(raw);
      case attribute::kMpUnreach:
        return mp_unreach(raw);
      case attribute::kExtendedCommunities:  // 7.14
        if (length == 0 || length % 8 != 0)
          return withdraw(update_error::kOptional, raw.whole, "EXTENDED COMMUNITIES (RFC 7606 7.14)");
        while (!reader.empty()) {
          const auto high = reader.u32();
          a.extended_communities.push_back(std::uint64_t{high} << 32 | reader.u32());
        }
        return;
      case attribute::kLargeCommunities:  // RFC 8092 6
        if (length == 0 || length % 12 != 0)
          return withdraw(update_error::kOptional, raw.whole, "LARGE_COMMUNITY (RFC 8092 6)");
        while (!reader.empty()) {
          LargeCommunity c;
          c.global = reader.u32();
          c.local1 = reader.u32();
          c.local2 = reader.u32();
          a.large_communities.push_back(c);
        }
        return;
      case attribute::kAs4Path:  // RFC 6793 6
        if (context_.four_octet_as) return discard(raw, "AS4_PATH from a 4-octet neighbour (RFC 6793 4.1)");
        as4_path_ = AsPath::decode(raw.value, true);
        if (!as4_path_) discard(raw, "AS4_PATH (RFC 6793 6)");
        return;
      case attribute::kAs4Aggregator:
        if (context_.four_octet_as) return discard(raw, "AS4_AGGREGATOR from a 4-octet neighbour (RFC 6793 4.1)");
        if (length != 8) return discard(raw, "AS4_AGGREGATOR (RFC 6793 6)");
        as4_aggregator_ = Aggregator{reader.u32(), 0};
        as4_aggregator_->address = reader.u32();
        if (as4_aggregator_->as == 0) {  // RFC 7607 2: handled as RFC 6793 says
          as4_aggregator_.reset();
          discard(raw, "AS4_AGGREGATOR with AS 0 (RFC 7607)");
        }
        return;
      case attribute::kOnlyToCustomer:  // RFC 9234 5
        if (length != 4) return withdraw(update_error::kLength, raw.whole, "ONLY_TO_CUSTOMER (RFC 9234 5)");
        a.only_to_customer = reader.u32();
        return;
      default:
        // An unknown optional attribute changes nothing here: Sluice never passes routes on.
        if ((raw.flags & attribute::kFlagOptional) == 0) {
          reset(update_error::kUnknownWellKnown, raw.whole,
                fmt::format("well-known attribute {} is unknown (RFC 4271 6.3)", raw.type));
        }
        return;
    }
  }

  static std::optional<Family> family_of(std::uint16_t afi, std::uint8_t safi) {
    if (safi != kSafiUnicast) return std::nullopt;
    return afi == kAfiIpv4 ? std::optional(Family::ipv4) : afi == kAfiIpv6 ? std::optional(Family::ipv6) : std::nullopt;
  }

  // 7.11: where the routes begin depends on the next hop's length: a wrong one loses the session.
  void mp_reach(const RawAttribute& raw) {
    Reader reader(raw.value);
    MpReach mp;
    mp.afi = reader.u16();
    mp.safi = reader.u8();
    const auto next_hop = reader.take(reader.u8());
    reader.u8();  // reserved
    if (!reader.ok()) return reset(update_error::kOptional, raw.whole, "MP_REACH_NLRI is too short (RFC 7606 7.11)");
    mp.family = family_of(mp.afi, mp.safi);
    mp.nlri = reader.rest();
    mp.whole = raw.whole;
    if (mp.family && !mp_next_hop(mp, next_hop)) {
      return reset(update_error::kOptional, raw.whole,
                   fmt::format("next hop of {} bytes in MP_REACH_NLRI (RFC 7606 7.11)", next_hop.size()));
    }
    out_.mp_reach = mp;
  }

  bool mp_next_hop(MpReach& mp, ByteSpan bytes) const {
    if (bytes.size() == 4) {
      if (*mp.family != Family::ipv4) return false;
      Reader reader(bytes);
      mp.next_hop = Ipv4Address{reader.u32()};
      return true;
    }
    // RFC 8950 4: an IPv6 next hop for IPv4 routes only where it was agreed; RFC 2545 3: 16, or 32 with the link-local.
    if (bytes.size() != 16 && bytes.size() != 32) return false;
    if (*mp.family == Family::ipv4 && !context_.extended_next_hop) return false;
    Ipv6Address address;
    std::copy_n(bytes.begin(), 16, address.bytes.begin());
    mp.next_hop = address;
    return true;
  }

  void mp_unreach(const RawAttribute& raw) {
    Reader reader(raw.value);
    MpUnreach mp;
    mp.afi = reader.u16();
    mp.safi = reader.u8();
    if (!reader.ok()) return reset(update_error::kOptional, raw.whole, "MP_UNREACH_NLRI is too short (RFC 7606 5.3)");
    mp.family = family_of(mp.afi, mp.safi);
    mp.nlri = reader.rest();
    mp.whole = raw.whole;
    out_.mp_unreach = mp;
  }

  void finish() {
    auto& a = out_.attributes;
    const bool reaches = has_nlri_ || out_.mp_reach.has_value();
    if (!context_.four_octet_as) merge_as4();
    if (reaches) {
      missing(attribute::kOrigin, "ORIGIN");
      missing(attribute::kAsPath, "AS_PATH");
      if (has_nlri_) missing(attribute::kNextHop, "NEXT_HOP");
      check_first_as();
      if (has_nlri_ && seen_[attribute::kNextHop] && !host_address(a.next_hop)) {
        withdraw(update_error::kNextHop, {},
                 fmt::format("NEXT_HOP {} is no host's address (RFC 4271 6.3)", a.next_hop.text()));
      }
    }
    if (out_.mp_reach && out_.mp_reach->family && !host_address(out_.mp_reach->next_hop)) {
      withdraw(update_error::kOptional, out_.mp_reach->whole,
               fmt::format("next hop {} in MP_REACH_NLRI is no host's address (RFC 4271 6.3)",
                           out_.mp_reach->next_hop.text()));
    }
    if (context_.internal && !a.local_pref) a.local_pref = 100;  // RFC 4271 5.1.5 wants it; the usual default if absent
  }

  void missing(std::uint8_t type, std::string_view name) {
    if (seen_[type]) return;
    withdraw(update_error::kMissingWellKnown, ByteSpan(&type, 1), fmt::format("{} is missing (RFC 7606 3 d)", name));
  }

  // RFC 4271 6.3: the leftmost AS of an external neighbour's path is its own.
  void check_first_as() {
    if (context_.internal || !context_.enforce_first_as || !seen_[attribute::kAsPath]) return;
    if (out_.action >= ErrorAction::treat_as_withdraw) return;
    if (out_.attributes.as_path.first() != context_.remote_as) {
      withdraw(update_error::kAsPath, {},
               fmt::format("AS_PATH does not begin with the neighbour's AS {} (RFC 4271 6.3)", context_.remote_as));
    }
  }

  static Ipv6Address loopback_v6() {
    Ipv6Address address;
    address.bytes[15] = 1;
    return address;
  }
  static bool host_address(const IpAddress& address) {
    if (address.is_zero()) return false;
    if (address.is_v6()) return !address.v6().is_multicast() && address.v6() != loopback_v6();
    const auto v4 = address.v4();
    return !v4.is_multicast() && !v4.is_loopback() && !v4.is_broadcast() && v4.value >> 28 != 0xf;
  }

  // RFC 6793 4.2.3.
  void merge_as4() {
    auto& a = out_.attributes;
    if (a.aggregator && as4_aggregator_) {
      if (a.aggregator->as != kAsTrans) return;  // somebody old changed it since: both AS4 attributes are out of date
      a.aggregator = as4_aggregator_;
    }
    if (as4_path_) a.as_path = AsPath::merge(a.as_path, *as4_path_);
  }

  void discard(const RawAttribute& raw, std::string_view why) {
    ++out_.discarded;
    worsen(ErrorAction::attribute_discard, fmt::format("attribute {}: {}", raw.type, why));
  }
  void withdraw(std::uint8_t subcode, ByteSpan data, std::string why) {
    if (out_.action < ErrorAction::treat_as_withdraw) {
      out_.notification = Notification{code::kUpdate, subcode, Bytes(data.begin(), data.end())};
    }
    worsen(ErrorAction::treat_as_withdraw, std::move(why));
  }
  void reset(std::uint8_t subcode, ByteSpan data, std::string why) {
    out_.notification = Notification{code::kUpdate, subcode, Bytes(data.begin(), data.end())};
    worsen(ErrorAction::session_reset, std::move(why));
  }
  void worsen(ErrorAction action, std::string why) {
    if (action <= out_.action) return;
    out_.action = action;
    out_.error = std::move(why);
  }

  ByteSpan bytes_;
  bool has_nlri_;
  const DecodeContext& context_;
  DecodedAttributes out_;
  std::bitset<256> seen_;
  std::optional<AsPath> as4_path_;
  std::optional<Aggregator> as4_aggregator_;
};

}  // namespace

DecodedAttributes decode_attributes(ByteSpan bytes, bool has_nlri, const DecodeContext& context) {
  return Decoder(bytes, has_nlri, context).run();
}

}  // namespace sluice::bgp
