// Every error that ends a session, and the NOTIFICATION it gets: code, subcode and data as the RFCs say, one row each.
#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::notification_test {
namespace {

using namespace testing;

enum class In { open_sent, open_confirm, established };

struct Row {
  const char* name;
  const char* section;
  In state;
  Bytes bytes;     // what the neighbour sends
  Bytes expected;  // code, subcode, data; empty: the session lives on
  bool external = false;
};

// A header that says `length` and `type`, followed by `rest` bytes.
Bytes header(unsigned length, unsigned type, std::size_t rest = 0) {
  Bytes out(16, 0xff);
  Writer w(out);
  w.u16(length);
  w.u8(type);
  out.resize(out.size() + rest);
  return out;
}

OpenMessage open_of(bool external) {
  auto open = calico_open("172.16.40.198");
  if (external) open.capabilities.four_octet_as = open.as = 64513;
  return open;
}
template <typename F>
Bytes open_with(F&& change, bool external = false) {
  auto open = open_of(external);
  change(open);
  return encode_open(open);
}
// An OPEN with these optional parameters, and their length said to be `length`.
Bytes open_raw(const Bytes& parameters, unsigned length) {
  return message_of(MessageType::open,
                    hex("04 fc00 00f0 ac1028c6") + Bytes{static_cast<std::uint8_t>(length)} + parameters);
}
Bytes update(const Bytes& attributes, const Bytes& nlri = {}, const Bytes& withdrawn = {}) {
  return message_of(MessageType::update, update_body(withdrawn, attributes, nlri));
}
Bytes refresh(std::string_view body) { return message_of(MessageType::route_refresh, hex(body)); }

const Bytes kGood = attr(0x40, 1, {0}) + attr(0x40, 2, {}) + attr(0x40, 3, hex("ac1028c6"));
const Bytes kShortMp = attr(0x80, 14, hex("0002 01 05 2001"));
const Bytes kCutMp = attr(0x80, 15, hex("0002 01 40 20010db8"));
const Bytes kUnknown = attr(0x40, 99, {7});
const Bytes kBadOrigin = attr(0x40, 1, {9});

std::vector<Row> table() {
  const auto sent = In::open_sent, confirm = In::open_confirm, up = In::established;
  const auto big = update(kGood + attr(0xd0, 8, Bytes(4400, 1)), hex("18 0af400"));
  return {
      // RFC 4271 6.1: the header; data is the length or the type that was wrong
      {"marker", "RFC 4271 6.1", up, hex("ffffffffffffffffffffffffffffff00 0013 04"), {1, 1}},
      {"marker, first byte", "RFC 4271 6.1", sent, hex("47"), {1, 1}},
      {"length 18", "RFC 4271 6.1", up, header(18, 4), hex("0102 0012")},
      {"length 0", "RFC 4271 6.1", sent, header(0, 1), hex("0102 0000")},
      {"OPEN of 28", "RFC 4271 6.1", sent, header(28, 1), hex("0102 001c")},
      {"OPEN of 4097", "RFC 8654 4", sent, header(4097, 1), hex("0102 1001")},
      {"UPDATE of 22", "RFC 4271 6.1", up, header(22, 2), hex("0102 0016")},
      {"KEEPALIVE of 20", "RFC 4271 6.1", up, header(20, 4), hex("0102 0014")},
      {"KEEPALIVE of 5000", "RFC 8654 4", up, header(5000, 4), hex("0102 1388")},
      {"NOTIFICATION of 20", "RFC 4271 6.1", up, header(20, 3), hex("0102 0014")},
      {"type 0", "RFC 4271 6.1", up, header(19, 0), hex("0103 00")},
      {"type 6", "RFC 4271 6.1", up, header(19, 6), hex("0103 06")},
      // we have said that we can, so it may send long ones, even if it cannot read them itself
      {"UPDATE of more than 4096", "RFC 8654 4", up, big, {}},
      // RFC 4271 6.2: OPEN
      {"version 3", "RFC 4271 6.2", sent, open_with([](auto& o) { o.version = 3; }), hex("0201 0004")},
      {"version 5", "RFC 4271 6.2", sent, open_with([](auto& o) { o.version = 5; }), hex("0201 0004")},
      {"another AS",
       "RFC 4271 6.2",
       sent,
       open_with([](auto& o) { o.capabilities.four_octet_as = o.as = 64999; }),
       {2, 2}},
      {"AS 0", "RFC 7607 2", sent, open_with([](auto& o) { o.capabilities.four_octet_as.reset(), o.as = 0; }), {2, 2}},
      {"AS 0 in the capability",
       "RFC 6793 9",
       sent,
       open_with([](auto& o) { o.capabilities.four_octet_as = 0; }),
       {2, 2}},
      {"the field right, the capability another AS",
       "RFC 6793 4.1",
       sent,
       open_with([](auto& o) { o.capabilities.four_octet_as = 70000; }),
       {2, 2}},
      {"hold time 1", "RFC 4271 6.2", sent, open_with([](auto& o) { o.hold_time_s = 1; }), {2, 6}},
      {"hold time 2", "RFC 4271 6.2", sent, open_with([](auto& o) { o.hold_time_s = 2; }), {2, 6}},
      {"hold time 0", "RFC 4271 4.2", sent, open_with([](auto& o) { o.hold_time_s = 0; }), {}},
      {"hold time 3", "RFC 4271 4.2", sent, open_with([](auto& o) { o.hold_time_s = 3; }), {}},
      {"identifier 0", "RFC 6286 2.2", sent, open_with([](auto& o) { o.identifier = 0; }), {2, 3}},
      {"our identifier, internal", "RFC 6286 2.2", sent, open_with([](auto& o) { o.identifier = 0xac1028ca; }), {2, 3}},
      {"our identifier, external",
       "RFC 6286 2.1",
       sent,
       open_with([](auto& o) { o.identifier = 0xac1028ca; }, true),
       {},
       true},
      {"identifier that is no host's address",
       "RFC 6286 2.1",
       sent,
       open_with([](auto& o) { o.identifier = 0xe0000001; }),
       {}},
      {"unknown optional parameter", "RFC 4271 6.2", sent, open_raw(hex("01 00"), 2), {2, 4}},
      {"parameter too long", "RFC 4271 6.2", sent, open_raw(hex("02 09 0104 00010001"), 8), {2, 0}},
      {"capability too long", "RFC 5492 4", sent, open_raw(hex("02 04 0109 0001"), 6), {2, 0}},
      {"parameters longer than the message", "RFC 4271 6.2", sent, open_raw({}, 6), {2, 0}},
      {"parameters shorter than the message", "RFC 4271 6.2", sent, open_raw(hex("0200 0200"), 2), {2, 0}},
      {"extended parameters", "RFC 9072 2", sent, open_raw(hex("ff 0009 02 0006 0104 00010001"), 255), {}},
      {"extended parameters, any first length",
       "RFC 9072 2",
       sent,
       open_raw(hex("ff 0009 02 0006 0104 00010001"), 4),
       {}},
      {"extended parameters, wrong length",
       "RFC 9072 2",
       sent,
       open_raw(hex("ff 000a 02 0006 0104 00010001"), 255),
       {2, 0}},
      {"extended parameters in extended parameters", "RFC 9072 2", sent, open_raw(hex("ff 0003 ff 0000"), 255), {2, 4}},
      {"no family in common", "RFC 5492 5", sent, open_with([](auto& o) {
         o.capabilities.multiprotocol = {false, true};
       }),
       hex("0207 0104 00010001")},
      {"a capability of wrong length is as if absent", "RFC 5492 4", sent, open_raw(hex("02 03 4101 00"), 5), {}},
      {"unknown capability", "RFC 5492 3", sent, open_raw(hex("02 04 f702 0001"), 6), {}},
      // RFC 6608: the wrong message for the state; data is its type
      {"UPDATE in OpenSent", "RFC 6608 4", sent, update({}), hex("0501 02")},
      {"KEEPALIVE in OpenSent", "RFC 6608 4", sent, header(19, 4), hex("0501 04")},
      {"ROUTE-REFRESH in OpenSent", "RFC 6608 4", sent, refresh("0001 00 01"), hex("0501 05")},
      {"UPDATE in OpenConfirm", "RFC 6608 4", confirm, update({}), hex("0502 02")},
      {"OPEN in OpenConfirm", "RFC 6608 4", confirm, encode_open(open_of(false)), hex("0502 01")},
      {"ROUTE-REFRESH in OpenConfirm", "RFC 6608 4", confirm, refresh("0001 00 01"), hex("0502 05")},
      {"OPEN in Established", "RFC 6608 4", up, encode_open(open_of(false)), hex("0503 01")},
      // RFC 4271 6.3: UPDATE; data is the attribute where the RFC says so
      {"lengths exceed the message", "RFC 4271 6.3", up, message_of(MessageType::update, hex("0000 0009 40")), {3, 1}},
      {"withdrawn length exceeds the message",
       "RFC 4271 6.3",
       up,
       message_of(MessageType::update, hex("0009 0000")),
       {3, 1}},
      {"MP_REACH_NLRI twice",
       "RFC 7606 3 g",
       up,
       update(attr(0x80, 14, hex("0002 01 10") + Bytes(17, 1)) + attr(0x80, 14, hex("0002 01 10") + Bytes(17, 1))),
       {3, 1}},
      {"unknown well-known", "RFC 4271 6.3", up, update(kGood + kUnknown, hex("18 0af400")), Bytes{3, 2} + kUnknown},
      {"ORIGIN, nothing announced", "RFC 7606 5.2", up, update(kBadOrigin), Bytes{3, 6} + kBadOrigin},
      {"MED, nothing announced", "RFC 7606 5.2", up, update(attr(0x80, 4, {1})), Bytes{3, 5} + attr(0x80, 4, {1})},
      {"flags, nothing announced", "RFC 7606 5.2", up, update(attr(0xc0, 1, {0})), Bytes{3, 4} + attr(0xc0, 1, {0})},
      {"announced routes", "RFC 7606 3 j", up, update(kGood, hex("21 0af4000000")), {3, 10}},
      {"withdrawn routes", "RFC 7606 3 i", up, update({}, {}, hex("18 0a")), {3, 10}},
      {"MP_REACH_NLRI too short", "RFC 7606 7.11", up, update(kGood + kShortMp), Bytes{3, 9} + kShortMp},
      {"MP_UNREACH_NLRI cut off", "RFC 7606 5.3", up, update(kCutMp), Bytes{3, 9} + kCutMp},
      // RFC 7313 5: data is the whole message
      {"BoRR of 3", "RFC 7313 5", up, refresh("0001 01"), Bytes{7, 1} + refresh("0001 01")},
      {"EoRR of 5", "RFC 7313 5", up, refresh("0001 02 01 00"), Bytes{7, 1} + refresh("0001 02 01 00")},
      {"request of 5", "RFC 4271 6.1", up, refresh("0001 00 01 00"), hex("0102 0018")},
      {"request of 0", "RFC 4271 6.1", up, refresh(""), hex("0102 0013")},
      {"unknown subtype of 5", "RFC 7313 5", up, refresh("0001 09 01 00"), {}},
      {"unknown subtype", "RFC 7313 5", up, refresh("0001 03 01"), {}},
      {"refresh of a family not agreed", "RFC 2918 4", up, refresh("0002 00 01"), {}},
      {"refresh of a strange family", "RFC 2918 4", up, refresh("4004 00 47"), {}},
  };
}

TEST(NotificationTable, CodeSubcodeAndData) {
  for (const auto& row : table()) {
    SCOPED_TRACE(std::string(row.name) + " (" + row.section + ")");
    auto settings = reference_settings();
    settings.neighbors.resize(1);
    if (row.external) settings.neighbors[0].session.remote_as = 64513;
    Bench bench(settings);
    const ConnId conn = 1;
    bench.step(input::Accepted{conn, {ip("172.16.40.202"), 179}, {ip("172.16.40.198"), 40000}});
    if (row.state != In::open_sent) bench.receive(conn, encode_open(open_of(row.external)));
    if (row.state == In::established) bench.receive(conn, encode_keepalive());
    bench.take(conn);
    bench.receive(conn, row.bytes);
    const auto messages = bench.take(conn);
    EXPECT_EQ(bench.closed.contains(conn), !row.expected.empty());
    Bytes got;
    for (const auto& m : messages) {
      if (m[18] == 3) got.assign(m.begin() + kHeaderSize, m.end());
    }
    EXPECT_EQ(got, row.expected);
    if (!row.expected.empty()) {
      EXPECT_EQ(messages.size(), 1u);
    }
  }
}

// We have not said that we can read long messages (RFC 8654 4).
TEST(NotificationTable, LongUpdateThatWasNotOffered) {
  auto settings = reference_settings();
  settings.neighbors[0].session.extended_messages = false;
  Bench bench(settings);
  const auto conn = bench.accept_from("172.16.40.198", calico_open("172.16.40.198"));
  bench.take(conn);
  bench.receive(conn, update(kGood + attr(0xd0, 8, Bytes(4400, 1)), hex("18 0af400")));
  const auto messages = bench.take(conn);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0][19], 1);
  EXPECT_EQ(messages[0][20], 2);
}

