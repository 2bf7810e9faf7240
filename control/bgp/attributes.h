// PathAttributes: what a route says of itself, as one value; decoded under RFC 7606, encoded for our announcements.
//
// Called by: update, policy, decide, attribute_table. Runs on: any thread.
// Follows: RFC 4271 4.3, 5 and 6.3, RFC 7606, 1997, 4360, 4456, 4760, 6793, 8092, 9234. Tested by:
// tests/control/bgp/codec_test.cc, tests/control/bgp/rfc7606_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/bgp/as_path.h"
#include "control/bgp/bytes.h"
#include "control/bgp/notification.h"
#include "control/bgp/wire.h"
#include "control/config/bgp_policy.h"
#include "dataplane/base/address.h"

namespace sluice::bgp {

enum class Origin : std::uint8_t { igp = 0, egp = 1, incomplete = 2 };

using config::community_text, config::LargeCommunity, config::parse_community;

struct Aggregator {
  std::uint32_t as = 0;
  std::uint32_t address = 0;
  friend bool operator==(const Aggregator&, const Aggregator&) = default;
};

struct PathAttributes {
  Origin origin = Origin::incomplete;
  bool atomic_aggregate = false;
  AsPath as_path;
  IpAddress next_hop;
  std::optional<std::uint32_t> med;
  std::optional<std::uint32_t> local_pref;
  std::optional<Aggregator> aggregator;
  std::optional<std::uint32_t> originator_id;
  std::optional<std::uint32_t> only_to_customer;  // RFC 9234
  std::vector<std::uint32_t> cluster_list;
  std::vector<std::uint32_t> communities;
  std::vector<std::uint64_t> extended_communities;
  std::vector<LargeCommunity> large_communities;

  bool has_community(std::uint32_t community) const;
  std::uint64_t hash() const;
  friend bool operator==(const PathAttributes&, const PathAttributes&) = default;
};

// "64512:100 graceful-shutdown 64512:1:2 rt:64512:3"
std::string communities_text(const PathAttributes& attributes);

// What RFC 7606 2 says to do with the UPDATE, mildest first.
enum class ErrorAction : std::uint8_t { none, attribute_discard, treat_as_withdraw, session_reset };

// How this session encodes, and what it may carry.
struct DecodeContext {
  bool internal = true;
  bool four_octet_as = true;
  bool extended_next_hop = false;
  std::array<bool, kFamilyCount> add_path{};
  std::uint32_t remote_as = 0;
  bool enforce_first_as = true;
};

struct MpReach {
  std::uint16_t afi = 0;
  std::uint8_t safi = 0;
  std::optional<Family> family;  // nullopt: none that we speak; ignored
  IpAddress next_hop;
  ByteSpan nlri;
  ByteSpan whole;  // the attribute with its header, as a NOTIFICATION quotes it
};
struct MpUnreach {
  std::uint16_t afi = 0;
  std::uint8_t safi = 0;
  std::optional<Family> family;
  ByteSpan nlri;
  ByteSpan whole;
};

struct DecodedAttributes {
  PathAttributes attributes;
  std::optional<MpReach> mp_reach;
  std::optional<MpUnreach> mp_unreach;
  bool other_than_mp_unreach = false;  // RFC 7606 5.2; true also for what is too broken to tell
  ErrorAction action = ErrorAction::none;
  std::optional<Notification> notification;  // with session_reset, and for RFC 7606 5.2 with treat_as_withdraw
  unsigned discarded = 0;
  std::string error;  // the worst, in words; empty: none
};

// `has_nlri`: the UPDATE announces IPv4 routes outside MP_REACH_NLRI, so NEXT_HOP is mandatory.
DecodedAttributes decode_attributes(ByteSpan bytes, bool has_nlri, const DecodeContext& context);

// For IPv4 routes (`mp_nlri` absent) with an IPv4 next hop, or with MP_REACH_NLRI for all else.
struct EncodeContext {
  bool internal = true;
  bool four_octet_as = true;
};
void encode_attributes(Writer& out, const PathAttributes& attributes, const EncodeContext& context,
                       std::optional<Family> mp_family = std::nullopt, ByteSpan mp_nlri = {});

}  // namespace sluice::bgp
