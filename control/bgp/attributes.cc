// PathAttributes: hash, text of communities, and the encoder.
#include "control/bgp/attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace sluice::bgp {
namespace {

class Hasher {
 public:
  void add(std::uint64_t value) {
    state_ ^= value;
    state_ *= 0x9e3779b97f4a7c15;
    state_ ^= state_ >> 32;
  }
  template <typename T>
  void add(const std::optional<T>& value) {
    add(value ? 1 + std::uint64_t{*value} : 0);
  }
  template <typename Range>
  void add_all(const Range& range) {
    add(std::uint64_t{std::size(range)});
    for (const auto item : range) add(std::uint64_t{item});
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3;
};

std::string extended_community_text(std::uint64_t c) {
  const auto type = static_cast<unsigned>(c >> 56) & 0x3f, subtype = static_cast<unsigned>(c >> 48) & 255;
  const auto name = subtype == 2 ? "rt" : subtype == 3 ? "soo" : nullptr;
  if (name == nullptr || type > 2) return fmt::format("ext:{:016x}", c);
  const auto low = static_cast<std::uint32_t>(c);
  if (type == 0) return fmt::format("{}:{}:{}", name, c >> 32 & 0xffff, low);
  const auto global = static_cast<std::uint32_t>(c >> 16);
  if (type == 1) return fmt::format("{}:{}:{}", name, Ipv4Address{global}.text(), low & 0xffff);
  return fmt::format("{}:{}:{}", name, global, low & 0xffff);
}

}  // namespace

bool PathAttributes::has_community(std::uint32_t community) const {
  return std::find(communities.begin(), communities.end(), community) != communities.end();
}

std::uint64_t PathAttributes::hash() const {
  Hasher h;
  h.add(static_cast<std::uint64_t>(origin) << 1 | (atomic_aggregate ? 1 : 0));
  h.add_all(as_path.words());
  if (next_hop.is_v4()) {
    h.add(std::uint64_t{next_hop.v4().value});
  } else {
    h.add_all(next_hop.v6().bytes);
  }
  h.add(med);
  h.add(local_pref);
  h.add(aggregator ? std::uint64_t{aggregator->as} << 32 | aggregator->address : 0);
  h.add(originator_id);
  h.add(only_to_customer);
  h.add_all(cluster_list);
  h.add_all(communities);
  h.add_all(extended_communities);
  for (const auto& c : large_communities) {
    h.add(std::uint64_t{c.global} << 32 | c.local1);
    h.add(std::uint64_t{c.local2});
  }
  return h.value();
}

std::string communities_text(const PathAttributes& attributes) {
  std::vector<std::string> words;
  for (const auto c : attributes.communities) words.push_back(community_text(c));
  for (const auto& c : attributes.large_communities) {
    words.push_back(community_text(c));
  }
  for (const auto c : attributes.extended_communities) words.push_back(extended_community_text(c));
  return fmt::format("{}", fmt::join(words, " "));
}

namespace {

// Writes flags, type and length; the length field is made two octets wide when needed.
void write_attribute(Writer& out, std::uint8_t flags, std::uint8_t type, ByteSpan value) {
  const bool extended = value.size() > 255;
  out.u8(flags | (extended ? attribute::kFlagExtended : 0u));
  out.u8(type);
  if (extended) {
    out.u16(static_cast<unsigned>(value.size()));
  } else {
    out.u8(static_cast<unsigned>(value.size()));
  }
  out.bytes(value);
}

constexpr std::uint8_t kWellKnown = attribute::kFlagTransitive;
constexpr std::uint8_t kOptionalTransitive = attribute::kFlagOptional | attribute::kFlagTransitive;
constexpr std::uint8_t kOptional = attribute::kFlagOptional;

void write_u32(Writer& out, std::uint8_t flags, std::uint8_t type, std::uint32_t value) {
  Bytes bytes;
  Writer(bytes).u32(value);
  write_attribute(out, flags, type, bytes);
}

void write_next_hop(Writer& out, const IpAddress& next_hop) {
  if (next_hop.is_v4()) {
    out.u32(next_hop.v4().value);
  } else {
    const auto address = next_hop.v6();
    out.bytes(address.bytes);
  }
}

void write_as_path(Writer& out, const PathAttributes& attributes, bool four_octet) {
  Bytes value;
  Writer writer(value);
  attributes.as_path.encode(writer, four_octet);
  write_attribute(out, kWellKnown, attribute::kAsPath, value);
}

void write_aggregator(Writer& out, const Aggregator& aggregator, bool four_octet, std::uint8_t type) {
  Bytes value;
  Writer writer(value);
  if (four_octet) {
    writer.u32(aggregator.as);
  } else {
    writer.u16(aggregator.as > 0xffff ? kAsTrans : aggregator.as);
  }
  writer.u32(aggregator.address);
  write_attribute(out, kOptionalTransitive, type, value);
}

void write_communities(Writer& out, const PathAttributes& a) {
  Bytes value;
  Writer writer(value);
  if (!a.communities.empty()) {
    for (const auto c : a.communities) writer.u32(c);
    write_attribute(out, kOptionalTransitive, attribute::kCommunities, value);
  }
}

void write_mp_reach(Writer& out, const PathAttributes& a, Family family, ByteSpan nlri) {
  Bytes value;
  Writer writer(value);
  writer.u16(afi_of(family));
  writer.u8(kSafiUnicast);
  writer.u8(a.next_hop.is_v4() ? 4 : 16);
  write_next_hop(writer, a.next_hop);
  writer.u8(0);
  writer.bytes(nlri);
  write_attribute(out, kOptional, attribute::kMpReach, value);
}

void write_extended(Writer& out, const PathAttributes& a) {
  Bytes value;
  Writer writer(value);
  if (!a.extended_communities.empty()) {
    for (const auto c : a.extended_communities) {
      writer.u32(static_cast<std::uint32_t>(c >> 32));
      writer.u32(static_cast<std::uint32_t>(c));
    }
    write_attribute(out, kOptionalTransitive, attribute::kExtendedCommunities, value);
  }
}

void write_large(Writer& out, const PathAttributes& a) {
  Bytes value;
  Writer writer(value);
  if (!a.large_communities.empty()) {
    for (const auto& c : a.large_communities) {
      writer.u32(c.global);
      writer.u32(c.local1);
      writer.u32(c.local2);
    }
    write_attribute(out, kOptionalTransitive, attribute::kLargeCommunities, value);
  }
}

}  // namespace

// In order of type code, as RFC 4271 5 recommends, but MP_REACH_NLRI first (RFC 7606 5.1).
void encode_attributes(Writer& out, const PathAttributes& a, const EncodeContext& context,
                       std::optional<Family> mp_family, ByteSpan mp_nlri) {
  if (mp_family) write_mp_reach(out, a, *mp_family, mp_nlri);
  const std::uint8_t origin[] = {static_cast<std::uint8_t>(a.origin)};
  write_attribute(out, kWellKnown, attribute::kOrigin, origin);
  write_as_path(out, a, context.four_octet_as);
  if (!mp_family) {
    Bytes next_hop;
    Writer writer(next_hop);
    write_next_hop(writer, a.next_hop);
    write_attribute(out, kWellKnown, attribute::kNextHop, next_hop);
  }
  if (a.med) write_u32(out, kOptional, attribute::kMed, *a.med);
  if (context.internal && a.local_pref) write_u32(out, kWellKnown, attribute::kLocalPref, *a.local_pref);
  if (a.atomic_aggregate) write_attribute(out, kWellKnown, attribute::kAtomicAggregate, {});
  if (a.aggregator) write_aggregator(out, *a.aggregator, context.four_octet_as, attribute::kAggregator);
  write_communities(out, a);
  write_extended(out, a);
  // RFC 6793 4.2.2: an old speaker gets the true numbers beside the short ones, only when they differ.
  if (!context.four_octet_as && !a.as_path.fits_two_octets()) {
    Bytes value;
    Writer writer(value);
    a.as_path.without_confederation().encode(writer, true);
    write_attribute(out, kOptionalTransitive, attribute::kAs4Path, value);
  }
  if (!context.four_octet_as && a.aggregator && a.aggregator->as > 0xffff) {
    write_aggregator(out, *a.aggregator, true, attribute::kAs4Aggregator);
  }
  write_large(out, a);
  if (a.only_to_customer) write_u32(out, kOptionalTransitive, attribute::kOnlyToCustomer, *a.only_to_customer);
}

}  // namespace sluice::bgp