// RFC 9234 4.2: roles that do not go together, two roles, none where one is demanded.
TEST(NotificationTable, Roles) {
  struct Case {
    const char* name;
    Role ours;
    bool strict;
    std::optional<std::uint8_t> theirs;
    bool refused;
  };
  for (const auto& c :
       {Case{"customer of a provider", Role::customer, true, 0, false},
        Case{"provider of a customer", Role::provider, true, 3, false},
        Case{"two providers", Role::provider, false, 0, true}, Case{"unassigned role", Role::peer, false, 9, true},
        Case{"none, strict", Role::peer, true, std::nullopt, true},
        Case{"none, not strict", Role::peer, false, std::nullopt, false}}) {
    SCOPED_TRACE(c.name);
    auto settings = reference_settings();
    settings.neighbors[0].session.remote_as = 64513;
    settings.neighbors[0].session.role = c.ours;
    settings.neighbors[0].session.role_strict = c.strict;
    Bench bench(settings);
    auto open = open_of(true);
    open.capabilities.role = c.theirs;
    const auto conn = bench.accept_from("172.16.40.198", open);
    EXPECT_EQ(bench.closed.contains(conn), c.refused);
    if (c.refused) {
      EXPECT_EQ(bench.take(conn).back()[19], 2);
      EXPECT_EQ(bench.downs.size(), 0u);
    }
  }
  auto settings = reference_settings();
  settings.neighbors[0].session.remote_as = 64513;
  settings.neighbors[0].session.role = Role::customer;
  Bench bench(settings);
  bench.step(input::Accepted{1, {ip("172.16.40.202"), 179}, {ip("172.16.40.198"), 40000}});
  bench.take(1);
  bench.receive(1, message_of(MessageType::open, hex("04 fc01 00f0 ac1028c6 08 02 06 0901 00 0901 03")));
  const auto messages = bench.take(1);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(Bytes(messages[0].begin() + 19, messages[0].end()), (Bytes{2, 11}));
}

