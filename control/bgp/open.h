// OPEN: who the other side is and what it can do; capabilities as values, and what two sides have in common.
//
// Called by: speaker. Runs on: any thread. Follows: RFC 4271 4.2 and 6.2, RFC 5492, 9072, 4760, 6793, 4724, 8538, 9494,
// 7911, 2918, 7313, 8654, 8950, 9234, 6286, 7607. Tested by: tests/control/bgp/codec_test.cc
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "control/bgp/bytes.h"
#include "control/bgp/notification.h"
#include "control/bgp/wire.h"

namespace sluice::bgp {

// ADD-PATH per family, as the sender of the OPEN means it (RFC 7911 4).
struct AddPath {
  bool receive = false, send = false;
  friend bool operator==(const AddPath&, const AddPath&) = default;
};

struct GracefulRestart {
  bool restarting = false;    // R bit
  bool notification = false;  // N bit (RFC 8538)
  std::uint16_t time_s = 0;   // 12 bits
  struct PerFamily {
    bool listed = false, forwarding_preserved = false;
    friend bool operator==(const PerFamily&, const PerFamily&) = default;
  };
  std::array<PerFamily, kFamilyCount> families{};
  friend bool operator==(const GracefulRestart&, const GracefulRestart&) = default;
};

struct LongLivedRestart {
  struct PerFamily {
    bool listed = false, forwarding_preserved = false;
    std::uint32_t time_s = 0;  // 24 bits
    friend bool operator==(const PerFamily&, const PerFamily&) = default;
  };
  std::array<PerFamily, kFamilyCount> families{};
  friend bool operator==(const LongLivedRestart&, const LongLivedRestart&) = default;
};

struct Capabilities {
  std::array<bool, kFamilyCount> multiprotocol{};
  bool any_multiprotocol = false;  // also of families that we do not speak
  bool route_refresh = false;
  bool route_refresh_old = false;  // code 128
  bool enhanced_refresh = false;
  bool extended_message = false;
  bool extended_next_hop = false;  // IPv4 unicast over IPv6
  std::optional<std::uint8_t> role;
  bool roles_differ = false;  // more than one, not the same (RFC 9234 4.2)
  std::optional<std::uint32_t> four_octet_as;
  std::optional<GracefulRestart> graceful_restart;
  std::optional<LongLivedRestart> long_lived_restart;
  std::array<AddPath, kFamilyCount> add_path{};
  std::vector<std::uint8_t> unknown;  // codes
  friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

struct OpenMessage {
  std::uint8_t version = 4;
  std::uint32_t as = 0;  // of the capability if there, else of the field
  std::uint16_t hold_time_s = 0;
  std::uint32_t identifier = 0;
  Capabilities capabilities;
  friend bool operator==(const OpenMessage&, const OpenMessage&) = default;
};

// What may not differ from what we expect of this neighbour.
struct OpenExpectation {
  std::uint32_t remote_as = 0;
  std::uint32_t local_as = 0;
  std::uint32_t local_identifier = 0;
};

// Syntax (RFC 4271 6.2, RFC 5492 4) and then acceptability.
std::variant<OpenMessage, Notification> decode_open(ByteSpan body);
std::optional<Notification> check_open(const OpenMessage& open, const OpenExpectation& expected);
Bytes encode_open(const OpenMessage& open);
Bytes encode_families(const Capabilities& caps);  // the multiprotocol capabilities alone

// RFC 9234: our role towards the neighbour. 4.2: does its role go with ours?
enum class Role : std::uint8_t {
  provider = 0,
  route_server = 1,
  route_server_client = 2,
  customer = 3,
  peer = 4,
  none = 255
};
std::optional<Notification> role_mismatch(Role ours, bool strict, const Capabilities& theirs);

// What a session does, given both OPENs.
struct Negotiated {
  bool internal = false;
  bool four_octet_as = false;
  bool extended_message = false;          // may be sent: both sides have said so
  bool extended_message_receive = false;  // may come: we have said so (RFC 8654 4)
  bool route_refresh = false;
  bool enhanced_refresh = false;
  bool extended_next_hop = false;
  std::array<bool, kFamilyCount> family{};
  std::array<bool, kFamilyCount> add_path_receive{};
  std::array<bool, kFamilyCount> add_path_send{};
  std::uint16_t hold_time_s = 0;  // the smaller; 0: no hold timer
  std::size_t send_max() const { return extended_message ? kExtendedMessageMax : kMessageMax; }
  std::size_t receive_max() const { return extended_message_receive ? kExtendedMessageMax : kMessageMax; }
  friend bool operator==(const Negotiated&, const Negotiated&) = default;
};
Negotiated negotiate(const OpenMessage& ours, const OpenMessage& theirs);

}  // namespace sluice::bgp
