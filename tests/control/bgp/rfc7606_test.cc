// RFC 7606 as a table: each malformed UPDATE, on iBGP and eBGP, with the section that says what must happen to it.
#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::rfc7606_test {
namespace {

using namespace testing;

const Bytes kOrigin = attr(0x40, 1, {0});
const Bytes kPathInternal = attr(0x40, 2, {});
const Bytes kPathExternal = attr(0x40, 2, hex("0201 0000fc01"));  // AS 64513
const Bytes kNextHop = attr(0x40, 3, hex("ac1028c7"));
const Bytes kLocalPref = attr(0x40, 5, hex("00000064"));
const Bytes kNlri = hex("18 0af400");
const Bytes kMpReach = attr(0x80, 14, hex("0002 01 10 20010db8000000000000000000000001 00 40 20010db800000001"));

enum class Side { internal, external, both };

struct Case {
  const char* name;
  const char* section;
  Side side;
  Bytes attributes;  // beside ORIGIN, AS_PATH, NEXT_HOP and LOCAL_PREF unless `bare`
  ErrorAction expected;
  std::uint8_t subcode = 0;  // of the NOTIFICATION with session_reset
  bool bare = false;         // `attributes` are all of them
  Bytes nlri = kNlri;
  Bytes withdrawn = {};
};

Bytes without(unsigned skip, bool internal) {
  Bytes out;
  if (skip != 1) out = out + kOrigin;
  if (skip != 2) out = out + (internal ? kPathInternal : kPathExternal);
  if (skip != 3) out = out + kNextHop;
  if (internal && skip != 5) out = out + kLocalPref;
  return out;
}

// A sequence of AS 64513 in segments of 200.
Bytes long_as_path(unsigned n) {
  Bytes out;
  Writer writer(out);
  for (; n > 0; n -= 200) {
    writer.u8(2);
    writer.u8(200);
    for (unsigned i = 0; i < 200; ++i) writer.u32(64513);
  }
  return out;
}
Bytes shorter(Bytes bytes) {
  bytes.resize(bytes.size() - 4);
  return bytes;
}

constexpr auto kWithdraw = ErrorAction::treat_as_withdraw;
constexpr auto kDiscard = ErrorAction::attribute_discard;
constexpr auto kReset = ErrorAction::session_reset;
constexpr auto kNone = ErrorAction::none;

// `replaced`: which of the four is left out because the case brings its own.
struct Row {
  Case c;
  unsigned replaced = 0;
};

std::vector<Row> table() {
  const auto b = Side::both, i = Side::internal, e = Side::external;
  return {
      // 3 c: flags
      {{"ORIGIN optional", "3 c", b, attr(0xc0, 1, {0}), kWithdraw}, 1},
      {{"ORIGIN not transitive", "3 c", b, attr(0x00, 1, {0}), kWithdraw}, 1},
      {{"AS_PATH optional", "3 c", b, attr(0xc0, 2, hex("0201 0000fc01")), kWithdraw}, 2},
      {{"NEXT_HOP optional", "3 c", b, attr(0xc0, 3, hex("ac1028c7")), kWithdraw}, 3},
      {{"LOCAL_PREF optional", "3 c", i, attr(0xc0, 5, hex("00000064")), kWithdraw}, 5},
      {{"MULTI_EXIT_DISC well-known", "3 c", b, attr(0x40, 4, hex("00000001")), kWithdraw}},
      {{"COMMUNITIES not transitive", "3 c", b, attr(0x80, 8, hex("fc000001")), kWithdraw}},
      {{"ORIGINATOR_ID transitive", "3 c", i, attr(0xc0, 9, hex("01010101")), kWithdraw}},
      {{"CLUSTER_LIST transitive", "3 c", i, attr(0xc0, 10, hex("01010101")), kWithdraw}},
      {{"ATOMIC_AGGREGATE optional", "3 c", b, attr(0xc0, 6, {}), kWithdraw}},
      {{"AGGREGATOR not transitive", "3 c", b, attr(0x80, 7, hex("0000fc0101010101")), kWithdraw}},
      {{"EXTENDED COMMUNITIES well-known", "3 c", b, attr(0x40, 16, hex("0002fc0000000001")), kWithdraw}},
      {{"MP_REACH_NLRI transitive", "3 c", b, attr(0xc0, 14, hex("0002 01 10 20010db8000000000000000000000001 00")),
        kWithdraw}},
      // the partial bit and unused bits are no error
      {{"partial COMMUNITIES", "3 c", b, attr(0xe0, 8, hex("fc000001")), kNone}},
      {{"unused flag bits", "RFC 4271 4.3", b, attr(0x4f, 1, {0}), kNone}, 1},
      {{"AS_PATH not transitive", "3 c", b, attr(0x00, 2, hex("0201 0000fc01")), kWithdraw}, 2},
      {{"NEXT_HOP not transitive", "3 c", b, attr(0x00, 3, hex("ac1028c7")), kWithdraw}, 3},
      {{"MULTI_EXIT_DISC transitive", "3 c", b, attr(0xc0, 4, hex("00000001")), kWithdraw}},
      {{"LARGE_COMMUNITY not transitive", "3 c", b, attr(0x80, 32, hex("000000010000000200000003")), kWithdraw}},
      {{"ONLY_TO_CUSTOMER not transitive", "3 c", b, attr(0x80, 35, hex("0000fc01")), kWithdraw}},
      {{"AS4_PATH well-known", "3 c", b, attr(0x40, 17, hex("0201 0000fc01")), kWithdraw}},
      {{"MP_UNREACH_NLRI transitive", "3 c", b, attr(0xc0, 15, hex("000201")), kWithdraw}},
      {{"ATOMIC_AGGREGATE not transitive", "3 c", b, attr(0x00, 6, {}), kWithdraw}},
      // 3 d: missing
      {{"ORIGIN missing", "3 d", b, {}, kWithdraw}, 1},
      {{"AS_PATH missing", "3 d", b, {}, kWithdraw}, 2},
      {{"NEXT_HOP missing", "3 d", b, {}, kWithdraw}, 3},
      // 3 g: twice
      {{"ORIGIN twice", "3 g", b, kOrigin, kDiscard}},
      {{"MED twice", "3 g", b, attr(0x80, 4, hex("00000001")) + attr(0x80, 4, hex("00000002")), kDiscard}},
      {{"MP_REACH_NLRI twice", "3 g", b, kMpReach + kMpReach, kReset, update_error::kAttributeList}},
      {{"MP_UNREACH_NLRI twice", "3 g", b, attr(0x80, 15, hex("000201")) + attr(0x80, 15, hex("000201")), kReset,
        update_error::kAttributeList}},
      {{"unknown attribute twice", "3 g", b, attr(0xc0, 99, {1}) + attr(0xc0, 99, {2}), kDiscard}},
      {{"COMMUNITIES twice, the second bad", "3 g", b, attr(0xc0, 8, hex("fc000001")) + attr(0xc0, 8, {1}), kDiscard}},
      {{"AS_PATH twice", "3 g", b, attr(0x40, 2, hex("0201 0000fc09")), kDiscard}},
      {{"NEXT_HOP three times", "3 g", b, kNextHop + kNextHop, kDiscard}},
      {{"LOCAL_PREF twice", "3 g", i, kLocalPref, kDiscard}},
      // 3 i, 3 j, 5.3: prefixes
      {{"NLRI length 33", "3 j", b, {}, kReset, update_error::kNetwork, false, hex("21 0af4000000")}},
      {{"NLRI cut off", "3 j", b, {}, kReset, update_error::kNetwork, false, hex("18 0af4")}},
      {{"withdrawn length 33", "3 i", b, {}, kReset, update_error::kNetwork, false, kNlri, hex("21 0af4000000")}},
      {{"withdrawn cut off", "3 i", b, {}, kReset, update_error::kNetwork, false, kNlri, hex("20 0af400")}},
      {{"MP NLRI length 129", "5.3", b,
        attr(0x80, 14, hex("0002 01 10 20010db8000000000000000000000001 00 81 20010db8000000010000000000000000 00")),
        kReset, update_error::kOptional}},
      {{"MP NLRI cut off", "5.3", b, attr(0x80, 14, hex("0002 01 10 20010db8000000000000000000000001 00 40 20010db8")),
        kReset, update_error::kOptional}},
      {{"MP withdrawn cut off", "5.3", b, attr(0x80, 15, hex("0002 01 40 20010db8")), kReset, update_error::kOptional}},
      {{"trailing bits of a prefix", "RFC 4271 4.3", b, {}, kNone, 0, false, hex("18 0af400 0f ffff")}},
      // 4: lengths
      {{"attribute longer than its field", "4", b, hex("400501"), kWithdraw}, 5},
      {{"attribute of three bytes left", "4", b, hex("c0 08 ff 01"), kWithdraw}},
      {{"one byte left over", "4", b, hex("40"), kWithdraw}},
      {{"extended length cut off", "4", b, hex("d0 08 00"), kWithdraw}},
      {{"short value in extended length", "4", b, attr(0x50, 1, {0}), kNone}, 1},
      {{"MED longer than what is left", "4", b, hex("80 04 04 0000"), kWithdraw}},
      {{"cut off with nothing announced",
        "4, 5.2",
        b,
        hex("40"),
        kReset,
        update_error::kAttributeList,
        true,
        {},
        hex("18 0af401")}},
      {{"cut off behind MP_UNREACH_NLRI",
        "4, 5.2",
        b,
        attr(0x80, 15, hex("000201")) + hex("c0 08 09 01"),
        kReset,
        update_error::kAttributeList,
        true,
        {}}},
      {{"MP_REACH_NLRI cut off", "4, 5.3", b, hex("80 0e 20 0002 01 10"), kReset, update_error::kOptional}},
      {{"MP_UNREACH_NLRI cut off", "4, 5.3", b, hex("80 0f 09 0002 01"), kReset, update_error::kOptional}},
      {{"COMMUNITIES in extended length", "4", b, attr(0xd0, 8, hex("fc000001")), kNone}},
      // 5.2: nothing announced that could be withdrawn
      {{"bad MED, MP_REACH_NLRI without routes",
        "5.2",
        b,
        attr(0x80, 14, hex("0002 01 10 20010db8000000000000000000000001 00")) + attr(0x80, 4, {}),
        kReset,
        update_error::kLength,
        false,
        {}}},
      {{"bad MED beside MP_UNREACH_NLRI alone",
        "5.2",
        b,
        attr(0x80, 15, hex("000201 40 20010db800000001")) + attr(0x80, 4, {}),
        kReset,
        update_error::kLength,
        true,
        {}}},
      {{"bad MED beside withdrawn routes",
        "5.2",
        b,
        attr(0x80, 4, {}),
        kReset,
        update_error::kLength,
        true,
        {},
        hex("18 0af401")}},
      {{"good MED beside withdrawn routes",
        "5.2",
        b,
        attr(0x80, 4, hex("00000001")),
        kNone,
        0,
        true,
        {},
        hex("18 0af401")}},
      {{"bad ORIGIN, no routes", "5.2", b, attr(0x40, 1, {9}), kReset, update_error::kOrigin, false, {}}, 1},
      {{"bad AGGREGATOR, no routes", "5.2", b, attr(0xc0, 7, {1}), kDiscard, 0, false, {}}},
      // 7.1
      {{"ORIGIN of length 2", "7.1", b, attr(0x40, 1, {0, 0}), kWithdraw}, 1},
      {{"ORIGIN of length 0", "7.1", b, attr(0x40, 1, {}), kWithdraw}, 1},
      {{"ORIGIN 3", "7.1", b, attr(0x40, 1, {3}), kWithdraw}, 1},
      // 7.2
      {{"AS_PATH segment type 5", "7.2", b, attr(0x40, 2, hex("0501 0000fc01")), kWithdraw}, 2},
      {{"AS_PATH segment type 0", "7.2", b, attr(0x40, 2, hex("0001 0000fc01")), kWithdraw}, 2},
      {{"AS_PATH segment overrun", "7.2", b, attr(0x40, 2, hex("0202 0000fc01")), kWithdraw}, 2},
      {{"AS_PATH one byte left", "7.2", b, attr(0x40, 2, hex("0201 0000fc01 02")), kWithdraw}, 2},
      {{"AS_PATH empty segment", "7.2", b, attr(0x40, 2, hex("0201 0000fc01 0200")), kWithdraw}, 2},
      {{"AS 0 in AS_PATH", "RFC 7607", b, attr(0x40, 2, hex("0202 0000fc01 00000000")), kWithdraw}, 2},
      {{"AS_PATH of somebody else", "RFC 4271 6.3", e, attr(0x40, 2, hex("0201 0000fc05")), kWithdraw}, 2},
      {{"empty AS_PATH from outside", "RFC 4271 6.3", e, attr(0x40, 2, {}), kWithdraw}, 2},
      {{"confederation segments", "RFC 5065", b, attr(0x40, 2, hex("0301 0000fde9 0201 0000fc01")), kNone}, 2},
      {{"AS_PATH count of 0 alone", "7.2", b, attr(0x40, 2, hex("0200")), kWithdraw}, 2},
      {{"AS_PATH of one byte", "7.2", b, attr(0x40, 2, hex("02")), kWithdraw}, 2},
      {{"AS_PATH in 2-octet numbers", "7.2", b, attr(0x40, 2, hex("0201 fc01")), kWithdraw}, 2},
      {{"AS_PATH with a set of AS 0", "RFC 7607", b, attr(0x40, 2, hex("0201 0000fc01 0101 00000000")), kWithdraw}, 2},
      {{"AS_PATH begins with a set", "RFC 4271 6.3", e, attr(0x40, 2, hex("0101 0000fc01")), kWithdraw}, 2},
      {{"AS_PATH of 1,000 numbers", "7.2", b, attr(0x50, 2, long_as_path(1000)), kNone}, 2},
      {{"AS_PATH of 1,000 numbers, one missing", "7.2", b, attr(0x50, 2, shorter(long_as_path(1000))), kWithdraw}, 2},
      // 7.3
      {{"NEXT_HOP of length 5", "7.3", b, attr(0x40, 3, hex("ac1028c700")), kWithdraw}, 3},
      {{"NEXT_HOP of length 3", "7.3", b, attr(0x40, 3, hex("ac1028")), kWithdraw}, 3},
      {{"NEXT_HOP 0.0.0.0", "RFC 4271 6.3", b, attr(0x40, 3, hex("00000000")), kWithdraw}, 3},
      {{"NEXT_HOP multicast", "RFC 4271 6.3", b, attr(0x40, 3, hex("e0000001")), kWithdraw}, 3},
      {{"NEXT_HOP loopback", "RFC 4271 6.3", b, attr(0x40, 3, hex("7f000001")), kWithdraw}, 3},
      {{"NEXT_HOP of length 0", "7.3", b, attr(0x40, 3, {}), kWithdraw}, 3},
      {{"NEXT_HOP of length 16", "7.3", b, attr(0x40, 3, hex("20010db8000000000000000000000001")), kWithdraw}, 3},
      {{"NEXT_HOP broadcast", "RFC 4271 6.3", b, attr(0x40, 3, hex("ffffffff")), kWithdraw}, 3},
      {{"NEXT_HOP class E", "RFC 4271 6.3", b, attr(0x40, 3, hex("f0000001")), kWithdraw}, 3},
      // 7.4
      {{"MED of length 3", "7.4", b, attr(0x80, 4, hex("000001")), kWithdraw}},
      {{"MED of length 0", "7.4", b, attr(0x80, 4, {}), kWithdraw}},
      {{"MED of length 5", "7.4", b, attr(0x80, 4, hex("0000000100")), kWithdraw}},
      // 7.5
      {{"LOCAL_PREF of length 0", "7.5", i, attr(0x40, 5, {}), kWithdraw}, 5},
      {{"LOCAL_PREF missing", "RFC 4271 5.1.5", i, {}, kNone}, 5},
      {{"LOCAL_PREF of length 3", "7.5", i, attr(0x40, 5, hex("000064")), kWithdraw}, 5},
      {{"LOCAL_PREF from outside", "7.5", e, kLocalPref, kDiscard}},
      {{"bad LOCAL_PREF from outside", "7.5", e, attr(0x40, 5, {1}), kDiscard}},
      // 7.6
      {{"ATOMIC_AGGREGATE of length 1", "7.6", b, attr(0x40, 6, {0}), kDiscard}},
      // 7.7
      {{"AGGREGATOR of length 6", "7.7", b, attr(0xc0, 7, hex("fc0101010101")), kDiscard}},
      {{"AGGREGATOR AS 0", "RFC 7607", b, attr(0xc0, 7, hex("0000000001010101")), kDiscard}},
      {{"AGGREGATOR of length 0", "7.7", b, attr(0xc0, 7, {}), kDiscard}},
      {{"AGGREGATOR of length 9", "7.7", b, attr(0xc0, 7, hex("0000fc010101010100")), kDiscard}},
      {{"AGGREGATOR", "7.7", b, attr(0xc0, 7, hex("0000fc0101010101")), kNone}},
      // 7.8
      {{"COMMUNITIES of length 3", "7.8", b, attr(0xc0, 8, hex("fc0000")), kWithdraw}},
      {{"COMMUNITIES of 300 bytes", "7.8", b, attr(0xd0, 8, Bytes(300, 1)), kNone}},
      {{"COMMUNITIES of 301 bytes", "7.8", b, attr(0xd0, 8, Bytes(301, 1)), kWithdraw}},
      {{"unknown well-known community", "7.8", b, attr(0xc0, 8, hex("ffffff99")), kNone}},
      {{"COMMUNITIES of length 5", "7.8", b, attr(0xc0, 8, hex("fc00000100")), kWithdraw}},
      {{"COMMUNITIES of length 0", "7.8", b, attr(0xc0, 8, {}), kWithdraw}},
      // 7.9
      {{"ORIGINATOR_ID of length 5", "7.9", i, attr(0x80, 9, hex("0101010101")), kWithdraw}},
      {{"ORIGINATOR_ID from outside", "7.9", e, attr(0x80, 9, hex("01010101")), kDiscard}},
      {{"ORIGINATOR_ID of length 0", "7.9", i, attr(0x80, 9, {}), kWithdraw}},
      {{"bad ORIGINATOR_ID from outside", "7.9", e, attr(0x80, 9, {1}), kDiscard}},
      // 7.10
      {{"bad CLUSTER_LIST from outside", "7.10", e, attr(0x80, 10, {1}), kDiscard}},
      {{"CLUSTER_LIST of 260 bytes", "7.10", i, attr(0x90, 10, Bytes(260, 1)), kNone}},
      {{"CLUSTER_LIST of length 5", "7.10", i, attr(0x80, 10, hex("0101010101")), kWithdraw}},
      {{"CLUSTER_LIST of length 0", "7.10", i, attr(0x80, 10, {}), kWithdraw}},
      {{"CLUSTER_LIST from outside", "7.10", e, attr(0x80, 10, hex("01010101")), kDiscard}},
      // 7.11
      {{"MP_REACH_NLRI of 4 bytes", "7.11", b, attr(0x80, 14, hex("0002 01 00")), kReset, update_error::kOptional}},
      {{"MP_REACH_NLRI empty", "7.11", b, attr(0x80, 14, {}), kReset, update_error::kOptional}},
      {{"MP next hop of 5 bytes", "7.11", b, attr(0x80, 14, hex("0002 01 05 2001000000 00")), kReset,
        update_error::kOptional}},
      {{"MP next hop beyond the attribute", "7.11", b, attr(0x80, 14, hex("0002 01 20 2001000000 00")), kReset,
        update_error::kOptional}},
      {{"IPv6 next hop for IPv4, not agreed", "RFC 8950", b,
        attr(0x80, 14, hex("0001 01 10 20010db8000000000000000000000001 00 18 0af400")), kReset,
        update_error::kOptional}},
      {{"MP_REACH_NLRI of a strange family", "RFC 4760 6", b, attr(0x80, 14, hex("4004 47 00 00 1234")), kNone}},
      {{"MP next hop of no bytes", "7.11", b, attr(0x80, 14, hex("0002 01 00 00")), kReset, update_error::kOptional}},
      {{"MP next hop of 4 bytes for IPv6", "7.11", b, attr(0x80, 14, hex("0002 01 04 ac1028c7 00 40 20010db800000001")),
        kReset, update_error::kOptional}},
      {{"MP next hop of 32 bytes", "RFC 2545 3", b,
        attr(0x80, 14, hex("0002 01 20 20010db8000000000000000000000001 fe800000000000000000000000000001 00")), kNone}},
      {{"MP next hop multicast", "RFC 4271 6.3", b,
        attr(0x80, 14, hex("0002 01 10 ff020000000000000000000000000001 00 40 20010db800000001")), kWithdraw}},
      {{"MP next hop ::", "RFC 4271 6.3", b,
        attr(0x80, 14, hex("0002 01 10 00000000000000000000000000000000 00 40 20010db800000001")), kWithdraw}},
      {{"MP next hop ::1", "RFC 4271 6.3", b,
        attr(0x80, 14, hex("0002 01 10 00000000000000000000000000000001 00 40 20010db800000001")), kWithdraw}},
      {{"MP_REACH_NLRI of a strange family, next hop too long", "7.11", b, attr(0x80, 14, hex("4004 47 09 00")), kReset,
        update_error::kOptional}},
      // 7.12
      {{"MP_UNREACH_NLRI empty", "7.12", b, attr(0x80, 15, {}), kReset, update_error::kOptional}},
      {{"MP_UNREACH_NLRI length 129", "7.12, 5.3", b, attr(0x80, 15, hex("0002 01 81 20010db8")), kReset,
        update_error::kOptional}},
      {{"MP_UNREACH_NLRI of a strange family", "RFC 4760 6", b, attr(0x80, 15, hex("4004 47 ff")), kNone}},
      // 7.13: TRAFFIC ENGINEERING; 7.15: IPv6 extended communities; 7.16: ATTR_SET: not spoken: unknown and optional
      {{"TRAFFIC ENGINEERING of any length", "7.13", b, attr(0x80, 24, {1}), kNone}},
      {{"IPv6 extended communities of any length", "7.15", b, attr(0xc0, 25, {1, 2, 3}), kNone}},
      {{"ATTR_SET of any length", "7.16", b, attr(0xc0, 128, {1}), kNone}},
      {{"PMSI_TUNNEL of any length", "RFC 6514 5", b, attr(0xc0, 22, {1}), kNone}},
      {{"MP_UNREACH_NLRI of 2 bytes", "7.12", b, attr(0x80, 15, hex("0002")), kReset, update_error::kOptional}},
      // 7.14
      {{"EXTENDED COMMUNITIES of length 7", "7.14", b, attr(0xc0, 16, hex("00020000000001")), kWithdraw}},
      {{"EXTENDED COMMUNITIES of length 0", "7.14", b, attr(0xc0, 16, {}), kWithdraw}},
      {{"EXTENDED COMMUNITIES of a strange type", "7.14", b, attr(0xc0, 16, hex("7f02fc0000000001")), kNone}},
      // others
      {{"LARGE_COMMUNITY of length 11", "RFC 8092 6", b, attr(0xc0, 32, hex("0000000000000000000000")), kWithdraw}},
      {{"LARGE_COMMUNITY of length 0", "RFC 8092 6", b, attr(0xc0, 32, {}), kWithdraw}},
      {{"LARGE_COMMUNITY of 252 and 4 bytes", "RFC 8092 6", b, attr(0xd0, 32, Bytes(256, 1)), kWithdraw}},
      {{"LARGE_COMMUNITY twice the same", "RFC 8092 3", b,
        attr(0xc0, 32, hex("000000010000000200000003 000000010000000200000003")), kNone}},
      {{"ONLY_TO_CUSTOMER of length 0", "RFC 9234 5", b, attr(0xc0, 35, {}), kWithdraw}},
      {{"ONLY_TO_CUSTOMER of length 5", "RFC 9234 5", b, attr(0xc0, 35, hex("0000fc0100")), kWithdraw}},
      {{"unknown attribute, neither bit", "RFC 4271 6.3", b, attr(0x00, 99, {1}), kReset,
        update_error::kUnknownWellKnown}},
      {{"ONLY_TO_CUSTOMER of length 3", "RFC 9234 5", b, attr(0xc0, 35, hex("000001")), kWithdraw}},
      {{"AS4_PATH from a 4-octet neighbour", "RFC 6793 4.1", b, attr(0xc0, 17, hex("0201 0000fc01")), kDiscard}},
      {{"AS4_AGGREGATOR from a 4-octet neighbour", "RFC 6793 4.1", b, attr(0xc0, 18, hex("0000fc0101010101")),
        kDiscard}},
      {{"unknown optional attribute", "RFC 4271 6.3", b, attr(0xc0, 99, {1, 2, 3}), kNone}},
      {{"unknown optional attribute of length 0", "RFC 4271 6.3", b, attr(0x80, 99, {}), kNone}},
      {{"unknown well-known attribute", "RFC 4271 6.3", b, attr(0x40, 99, {1}), kReset,
        update_error::kUnknownWellKnown}},
      // 3 h: several errors: the strongest
      {{"discard and withdraw", "3 h", b, attr(0x40, 6, {0}) + attr(0xc0, 8, {}), kWithdraw}},
      {{"two kinds of withdraw", "3 h", b, attr(0xc0, 8, {}) + attr(0x80, 4, {}), kWithdraw}},
      {{"reset behind a withdraw in MP_REACH_NLRI", "3 h", b, attr(0xc0, 8, {}) + attr(0x80, 14, hex("0002 01 05")),
        kReset, update_error::kOptional}},
      {{"withdraw and reset", "3 h", b, attr(0xc0, 8, {}) + attr(0x80, 14, {}), kReset, update_error::kOptional}},
  };
}

DecodeContext context_of(bool internal) {
  DecodeContext context;
  context.internal = internal;
  context.remote_as = internal ? 64512 : 64513;
  return context;
}

Bytes attributes_of(const Case& c, unsigned replaced, bool internal) {
  return c.bare ? c.attributes : without(replaced, internal) + c.attributes;
}

class Rfc7606 : public ::testing::TestWithParam<bool> {};

TEST_P(Rfc7606, Table) {
  const bool internal = GetParam();
  for (const auto& [c, replaced] : table()) {
    if ((c.side == Side::internal && !internal) || (c.side == Side::external && internal)) continue;
    SCOPED_TRACE(std::string(c.name) + " (RFC 7606 " + c.section + ")" + (internal ? ", iBGP" : ", eBGP"));
    const auto body = update_body(c.withdrawn, attributes_of(c, replaced, internal), c.nlri);
    const auto update = decode_update(body, context_of(internal));
    EXPECT_EQ(static_cast<int>(update.action()), static_cast<int>(c.expected)) << update.path.error;
    EXPECT_EQ(update.path.error.empty(), c.expected == kNone);
    if (c.expected == kReset) {
      ASSERT_TRUE(update.path.notification);
      EXPECT_EQ(update.path.notification->code, code::kUpdate);
      EXPECT_EQ(update.path.notification->subcode, c.subcode);
    }
  }
}

// The same through a whole session: the route goes, stays, or the session ends.
TEST_P(Rfc7606, TableThroughTheSession) {
  const bool internal = GetParam();
  for (const auto& [c, replaced] : table()) {
    if ((c.side == Side::internal && !internal) || (c.side == Side::external && internal)) continue;
    SCOPED_TRACE(std::string(c.name) + " (RFC 7606 " + c.section + ")" + (internal ? ", iBGP" : ", eBGP"));
    auto settings = reference_settings();
    settings.neighbors.resize(1);
    settings.neighbors[0].session.remote_as = internal ? 64512 : 64513;
    Bench bench(settings);
    auto open = calico_open("172.16.40.198");
    open.as = internal ? 64512 : 64513;
    open.capabilities.four_octet_as = open.as;
    open.capabilities.graceful_restart.reset();
    const auto conn = bench.accept_from("172.16.40.198", open);
    // The route is there before, so that treat-as-withdraw has something to withdraw.
    bench.receive(conn, message_of(MessageType::update, update_body({}, without(0, internal), kNlri)));
    ASSERT_EQ(bench.routes.size(), 1u);
    bench.take(conn);
    bench.receive(
        conn, message_of(MessageType::update, update_body(c.withdrawn, attributes_of(c, replaced, internal), c.nlri)));
    const auto messages = bench.take(conn);
    if (c.expected == kReset) {
      ASSERT_EQ(messages.size(), 1u);
      EXPECT_EQ(messages[0][18], 3);  // NOTIFICATION
      EXPECT_EQ(messages[0][19], code::kUpdate);
      EXPECT_EQ(messages[0][20], c.subcode);
      EXPECT_TRUE(bench.routes.empty());
      EXPECT_TRUE(bench.closed.contains(conn));
    } else {
      EXPECT_TRUE(messages.empty());
      EXPECT_FALSE(bench.closed.contains(conn));
      EXPECT_EQ(bench.routes.contains(prefix("10.244.0.0/24")), c.expected != kWithdraw);
      EXPECT_EQ(bench.facts("172.16.40.198").treated_as_withdraw, c.expected == kWithdraw ? 1u : 0u);
    }
  }
}

// And for an IPv6 route in MP_REACH_NLRI, wherever the case is not about the place of the routes itself.
TEST_P(Rfc7606, TableForIpv6Routes) {
  const bool internal = GetParam();
  unsigned rows = 0;
  for (const auto& [c, replaced] : table()) {
    if ((c.side == Side::internal && !internal) || (c.side == Side::external && internal)) continue;
    if (c.bare || c.nlri != kNlri || !c.withdrawn.empty() || replaced == 3) continue;
    const auto type = c.attributes.size() > 1 ? c.attributes[1] : 0;
    if (type == attribute::kMpReach || type == attribute::kNextHop) continue;
    SCOPED_TRACE(std::string(c.name) + " (RFC 7606 " + c.section + ")" + (internal ? ", iBGP" : ", eBGP"));
    ++rows;
    auto settings = reference_settings();
    settings.neighbors.resize(1);
    settings.neighbors[0].session.remote_as = internal ? 64512 : 64513;
    settings.neighbors[0].session.ipv6_unicast = true;
    Bench bench(settings);
    auto open = calico_open("172.16.40.198");
    open.as = internal ? 64512 : 64513;
    open.capabilities.four_octet_as = open.as;
    open.capabilities.multiprotocol = {true, true};
    open.capabilities.graceful_restart.reset();
    const auto conn = bench.accept_from("172.16.40.198", open);
    bench.receive(conn, message_of(MessageType::update, update_body({}, kMpReach + without(3, internal), {})));
    const auto route = prefix("2001:db8:0:1::/64");
    ASSERT_TRUE(bench.routes.contains(route));
    bench.take(conn);
    auto attributes = kMpReach;
    if (replaced != 1) attributes = attributes + kOrigin;
    if (replaced != 2) attributes = attributes + (internal ? kPathInternal : kPathExternal);
    if (internal && replaced != 5) attributes = attributes + kLocalPref;
    bench.receive(conn, message_of(MessageType::update, update_body({}, attributes + c.attributes, {})));
    EXPECT_EQ(bench.closed.contains(conn), c.expected == kReset);
    EXPECT_EQ(bench.routes.contains(route), c.expected == kNone || c.expected == kDiscard);
  }
  EXPECT_GT(rows, 70u);
}

INSTANTIATE_TEST_SUITE_P(Sides, Rfc7606, ::testing::Values(true, false),
                         [](const auto& side) { return side.param ? "Internal" : "External"; });

// RFC 7606 3 h and 5.1: an error in the attributes withdraws what MP_REACH_NLRI announces, too.
TEST(Rfc7606Mp, TreatAsWithdrawReachesMpRoutes) {
  const auto body = update_body({}, kMpReach + attr(0x40, 1, {7}) + kPathInternal + kLocalPref, {});
  const auto update = decode_update(body, context_of(true));
  EXPECT_EQ(static_cast<int>(update.action()), static_cast<int>(kWithdraw));
  ASSERT_TRUE(update.path.mp_reach);
  NlriReader reader(update.path.mp_reach->nlri, Family::ipv6, false);
  Nlri nlri;
  ASSERT_TRUE(reader.next(nlri));
  EXPECT_EQ(nlri.prefix, prefix("2001:db8:0:1::/64"));
}

// RFC 6793 6: from a 2-octet neighbour a malformed AS4_PATH is discarded and AS_PATH used as it is.
TEST(Rfc7606As4, MalformedAs4PathIsDiscarded) {
  auto context = context_of(false);
  context.four_octet_as = false;
  const auto path = attr(0x40, 2, hex("0202 fc01 5ba0"));
  auto update =
      decode_update(update_body({}, kOrigin + path + kNextHop + attr(0xc0, 17, hex("0203 00000001")), kNlri), context);
  EXPECT_EQ(static_cast<int>(update.action()), static_cast<int>(kDiscard));
  EXPECT_EQ(update.path.attributes.as_path.text(), "64513 23456");
  update =
      decode_update(update_body({}, kOrigin + path + kNextHop + attr(0xc0, 17, hex("0201 00010000")), kNlri), context);
  EXPECT_EQ(static_cast<int>(update.action()), static_cast<int>(kNone));
  EXPECT_EQ(update.path.attributes.as_path.text(), "64513 65536");
}

// Cut at every length, nothing is read beyond the end and nothing is taken for good that is not.
TEST(Rfc7606Truncated, EveryLength) {
  const auto body = update_body(hex("18 0af401"), kOrigin + kPathInternal + kNextHop + kLocalPref + kMpReach, kNlri);
  for (std::size_t n = 0; n < body.size(); ++n) {
    const Bytes cut(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(n));
    const auto update = decode_update(cut, context_of(true));
    // Only where the cut falls between two prefixes, or is a message of its own, is it well-formed.
    if (update.action() == ErrorAction::none) {
      EXPECT_GE(n, body.size() - kNlri.size()) << n;
    }
  }
}

}  // namespace
}  // namespace sluice::bgp::rfc7606_test