// RFC 4271 6.5, RFC 9687, RFC 4486 4.
TEST(NotificationTable, TimersAndLimits) {
  auto settings = reference_settings();
  settings.neighbors[0].session.prefixes_max = 1;
  Bench bench(settings);
  auto conn = bench.accept_from("172.16.40.198", calico_open("172.16.40.198"));
  bench.take(conn);
  bench.receive(conn, update(kGood, hex("18 0af400 18 0af401")));
  EXPECT_EQ(Bytes(bench.take(conn)[0]), message_of(MessageType::notification, hex("0601 0001 01 00000001")));
  conn = bench.accept_from("172.16.40.199", calico_open("172.16.40.199"));
  bench.take(conn);
  bench.advance(91s);
  EXPECT_EQ(bench.take(conn).back(), message_of(MessageType::notification, {4, 0}));
}

// RFC 4486 4: the limit is one of an address family; the data say which was exceeded.
TEST(NotificationTable, PrefixLimitIsOfAFamily) {
  auto settings = reference_settings();
  settings.neighbors[0].session.prefixes_max = 1;
  settings.neighbors[0].session.ipv6_unicast = true;
  Bench bench(settings);
  auto open = calico_open("172.16.40.198");
  open.capabilities.multiprotocol[1] = true;
  const auto conn = bench.accept_from("172.16.40.198", open);
  bench.take(conn);
  const auto announce = [&](const char* block, const char* next_hop) {
    PathAttributes a;
    a.local_pref = 100;
    a.next_hop = ip(next_hop);
    Bytes out;
    const Nlri route{prefix(block), 0};
    encode_announcements(out, a, {true, true}, std::span(&route, 1), false, kMessageMax);
    bench.receive(conn, out);
  };
  announce("10.244.0.0/24", "172.16.40.198");
  announce("2001:db8:1::/64", "2001:db8::198");
  EXPECT_TRUE(bench.take(conn).empty());  // one of each
  announce("2001:db8:2::/64", "2001:db8::198");
  EXPECT_EQ(Bytes(bench.take(conn)[0]), message_of(MessageType::notification, hex("0601 0002 01 00000001")));
}

}  // namespace
}  // namespace sluice::bgp::notification_test
