// The codec against bytes that real daemons send, and back: OPEN, UPDATE, NOTIFICATION, ROUTE-REFRESH, framing.
#include <gtest/gtest.h>

#include "tests/control/bgp/support.h"

namespace sluice::bgp::codec_test {
namespace {

using namespace testing;

// calico/README.md, fact 1: 63 bytes, one parameter, seven capabilities.
const Bytes kCalicoOpen =
    hex("ffffffffffffffffffffffffffffffff 003f 01 04 fc00 00f0 ac1028c7 22 02 20"
        "0104 00010001 0200 4006 8078 00010180 4104 0000fc00 4504 00010103 4600 4700");

TEST(Open, CalicoOpenIsReadWhole) {
  ASSERT_EQ(kCalicoOpen.size(), 63u);
  const auto frame = std::get<Frame>(next_frame(kCalicoOpen, kMessageMax));
  EXPECT_EQ(frame.type, MessageType::open);
  const auto open = std::get<OpenMessage>(decode_open(frame.body));
  EXPECT_EQ(open, calico_open("172.16.40.199"));
  EXPECT_EQ(encode_open(open), kCalicoOpen);
}

// RFC 5492 4: unknown capabilities are no error; RFC 9072: the long form.
TEST(Open, ManyCapabilitiesInTheLongForm) {
  OpenMessage open = calico_open("172.16.40.199");
  auto bytes = encode_open(open);
  Bytes body(bytes.begin() + kHeaderSize, bytes.end());
  Bytes long_body(body.begin(), body.begin() + 9);
  Bytes parameters(body.begin() + 10, body.end());
  long_body = long_body + hex("ff ff 0023") + Bytes{2, 0, 0x20} + Bytes(parameters.begin() + 2, parameters.end());
  EXPECT_EQ(std::get<OpenMessage>(decode_open(long_body)), open);
}

TEST(Open, CutAtEveryLengthIsAnErrorAndNeverReadBeyond) {
  const Bytes body(kCalicoOpen.begin() + kHeaderSize, kCalicoOpen.end());
  for (std::size_t n = 0; n < body.size(); ++n) {
    const auto result = decode_open(ByteSpan(body).first(n));
    ASSERT_TRUE(std::holds_alternative<Notification>(result)) << n;
    EXPECT_EQ(std::get<Notification>(result).code, code::kOpen);
  }
}

TEST(Open, ErrorsHaveTheSubcodesOfRfc4271) {
  const auto check = [](OpenMessage open, std::uint32_t remote_as) {
    const auto error = check_open(open, {remote_as, 64512, ip("172.16.40.202").v4().value});
    return error ? int{error->subcode} : 0;
  };
  auto good = calico_open("172.16.40.199");
  EXPECT_EQ(check(good, 64512), 0);
  EXPECT_EQ(check(good, 64513), open_error::kPeerAs);
  auto bad = good;
  bad.as = 0;
  EXPECT_EQ(check(bad, 64512), open_error::kPeerAs);  // RFC 7607
  for (const unsigned hold : {1u, 2u}) {
    bad = good;
    bad.hold_time_s = static_cast<std::uint16_t>(hold);
    EXPECT_EQ(check(bad, 64512), open_error::kHoldTime);
  }
  bad = good;
  bad.hold_time_s = 0;
  EXPECT_EQ(check(bad, 64512), 0);
  bad = good;
  bad.identifier = 0;
  EXPECT_EQ(check(bad, 64512), open_error::kIdentifier);
  bad.identifier = ip("172.16.40.202").v4().value;  // ours: RFC 6286 2.2, only inside an AS
  EXPECT_EQ(check(bad, 64512), open_error::kIdentifier);
  bad.as = 64513;
  EXPECT_EQ(check(bad, 64513), 0);
  auto body = Bytes(kCalicoOpen.begin() + kHeaderSize, kCalicoOpen.end());
  body[0] = 3;
  const auto version = std::get<Notification>(decode_open(body));
  EXPECT_EQ(version.subcode, open_error::kVersion);
  EXPECT_EQ(version.data, hex("0004"));
  body[0] = 4;
  body[10] = 1;  // a parameter that is not capabilities
  EXPECT_EQ(std::get<Notification>(decode_open(body)).subcode, open_error::kOptionalParameter);
}

TEST(Open, NegotiationIsWhatBothCan) {
  auto ours = calico_open("172.16.40.202");
  ours.hold_time_s = 90;
  ours.capabilities.add_path[0] = {true, false};
  ours.capabilities.multiprotocol[1] = true;
  const auto n = negotiate(ours, calico_open("172.16.40.199"));
  EXPECT_EQ(n.hold_time_s, 90);
  EXPECT_TRUE(n.internal && n.four_octet_as && n.route_refresh && n.enhanced_refresh);
  EXPECT_TRUE(n.family[0]);
  EXPECT_FALSE(n.family[1]);
  EXPECT_TRUE(n.add_path_receive[0]);
  EXPECT_FALSE(n.add_path_send[0]);
  EXPECT_EQ(n.send_max(), kMessageMax);
}

// RFC 8538 3.1: what a Hard Reset wraps is told; a tower of them is not climbed.
TEST(NotificationText, NestedHardResets) {
  EXPECT_EQ((Notification{6, 9, {6, 2, 3, 'b', 'y', 'e'}}.text()),
            "Cease/Hard Reset (Cease/Administrative Shutdown: \"bye\")");
  Bytes tower;
  for (int i = 0; i < 32000; ++i) tower.insert(tower.end(), {6, 9});
  EXPECT_EQ((Notification{6, 9, tower}.text()), "Cease/Hard Reset (Cease/Hard Reset)");
}

// What a terminal could take for a command is not passed on: C0, C1 (U+0080..U+009F), bytes that are no UTF-8.
TEST(NotificationText, ControlCharactersAndBrokenUtf8) {
  const auto shown = [](std::string_view text) { return Notification::cease(cease::kShutdown, text).text(); };
  const auto around = [](std::string_view text) {
    return "Cease/Administrative Shutdown: \"" + std::string(text) + "\"";
  };
  EXPECT_EQ(shown("a\x1b[2Jb\x7f"), around("a?[2Jb?"));
  EXPECT_EQ(shown("\xc2\x9b\x32J"), around("?2J"));
  EXPECT_EQ(shown("\xc3\xa4\xe2\x82\xac"), around("\xc3\xa4\xe2\x82\xac"));
  EXPECT_EQ(shown("\xe0\x80\xaf|\xed\xa0\x80|\xf4\x90\x80\x80"), around("???|???|????"));
}

// RFC 6793 4.2.3: confederation segments lead the path or adjoin what is taken; nothing is taken twice.
TEST(AsPathMerge, ConfederationSegments) {
  const auto path = [](std::string_view two) { return AsPath::decode(hex(two), false).value(); };
  const auto four = [](std::string_view bytes) { return AsPath::decode(hex(bytes), true).value(); };
  const auto as4 = four("0201 00011170");  // 70000
  EXPECT_EQ(AsPath::merge(path("0301 fde9 0201 5ba0"), as4).text(), "(65001) 70000");
  EXPECT_EQ(AsPath::merge(path("0201 fc01 0301 fde9 0201 5ba0"), as4).text(), "64513 (65001) 70000");
  EXPECT_EQ(AsPath::merge(path("0202 fc01 5ba0 0301 fde9"), as4).text(), "64513 70000");
  EXPECT_EQ(AsPath::merge(path("0201 5ba0 0301 fde9"), as4).text(), "70000");
  EXPECT_EQ(AsPath::merge(path("0201 5ba0"), four("0202 00011170 00011171")).text(), "23456");
}

TEST(Role, Rfc9234Pairs) {
  const auto role = [](std::optional<std::uint8_t> r) {
    Capabilities caps;
    caps.role = r;
    return caps;
  };
  EXPECT_FALSE(role_mismatch(Role::customer, true, role(0)));
  EXPECT_FALSE(role_mismatch(Role::peer, true, role(4)));
  EXPECT_FALSE(role_mismatch(Role::route_server, true, role(2)));
  EXPECT_TRUE(role_mismatch(Role::customer, false, role(3)));
  EXPECT_TRUE(role_mismatch(Role::peer, true, role(std::nullopt)));
  EXPECT_FALSE(role_mismatch(Role::peer, false, role(std::nullopt)));
  EXPECT_FALSE(role_mismatch(Role::none, false, role(9)));
  auto two = role(0);
  two.roles_differ = true;
  EXPECT_TRUE(role_mismatch(Role::customer, false, two));
  EXPECT_FALSE(role_mismatch(Role::none, true, two));
}

// The UPDATE for a block and End-of-RIB, byte for byte as calico/README.md gives them.
TEST(Update, CalicoBlock) {
  const auto bytes =
      hex("ffffffffffffffffffffffffffffffff 0030 02 0000 0015 40010100 400200 400304ac1028c7 40050400000064 180af400");
  const auto frame = std::get<Frame>(next_frame(bytes, kMessageMax));
  const auto update = decode_update(frame.body, {});
  EXPECT_EQ(update.action(), ErrorAction::none);
  EXPECT_FALSE(update.end_of_rib);
  NlriReader reader(update.nlri, Family::ipv4, false);
  Nlri nlri;
  ASSERT_TRUE(reader.next(nlri));
  EXPECT_EQ(nlri.prefix, prefix("10.244.0.0/24"));
  EXPECT_FALSE(reader.next(nlri));
  EXPECT_EQ(update.path.attributes.next_hop, ip("172.16.40.199"));
  EXPECT_EQ(update.path.attributes.local_pref, 100u);
  EXPECT_EQ(block_update("172.16.40.199", "10.244.0.0/24"), bytes);
}

TEST(Update, EndOfRib) {
  EXPECT_EQ(end_of_rib(), hex("ffffffffffffffffffffffffffffffff 0017 02 0000 0000"));
  EXPECT_TRUE(decode_update(hex("0000 0000"), {}).end_of_rib);
  Bytes v6;
  encode_end_of_rib(v6, Family::ipv6);
  const auto update = decode_update(ByteSpan(v6).subspan(kHeaderSize), {});
  EXPECT_TRUE(update.end_of_rib);
  EXPECT_EQ(update.end_of_rib_family, Family::ipv6);
}

// Fact 9: about 810 /32s fit one message of 4,096 bytes; more become several, each whole.
TEST(Update, AnnouncementsAreCutIntoMessages) {
  PathAttributes a;
  a.next_hop = ip("172.16.40.202");
  a.local_pref = 100;
  std::vector<Nlri> routes;
  for (std::uint32_t i = 0; i < 2000; ++i) routes.push_back({Ipv4Prefix{Ipv4Address{0x0a000000 + i}, 32}, 0});
  Bytes bytes;
  encode_announcements(bytes, a, {}, routes, false, kMessageMax);
  std::vector<std::size_t> counts;
  std::size_t at = 0;
  ByteSpan rest = bytes;
  while (!rest.empty()) {
    const auto frame = std::get<Frame>(next_frame(rest, kMessageMax));
    const auto update = decode_update(frame.body, {});
    ASSERT_EQ(update.action(), ErrorAction::none);
    NlriReader reader(update.nlri, Family::ipv4, false);
    std::size_t n = 0;
    for (Nlri nlri; reader.next(nlri); ++n) EXPECT_EQ(nlri.prefix, routes[at++].prefix);
    counts.push_back(n);
    rest = rest.subspan(frame.message.size());
  }
  EXPECT_EQ(at, 2000u);
  EXPECT_EQ(counts.size(), 3u);
  EXPECT_GE(counts[0], 805u);
}

TEST(Update, Ipv6AndAddPathComeBackAsTheyWent) {
  PathAttributes a;
  a.next_hop = ip("2001:db8::202");
  a.local_pref = 100;
  a.communities = {0xfc000001, community::kGracefulShutdown};
  a.large_communities = {{1, 2, 3}};
  a.extended_communities = {0x0002fc0000000001};
  a.med = 7;
  const std::vector<Nlri> routes{{prefix("2001:db8:1::/48"), 5}, {prefix("2001:db8:2::1/128"), 6}};
  Bytes bytes;
  encode_announcements(bytes, a, {}, routes, true, kMessageMax);
  DecodeContext context;
  context.add_path = {true, true};
  const auto update = decode_update(std::get<Frame>(next_frame(bytes, kMessageMax)).body, context);
  ASSERT_EQ(update.action(), ErrorAction::none) << update.path.error;
  auto expected = a;
  auto got = update.path.attributes;
  got.next_hop = update.path.mp_reach->next_hop;
  EXPECT_EQ(got, expected);
  NlriReader reader(update.path.mp_reach->nlri, Family::ipv6, true);
  for (const auto& route : routes) {
    Nlri nlri;
    ASSERT_TRUE(reader.next(nlri));
    EXPECT_EQ(nlri.prefix, route.prefix);
    EXPECT_EQ(nlri.path_id, route.path_id);
  }
}

// RFC 6793 4.2.2: a 2-octet neighbour gets AS_TRANS and AS4_PATH, and the true path can be put together again.
TEST(Update, OldNeighbourGetsAs4Path) {
  PathAttributes a;
  a.next_hop = ip("172.16.40.202");
  a.as_path.prepend(64513, 1);
  a.as_path.prepend(4200000001, 2);
  Bytes bytes;
  const Nlri route{prefix("172.16.40.80/32"), 0};
  encode_announcements(bytes, a, {false, false}, std::span(&route, 1), false, kMessageMax);
  DecodeContext context;
  context.internal = false;
  context.four_octet_as = false;
  context.enforce_first_as = false;
  const auto update = decode_update(std::get<Frame>(next_frame(bytes, kMessageMax)).body, context);
  ASSERT_EQ(update.action(), ErrorAction::none) << update.path.error;
  EXPECT_EQ(update.path.attributes.as_path.text(), "4200000001 4200000001 64513");
}

TEST(AsPath, LengthCountsAsRfc4271Says) {
  const auto path = AsPath::decode(hex("0301 0000fde9 0202 0000fc01 0000fc02 0103 00000001 00000002 00000003"), true);
  ASSERT_TRUE(path);
  EXPECT_EQ(path->length(), 3u);  // two, and a set that counts one; the confederation nothing
  EXPECT_EQ(path->first(), 64513u);
  EXPECT_EQ(path->text(), "(65001) 64513 64514 {1,2,3}");
  EXPECT_EQ(path->count(2), 1u);
}

TEST(Notification, TextForPeople) {
  EXPECT_EQ((Notification{6, 3, {}}.text()), "Cease/Peer Unconfigured");
  EXPECT_EQ((Notification{4, 0, {}}.text()), "Hold Timer Expired");
  EXPECT_EQ((Notification{2, 2, {}}.text()), "OPEN Message Error/Bad Peer AS");
  EXPECT_EQ((Notification{99, 7, {}}.text()), "error code 99/subcode 7");
  const auto cease = Notification::cease(cease::kShutdown, "maintenance until 6");
  EXPECT_EQ(cease.text(), "Cease/Administrative Shutdown: \"maintenance until 6\"");
  EXPECT_EQ(*decode_notification(ByteSpan(encode_notification(cease)).subspan(kHeaderSize)), cease);
}

TEST(Notification, ReasonOfTheOtherSideIsMadeSafe) {  // RFC 9003 2, 4
  EXPECT_EQ((Notification{6, 2, hex("04 61 0a 1b 62")}.text()), "Cease/Administrative Shutdown: \"a??b\"");
  EXPECT_EQ((Notification{6, 2, hex("02 c3 28")}.text()), "Cease/Administrative Shutdown: \"?(\"");
  EXPECT_EQ((Notification{6, 2, hex("02 c3 a9")}.text()), "Cease/Administrative Shutdown: \"\xc3\xa9\"");
  EXPECT_EQ((Notification{6, 2, hex("05 61")}.text()), "Cease/Administrative Shutdown");  // longer than it is
  EXPECT_EQ((Notification{6, 9, hex("06 02 01 78")}.text()), "Cease/Hard Reset (Cease/Administrative Shutdown: \"x\")");
}

TEST(Notification, ReasonIsCutOnACharacter) {
  const std::string text = std::string(254, 'a') + "\xc3\xa9";
  const auto n = Notification::cease(cease::kShutdown, text);
  EXPECT_EQ(n.data.size(), 255u);
  EXPECT_EQ(n.data[0], 254);
}

struct BadFrame {
  const char* name;
  Bytes bytes;
  std::uint8_t subcode;
  Bytes data;
};

TEST(Frame, HeaderErrorsOfRfc4271) {
  const auto ff = hex("ffffffffffffffffffffffffffffffff");
  const BadFrame cases[] = {
      {"marker", hex("fffffffffffffffffffffffffffffffe 0013 04"), header_error::kNotSynchronized, {}},
      {"marker, first byte", hex("00"), header_error::kNotSynchronized, {}},
      {"type 0", ff + hex("0013 00"), header_error::kBadType, {0}},
      {"type 6", ff + hex("0013 06"), header_error::kBadType, {6}},
      {"length 18", ff + hex("0012 04"), header_error::kBadLength, hex("0012")},
      {"length 4097", ff + hex("1001 02"), header_error::kBadLength, hex("1001")},
      {"KEEPALIVE of 20", ff + hex("0014 04"), header_error::kBadLength, hex("0014")},
      {"OPEN of 28", ff + hex("001c 01"), header_error::kBadLength, hex("001c")},
      {"UPDATE of 22", ff + hex("0016 02"), header_error::kBadLength, hex("0016")},
      {"NOTIFICATION of 20", ff + hex("0014 03"), header_error::kBadLength, hex("0014")},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto result = next_frame(c.bytes, kMessageMax);
    ASSERT_TRUE(std::holds_alternative<Notification>(result));
    const auto& n = std::get<Notification>(result);
    EXPECT_EQ(n.code, code::kHeader);
    EXPECT_EQ(n.subcode, c.subcode);
    EXPECT_EQ(n.data, c.data);
  }
  // RFC 8654: what was agreed may be longer, but never OPEN and KEEPALIVE.
  EXPECT_TRUE(std::holds_alternative<NeedMore>(next_frame(ff + hex("1001 02"), kExtendedMessageMax)));
  EXPECT_TRUE(std::holds_alternative<Notification>(next_frame(ff + hex("1001 01"), kExtendedMessageMax)));
}

TEST(RouteRefresh, Rfc7313) {
  const auto bytes = encode_route_refresh(Family::ipv4, RefreshKind::begin);
  EXPECT_EQ(bytes, hex("ffffffffffffffffffffffffffffffff 0017 05 0001 01 01"));
  const auto refresh = std::get<RouteRefresh>(decode_route_refresh(std::get<Frame>(next_frame(bytes, kMessageMax))));
  EXPECT_EQ(refresh.kind, 1);
  const auto bad = message_of(MessageType::route_refresh, hex("0001 01 01 00"));
  const auto error = std::get<Notification>(decode_route_refresh(std::get<Frame>(next_frame(bad, kMessageMax))));
  EXPECT_EQ(error.code, code::kRefresh);
  EXPECT_EQ(error.data, bad);
}

TEST(Communities, TextAndBack) {
  EXPECT_EQ(parse_community("64512:100"), 0xfc000064u);
  EXPECT_EQ(parse_community("graceful-shutdown"), community::kGracefulShutdown);
  for (const auto* bad : {"", ":", "1:", ":1", "65536:1", "1:65536", "1:2:3", "x:1"})
    EXPECT_FALSE(parse_community(bad)) << bad;
  EXPECT_EQ(community_text(0xfc000064), "64512:100");
}

}  // namespace
}  // namespace sluice::bgp::codec_test
