// UPDATE: routes withdrawn and announced, and the verdict of RFC 7606 on the whole message; and the encoder of ours.
//
// Called by: speaker. Runs on: any thread. Follows: RFC 4271 4.3 and 6.3, RFC 7606, 4760, 7911, 4724 2 (End-of-RIB).
// Tested by: tests/control/bgp/codec_test.cc, tests/control/bgp/rfc7606_test.cc, tests/fuzz/bgp_fuzz.cc
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/bgp/attributes.h"
#include "control/bgp/bytes.h"
#include "control/bgp/wire.h"
#include "control/routing/ip_prefix.h"

namespace sluice::bgp {

struct Nlri {
  routing::IpPrefix prefix;
  std::uint32_t path_id = 0;
};

// Reads prefixes that valid_nlri() has accepted.
class NlriReader {
 public:
  NlriReader(ByteSpan bytes, Family family, bool add_path) : reader_(bytes), family_(family), add_path_(add_path) {}
  // False: the end, or (of unchecked bytes) an error.
  bool next(Nlri& out);
  bool failed() const { return failed_; }

 private:
  Reader reader_;
  Family family_;
  bool add_path_;
  bool failed_ = false;
};

// RFC 7606 5.3: every length in range and the last prefix ends with the field.
bool valid_nlri(ByteSpan bytes, Family family, bool add_path);

struct UpdateMessage {
  ByteSpan withdrawn;  // IPv4
  ByteSpan nlri;       // IPv4
  DecodedAttributes path;
  bool end_of_rib = false;
  Family end_of_rib_family = Family::ipv4;

  ErrorAction action() const { return path.action; }
};

// After it: withdrawn, nlri and the NLRI of both MP attributes are safe to read with NlriReader, unless the action is
// session_reset. With treat_as_withdraw, everything announced is to be withdrawn (RFC 7606 2).
UpdateMessage decode_update(ByteSpan body, const DecodeContext& context);

void write_nlri(Writer& out, const Nlri& nlri, bool add_path);
std::size_t nlri_size(const routing::IpPrefix& prefix, bool add_path);

// Messages for any number of routes with the same attributes, each at most `message_max` long, appended to `out`.
// IPv4 routes with an IPv4 next hop go in the message's own NLRI field, all else in MP_REACH_NLRI.
void encode_announcements(Bytes& out, const PathAttributes& attributes, const EncodeContext& context,
                          std::span<const Nlri> routes, bool add_path, std::size_t message_max);
void encode_withdrawals(Bytes& out, std::span<const Nlri> routes, bool add_path, std::size_t message_max);
void encode_end_of_rib(Bytes& out, Family family);

}  // namespace sluice::bgp
