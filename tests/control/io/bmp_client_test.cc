// BmpClient with a station on loopback: it arrives, comes back after a break, and is dropped when it does not read.
#include "control/io/bmp_client.h"

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>

#include "control/io/loop.h"

namespace sluice::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

class BmpClientTest : public ::testing::Test {
 protected:
  BmpClientTest() {
    client = std::make_unique<BmpClient>(
        context, feed, Ipv4Endpoint{Ipv4Address::from_octets(127, 0, 0, 1), acceptor.local_endpoint().port()},
        BmpClient::Hooks{.now = now, .log = [this](bool, const std::string& text) { log.push_back(text); }});
  }
  template <typename Test>
  bool eventually(Test test) {
    for (int i = 0; i < 20000 && !test(); ++i) {
      context.run_for(std::chrono::milliseconds(1));
      context.restart();
      if (client) client->poll();
    }
    return test();
  }
  tcp::socket accept() {
    tcp::socket station(context);
    bool done = false;
    acceptor.async_accept(station, [&done](boost::system::error_code error) { done = !error; });
    EXPECT_TRUE(eventually([&done] { return done; }));
    return station;
  }
  // The type of the next message.
  int read(tcp::socket& station) {
    std::vector<std::uint8_t> header(6), body;
    bool done = false;
    asio::async_read(station, asio::buffer(header), [&](boost::system::error_code error, std::size_t) {
      if (error) return;
      body.resize(((header[3] << 8) | header[4]) - 6u);
      asio::async_read(station, asio::buffer(body), [&](boost::system::error_code e, std::size_t) { done = !e; });
    });
    EXPECT_TRUE(eventually([&done] { return done; }));
    return header[5];
  }

  asio::io_context context;
  tcp::acceptor acceptor{context, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::vector<bgp::PeerView> peers;
  bgp::BmpFeed feed{{.system_name = "lb", .system_description = "sluice", .queue_max = 1 << 20},
                    {.wall = [](Instant) { return bgp::WallTime{}; },
                     .established = [this] { return peers; },
                     .resend = [](const IpAddress&) {}}};
  std::vector<std::string> log;
  std::unique_ptr<BmpClient> client;
};

TEST_F(BmpClientTest, ConnectsAndSaysWhoItIsAndGoodbye) {
  auto station = accept();
  EXPECT_EQ(read(station), 4);
  EXPECT_TRUE(client->connected());
  client.reset();
  EXPECT_EQ(read(station), 5);
}

TEST_F(BmpClientTest, ComesBackAfterABreak) {
  {
    auto station = accept();
    EXPECT_EQ(read(station), 4);
  }
  ASSERT_TRUE(eventually([this] { return !client->connected(); }));
  EXPECT_EQ(log.back(), "closed by the station");
  auto station = accept();
  EXPECT_EQ(read(station), 4);
}

TEST_F(BmpClientTest, AStationThatDoesNotReadIsDropped) {
  auto station = accept();
  EXPECT_EQ(read(station), 4);
  bgp::PeerView peer;
  peer.address = Ipv4Address{0x0a000001};
  peer.conn = 1;
  std::vector<std::uint8_t> open(29, 0xff), update(4096, 0xff);
  open[16] = 0, open[17] = 29, open[18] = 1;
  update[16] = 0x10, update[17] = 0, update[18] = 2;
  feed.on_message({}, peer, true, open);
  feed.on_message({}, peer, false, open);
  feed.on_up({}, peer);
  // More than both socket buffers and the queue hold.
  ASSERT_TRUE(eventually([&] {
    for (int i = 0; i < 64 && client->connected(); ++i) feed.on_message({}, peer, true, update);
    return !client->connected();
  }));
  EXPECT_EQ(log.back(), "it does not read: its queue is full");
  EXPECT_EQ(feed.queued(), 0u);
}

}  // namespace
}  // namespace sluice::io
