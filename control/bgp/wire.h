// The numbers of BGP-4 on the wire: message types, error codes, attributes, capabilities, families.
//
// Called by: all of control/bgp. Runs on: any thread. Follows: IANA "BGP Parameters", "Capability Codes".
// Tested by: tests/control/bgp/*
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice::bgp {

inline constexpr std::size_t kHeaderSize = 19;
inline constexpr std::size_t kMessageMax = 4096;
inline constexpr std::size_t kExtendedMessageMax = 65535;  // RFC 8654
inline constexpr std::uint32_t kAsTrans = 23456;           // RFC 6793
inline constexpr std::uint16_t kPort = 179;

enum class MessageType : std::uint8_t { open = 1, update = 2, notification = 3, keepalive = 4, route_refresh = 5 };

// RFC 4271 8.2.2.
enum class State : std::uint8_t { idle, connect, active, open_sent, open_confirm, established };
constexpr std::string_view name_of(State state) {
  constexpr std::string_view kNames[] = {"Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established"};
  return kNames[static_cast<std::size_t>(state)];
}

// RFC 4760; only unicast of both families is spoken.
inline constexpr std::uint16_t kAfiIpv4 = 1;
inline constexpr std::uint16_t kAfiIpv6 = 2;
inline constexpr std::uint8_t kSafiUnicast = 1;
enum class Family : std::uint8_t { ipv4 = 0, ipv6 = 1 };
inline constexpr std::size_t kFamilyCount = 2;
constexpr std::size_t index_of(Family family) { return static_cast<std::size_t>(family); }
constexpr std::uint16_t afi_of(Family family) { return family == Family::ipv4 ? kAfiIpv4 : kAfiIpv6; }

namespace code {  // NOTIFICATION error codes (RFC 4271 4.5, RFC 7313, RFC 9687)
inline constexpr std::uint8_t kHeader = 1, kOpen = 2, kUpdate = 3, kHoldTimer = 4, kFsm = 5, kCease = 6, kRefresh = 7,
                              kSendHoldTimer = 8;
}
namespace header_error {
inline constexpr std::uint8_t kNotSynchronized = 1, kBadLength = 2, kBadType = 3;
}
namespace open_error {  // RFC 4271 6.2, RFC 5492 5, RFC 9234
inline constexpr std::uint8_t kVersion = 1, kPeerAs = 2, kIdentifier = 3, kOptionalParameter = 4, kHoldTime = 6,
                              kCapability = 7, kRoleMismatch = 11;
}
namespace update_error {
inline constexpr std::uint8_t kAttributeList = 1, kUnknownWellKnown = 2, kMissingWellKnown = 3, kFlags = 4, kLength = 5,
                              kOrigin = 6, kNextHop = 8, kOptional = 9, kNetwork = 10, kAsPath = 11;
}
namespace fsm_error {  // RFC 6608
inline constexpr std::uint8_t kOpenSent = 1, kOpenConfirm = 2, kEstablished = 3;
}
namespace cease {  // RFC 4486, RFC 8538, RFC 9384
inline constexpr std::uint8_t kMaxPrefixes = 1, kShutdown = 2, kDeconfigured = 3, kReset = 4, kRejected = 5,
                              kConfigChange = 6, kCollision = 7, kOutOfResources = 8, kHardReset = 9, kBfdDown = 10;
}
namespace refresh_error {
inline constexpr std::uint8_t kBadLength = 1;
}

namespace attribute {
inline constexpr std::uint8_t kOrigin = 1, kAsPath = 2, kNextHop = 3, kMed = 4, kLocalPref = 5, kAtomicAggregate = 6,
                              kAggregator = 7, kCommunities = 8, kOriginatorId = 9, kClusterList = 10, kMpReach = 14,
                              kMpUnreach = 15, kExtendedCommunities = 16, kAs4Path = 17, kAs4Aggregator = 18,
                              kLargeCommunities = 32, kOnlyToCustomer = 35;
inline constexpr std::uint8_t kFlagOptional = 0x80, kFlagTransitive = 0x40, kFlagPartial = 0x20, kFlagExtended = 0x10;
}  // namespace attribute

namespace capability {
inline constexpr std::uint8_t kMultiprotocol = 1, kRouteRefresh = 2, kExtendedNextHop = 5, kExtendedMessage = 6,
                              kRole = 9, kGracefulRestart = 64, kFourOctetAs = 65, kAddPath = 69, kEnhancedRefresh = 70,
                              kLongLivedRestart = 71, kRouteRefreshOld = 128;
}

namespace community {  // RFC 1997, RFC 8326, RFC 9494, RFC 7999
inline constexpr std::uint32_t kGracefulShutdown = 0xffff0000, kLongLivedStale = 0xffff0006, kNoLongLived = 0xffff0007,
                               kBlackhole = 0xffff029a, kNoExport = 0xffffff01, kNoAdvertise = 0xffffff02,
                               kNoExportSubconfed = 0xffffff03;
}

}  // namespace sluice::bgp
