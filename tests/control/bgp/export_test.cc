// MRT and BMP as bytes, read back by a decoder of the test's own: what a neighbour said, and what became of it.
#include <gtest/gtest.h>

#include "control/bgp/bmp.h"
#include "tests/control/bgp/support.h"

namespace sluice::bgp::export_test {
namespace {

using namespace testing;

constexpr auto kMaster = "172.16.40.199";
constexpr auto kNode1 = "172.16.40.198";
constexpr auto kSelf = "172.16.40.202";

WallTime wall(Instant now) {
  const auto us = to_ns(now) / 1000;
  return {static_cast<std::uint32_t>(1'700'000'000 + us / 1'000'000), static_cast<std::uint32_t>(us % 1'000'000)};
}

// ---- MRT (RFC 6396)

struct MrtRecord {
  std::uint32_t seconds = 0, microseconds = 0;
  unsigned type = 0, subtype = 0;
  Bytes body;  // behind the microseconds
};
std::vector<MrtRecord> read_mrt(const Bytes& file) {
  std::vector<MrtRecord> out;
  Reader in(file);
  while (!in.empty()) {
    MrtRecord r;
    r.seconds = in.u32();
    r.type = in.u16();
    r.subtype = in.u16();
    auto length = in.u32();
    if (r.type == mrt::kBgp4mpEt) {
      r.microseconds = in.u32();
      length -= 4;
    }
    const auto body = in.take(length);
    r.body.assign(body.begin(), body.end());
    EXPECT_TRUE(in.ok());
    out.push_back(std::move(r));
  }
  return out;
}

class ExportTest : public ::testing::Test {
 protected:
  Bench bench{reference_settings()};
};

TEST_F(ExportTest, MrtLogHasEveryMessageAndState) {
  Bytes file;
  MrtLog log(wall, [&](const Bytes& record) { file.insert(file.end(), record.begin(), record.end()); });
  bench.speaker.add_observer(log);
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  const auto update = block_update(kMaster, "10.244.0.0/24");
  bench.receive(conn, update);
  bench.step(input::Closed{conn, "gone"});
  bench.speaker.remove_observer(log);
  const auto size = file.size();
  bench.advance(10s);
  EXPECT_EQ(file.size(), size);

  std::string story;
  for (const auto& r : read_mrt(file)) {
    ASSERT_EQ(r.type, mrt::kBgp4mpEt);
    EXPECT_EQ(r.seconds, 1'700'000'001u);
    Reader in(r.body);
    EXPECT_EQ(in.u32(), 64512u);
    EXPECT_EQ(in.u32(), 64512u);
    EXPECT_EQ(in.u16(), 0u);
    EXPECT_EQ(in.u16(), kAfiIpv4);
    EXPECT_EQ(in.u32(), ip(kMaster).v4().value);
    const auto local = in.u32();
    EXPECT_TRUE(local == ip(kSelf).v4().value || local == 0);
    if (r.subtype == mrt::kStateChangeAs4) {
      const auto from = in.u16(), to = in.u16();
      story += "s" + std::to_string(from) + std::to_string(to) + " ";
      EXPECT_TRUE(in.empty());
      continue;
    }
    const bool received = r.subtype == mrt::kMessageAs4 || r.subtype == mrt::kMessageAs4AddPath;
    const auto message = in.take(in.left());
    ASSERT_GE(message.size(), 19u);
    story += (received ? "r" : "w") + std::to_string(message[18]) + " ";
    if (received && message[18] == 2) {
      EXPECT_EQ(Bytes(message.begin(), message.end()), update);
    }
  }
  // Active, OpenSent, OpenConfirm, Established, Idle: 3, 4, 5, 6, 1; OPEN 1, UPDATE 2, KEEPALIVE 4.
  EXPECT_EQ(story, "w1 s34 r1 w4 s45 r4 s56 w2 r2 s61 ");
}

// RFC 8050: a session with path identifiers is told apart, or nobody could read its UPDATEs.
TEST_F(ExportTest, MrtSaysWhereThePathIdentifiersAre) {
  PeerView peer{.address = ip(kMaster), .local_address = ip(kSelf)};
  const auto v4 = block_update(kMaster, "10.244.0.0/24");
  const auto subtype = [&](bool received, const Bytes& message) {
    return read_mrt(mrt_message({}, peer, received, message))[0].subtype;
  };
  EXPECT_EQ(subtype(true, v4), mrt::kMessageAs4);
  EXPECT_EQ(subtype(false, v4), mrt::kMessageAs4Local);
  peer.add_path_receive[0] = true;
  EXPECT_EQ(subtype(true, v4), mrt::kMessageAs4AddPath);
  EXPECT_EQ(subtype(false, v4), mrt::kMessageAs4Local);
  EXPECT_EQ(subtype(true, encode_keepalive()), mrt::kMessageAs4);
  Bytes v6;
  PathAttributes a;
  a.next_hop = ip("fd00::1");
  const Nlri route{prefix("fd00:1::/64"), 0};
  encode_announcements(v6, a, {true, true}, std::span(&route, 1), false, kMessageMax);
  EXPECT_EQ(subtype(true, v6), mrt::kMessageAs4);
  peer.add_path_receive = {false, true};
  EXPECT_EQ(subtype(true, v6), mrt::kMessageAs4AddPath);
  EXPECT_EQ(subtype(true, v4), mrt::kMessageAs4);
  peer.four_octet_as = false;
  peer.as = 70000;
  const auto old = read_mrt(mrt_message({}, peer, true, v4))[0];
  EXPECT_EQ(old.subtype, mrt::kMessage);
  EXPECT_EQ(old.body[0] << 8 | old.body[1], static_cast<int>(kAsTrans));
  // Of what is broken nothing is read beyond its end.
  for (std::size_t cut = kHeaderSize; cut < v6.size(); ++cut) {
    mrt_message({}, peer, true, ByteSpan(v6).first(cut));
  }
}

TEST_F(ExportTest, RibDumpHasPeersAndRoutesInSlices) {
  auto settings = reference_settings();
  settings.neighbors[0].session.add_path_receive = true;
  settings.neighbors[0].session.ipv6_unicast = true;
  bench.settings = settings;
  bench.reconfigure();
  auto open = calico_open(kNode1);
  open.capabilities.multiprotocol[1] = true;
  const auto node = bench.accept_from(kNode1, open);
  const auto master = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(master, block_update(kMaster, "10.244.0.0/24"));
  PathAttributes a;
  a.next_hop = ip(kNode1);
  a.origin = Origin::igp;
  a.local_pref = 100;
  const Nlri twice[] = {{prefix("10.244.1.0/24"), 1}, {prefix("10.244.1.0/24"), 2}};
  Bytes message;
  encode_announcements(message, a, {true, true}, twice, true, kMessageMax);
  a.next_hop = ip("fd00::198");
  const Nlri six{prefix("fd00:244::/64"), 0};
  encode_announcements(message, a, {true, true}, std::span(&six, 1), false, kMessageMax);
  bench.receive(node, message);
  bench.now += 5s;

  RibDump dump(bench.speaker, wall, ip(kSelf).v4().value);
  Bytes file;
  unsigned slices = 1;
  while (dump.more(bench.now, 1, file)) ++slices;
  EXPECT_GE(slices, 3u);
  const auto records = read_mrt(file);
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].subtype, mrt::kPeerIndexTable);
  Reader peers(records[0].body);
  EXPECT_EQ(peers.u32(), ip(kSelf).v4().value);
  EXPECT_EQ(peers.u16(), 0u);
  ASSERT_EQ(peers.u16(), 2u);
  EXPECT_EQ(peers.u8(), 2u);
  EXPECT_EQ(peers.u32(), ip(kNode1).v4().value);  // router ID
  EXPECT_EQ(peers.u32(), ip(kNode1).v4().value);
  EXPECT_EQ(peers.u32(), 64512u);

  std::map<std::string, std::string> found;
  for (std::size_t i = 1; i < records.size(); ++i) {
    const auto& r = records[i];
    const bool v4 = r.subtype == mrt::kRibIpv4 || r.subtype == mrt::kRibIpv4AddPath;
    const bool ids = r.subtype == mrt::kRibIpv4AddPath || r.subtype == mrt::kRibIpv6AddPath;
    Reader in(r.body);
    EXPECT_EQ(in.u32(), i - 1);
    const unsigned length = in.u8();
    const auto bytes = in.take((length + 7) / 8);
    std::string text;
    for (const auto entries = in.u16(); auto unused : std::vector<int>(entries)) {
      static_cast<void>(unused);
      text += "peer" + std::to_string(in.u16());
      EXPECT_EQ(in.u32(), wall(bench.now).seconds - 5);
      if (ids) text += " id" + std::to_string(in.u32());
      const auto attributes = in.take(in.u16());
      DecodeContext context;
      if (v4) {
        const auto decoded = decode_attributes(attributes, true, context);
        EXPECT_EQ(decoded.action, ErrorAction::none);
        text += " via " + decoded.attributes.next_hop.text() + "; ";
      } else {  // RFC 6396 4.3.4: MP_REACH_NLRI is no more than the next hop
        const auto next_hop = ip("fd00::198").v6().bytes;
        const Bytes mp = hex("800e1110") + Bytes(next_hop.begin(), next_hop.end());
        EXPECT_NE(std::search(attributes.begin(), attributes.end(), mp.begin(), mp.end()), attributes.end());
        text += " v6; ";
      }
    }
    EXPECT_TRUE(in.empty() && in.ok());
    found[std::to_string(length) + (v4 ? "/4." : "/6.") + std::to_string(bytes[2])] = text;
  }
  EXPECT_EQ(found["24/4.0"], "peer1 via 172.16.40.199; ");
  EXPECT_EQ(found["24/4.1"], "peer0 id1 via 172.16.40.198; peer0 id2 via 172.16.40.198; ");
  EXPECT_EQ(found["64/6.2"], "peer0 v6; ");
}

// ---- BMP (RFC 7854)

class BmpTest : public ExportTest {
 protected:
  BmpTest() { bench.speaker.add_observer(feed); }
  ~BmpTest() override { bench.speaker.remove_observer(feed); }

  struct Message {
    unsigned type = 0;
    Bytes body;  // behind the common header
  };
  std::vector<Message> take() {
    std::vector<Message> out;
    while (feed.has_output()) {
      const Bytes bytes = feed.take();
      EXPECT_EQ(bytes[0], 3u);
      Reader in(ByteSpan(bytes).subspan(1));
      EXPECT_EQ(in.u32(), bytes.size());
      const unsigned type = in.u8();
      out.push_back({type, Bytes(bytes.begin() + 6, bytes.end())});
    }
    EXPECT_EQ(feed.queued(), 0u);
    return out;
  }
  static std::string types(const std::vector<Message>& messages) {
    std::string out;
    for (const auto& m : messages) out += std::to_string(m.type);
    return out;
  }

  std::vector<IpAddress> asked;
  BmpFeed feed{{.system_name = "lb1", .system_description = "sluice", .queue_max = 20000},
               {.wall = wall,
                .established = [this] { return bench.speaker.established(); },
                .resend = [this](const IpAddress& peer) { asked.push_back(peer); }}};
};

TEST_F(BmpTest, NothingIsQueuedWithoutAStation) {
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, "10.244.0.0/24"));
  EXPECT_FALSE(feed.has_output());
}

TEST_F(BmpTest, AStationThatComesLaterIsToldWhoIsUp) {
  bench.accept_from(kMaster, calico_open(kMaster));
  feed.connected(bench.now);
  const auto messages = take();
  ASSERT_EQ(types(messages), "43");
  // sysDescr "sluice", sysName "lb1"
  EXPECT_EQ(messages[0].body, hex("0001 0006 736c75696365 0002 0003 6c6231"));
  EXPECT_EQ(asked, std::vector<IpAddress>{ip(kMaster)});
  Reader up(messages[1].body);
  EXPECT_EQ(up.u8(), 0u);
  EXPECT_EQ(up.u8(), 0u);
  up.take(8 + 12);
  EXPECT_EQ(up.u32(), ip(kMaster).v4().value);
  EXPECT_EQ(up.u32(), 64512u);
  EXPECT_EQ(up.u32(), ip(kMaster).v4().value);  // BGP identifier
  EXPECT_EQ(up.u32(), wall(bench.now).seconds);
  up.u32();
  up.take(12);
  EXPECT_EQ(up.u32(), ip(kSelf).v4().value);
  EXPECT_EQ(up.u16(), 179u);
  EXPECT_EQ(up.u16(), 40000u);
  const auto ours = std::get<Frame>(next_frame(up.rest(), kMessageMax));
  EXPECT_EQ(ours.type, MessageType::open);
  up.take(ours.message.size());
  const auto theirs = up.rest();
  EXPECT_EQ(Bytes(theirs.begin(), theirs.end()), encode_open(calico_open(kMaster)));
}

TEST_F(BmpTest, UpdatesAreMonitoredAsTheyCame) {
  feed.connected(bench.now);
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  take();
  const auto update = block_update(kMaster, "0.0.0.0/0");  // refused by policy: BMP has it, pre-policy
  bench.receive(conn, update);
  bench.receive(conn, encode_keepalive());
  EXPECT_TRUE(bench.routes.empty());
  const auto messages = take();
  ASSERT_EQ(types(messages), "0");
  EXPECT_EQ(Bytes(messages[0].body.begin() + 42, messages[0].body.end()), update);
}

TEST_F(BmpTest, WhyASessionEnded) {
  feed.connected(bench.now);
  auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  take();
  bench.step(input::Closed{conn, "gone"});
  auto messages = take();
  ASSERT_EQ(types(messages), "2");
  EXPECT_EQ(messages[0].body.at(42), 4u);  // the neighbour, without a word
  bench.advance(10s);
  conn = bench.accept_from(kMaster, calico_open(kMaster));
  take();
  bench.receive(conn, message_of(MessageType::notification, hex("0602")));
  messages = take();
  ASSERT_EQ(types(messages), "2");
  EXPECT_EQ(messages[0].body.at(42), 3u);  // the neighbour, with NOTIFICATION
  EXPECT_EQ(messages[0].body.at(43 + 19), 6u);
  bench.advance(10s);
  bench.accept_from(kMaster, calico_open(kMaster));
  take();
  bench.run([&](Outputs& out) { bench.speaker.clear(bench.now, ip(kMaster), out); });
  messages = take();
  ASSERT_EQ(types(messages), "2");
  EXPECT_EQ(messages[0].body.at(42), 1u);  // we, with NOTIFICATION
  EXPECT_EQ(messages[0].body.at(43 + 19), 6u);
  EXPECT_EQ(messages[0].body.at(43 + 20), 4u);
}

TEST_F(BmpTest, Statistics) {
  feed.connected(bench.now);
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  bench.receive(conn, block_update(kMaster, "10.244.0.0/24"));
  bench.receive(conn, block_update(kMaster, "0.0.0.0/0"));
  take();
  feed.statistics(bench.now, bench.speaker.peers(bench.now));
  const auto messages = take();
  ASSERT_EQ(types(messages), "1");
  EXPECT_EQ(Bytes(messages[0].body.begin() + 42, messages[0].body.end()),
            hex("00000003 0000 0004 00000001 000b 0004 00000000 0007 0008 0000000000000001"));
}

// A station that does not read costs a bounded queue, then its connection; nobody waits for it.
TEST_F(BmpTest, ASlowStationOverflowsAndBeginsAnew) {
  feed.connected(bench.now);
  const auto conn = bench.accept_from(kMaster, calico_open(kMaster));
  for (int i = 0; i < 1000; ++i) bench.receive(conn, block_update(kMaster, "10.244.0.0/24"));
  EXPECT_TRUE(feed.overflowed());
  EXPECT_LE(feed.queued(), 20000u);
  EXPECT_GT(feed.dropped(), 500u);
  feed.disconnected();
  EXPECT_FALSE(feed.has_output());
  feed.connected(bench.now);
  EXPECT_FALSE(feed.overflowed());
  EXPECT_EQ(types(take()), "43");
}

TEST_F(BmpTest, TheEndIsSaid) {
  feed.connected(bench.now);
  take();
  feed.terminate();
  const auto messages = take();
  ASSERT_EQ(types(messages), "5");
  EXPECT_EQ(messages[0].body, hex("0001 0002 0000"));
}

TEST(Mrt, FilesAreNamedByTheirTime) {
  std::tm time{};
  time.tm_year = 126, time.tm_mon = 10, time.tm_mday = 25, time.tm_hour = 7, time.tm_min = 5;
  EXPECT_EQ(mrt_file_name("/var/log/updates.%Y%m%d.%H%M.mrt", time), "/var/log/updates.20261125.0705.mrt");
  EXPECT_EQ(mrt_file_name("/var/log/updates.mrt", time), "/var/log/updates.mrt");
  EXPECT_EQ(mrt_file_name("50%%", time), "50%");
  EXPECT_EQ(mrt_until_next(300s, 7 * 3600 + 5 * 60), 300s);
  EXPECT_EQ(mrt_until_next(300s, 7 * 3600 + 5 * 60 + 299), 1s);
  EXPECT_EQ(mrt_until_next(86400s, 7 * 3600), 17 * 3600s);
}

}  // namespace
}  // namespace sluice::bgp::export_test
