// Body bytes are never copied: each leaves the engine from the very place in the very buffer in which it came, also
// when it has to be sent again. Heads and small pieces may be copied.
#include <fmt/format.h>

#include <vector>

#include "tests/lb/l7/http_world.h"

namespace sluice::lb::zero_copy_test {
namespace {

constexpr std::size_t kSmallPiece = 256;  // as in the proxy: so much is rather copied than shared

// Text of which any 16 bytes stand at one place only.
std::string numbered(std::size_t size) {
  std::string text;
  for (std::size_t n = 0; text.size() < size; ++n) text += fmt::format("{:07};", n);
  text.resize(size);
  return text;
}

// Remembers where each byte of a body stood when it came in, and compares when it leaves.
class Watch {
 public:
  Watch(HttpWorld& world, std::string body) : body_(std::move(body)), place_(body_.size()) {
    world.on_received = [this](packet::Packet packet, const test::Bytes& frame) {
      const auto [at, length] = body_of(frame);
      const std::uint8_t* end = packet.data() + packet.segment_length();
      for (std::size_t i = 0; i < length; ++i) place_[at + i] = end - length + i;
    };
    world.on_sent = [this](const test::SentFrame& sent) {
      const auto [at, length] = body_of(sent.bytes);
      if (length <= kSmallPiece) return;
      EXPECT_EQ(sent.last_byte, place_[at + length - 1]) << "bytes " << at << " to " << at + length << " were copied";
      sent_bytes += length;
    };
  }
  std::size_t sent_bytes = 0;

 private:
  struct Run {
    std::size_t at = 0, length = 0;
  };
  // Which bytes of the body a frame ends with.
  Run body_of(const test::Bytes& frame) const {
    const std::string payload = test::payload_of(frame);
    const std::size_t head = payload.find("\r\n\r\n");
    const std::string bytes = payload.starts_with("HTTP/1.1") || payload.starts_with("POST")
                                  ? payload.substr(head == std::string::npos ? payload.size() : head + 4)
                                  : payload;
    if (bytes.size() < 16) return {};
    const std::size_t at = body_.find(bytes);
    return at == std::string::npos ? Run{} : Run{at, bytes.size()};
  }

  const std::string body_;
  std::vector<const std::uint8_t*> place_;
};

// Loses one in seven full frames of the engine, each but once.
auto lossy(bool& on) {
  return [&on, n = 0](const test::Bytes& frame, bool to_engine) mutable {
    return !on || to_engine || frame.size() < 1000 || ++n % 7 != 0;
  };
}

void download(std::size_t size, bool loses) {
  HttpWorld world;
  const std::string body = numbered(size);
  Watch watch(world, body);
  world.answer = [&](const std::string&, Far& far) {
    far.send(ok(body));
    return true;
  };
  world.tap = lossy(loses);
  Far& client = world.connect();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(world.run_until([&] { return client.received.size() >= size && client.received.ends_with(body); }, 60s));
  EXPECT_GE(watch.sent_bytes, size - 2 * kSmallPiece);
  if (loses) {
    EXPECT_GT(world.proxy().tcp_counters().retransmitted_segments.get(), size / 1400 / 10);
    EXPECT_GT(watch.sent_bytes, size + size / 10) << "what was sent again was looked at, too";
  }
  loses = false;
  client.close();
  world.run_for(3s);
}

TEST(ZeroCopy, ResponseBodiesLeaveInThePacketsTheyCameIn) {
  download(64 * 1024, false);
  download(1024 * 1024, false);
}

TEST(ZeroCopy, ResponseBodiesAreSentAgainFromThePacketsTheyCameIn) {
  download(64 * 1024, true);
  download(1024 * 1024, true);
}

TEST(ZeroCopy, RequestBodiesLeaveInThePacketsTheyCameIn) {
  for (const bool loses : {false, true}) {
    const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 261000\r\n\r\n";
    constexpr std::size_t kSize = 261'000;  // ends with a piece that is not small
    static_assert(kSize % 1400 > 2 * kSmallPiece);
    HttpWorld world;
    const std::string body = numbered(kSize);
    Watch watch(world, body);
    bool on = loses;
    world.tap = lossy(on);
    Far& client = world.connect();
    client.send(head + body);
    ASSERT_TRUE(world.run_until([&] { return client.has("HTTP/1.1 200"); }, 60s));
    EXPECT_TRUE(world.requests.at(0).ends_with(body));
    EXPECT_GE(watch.sent_bytes, kSize - 2 * kSmallPiece);
    on = false;
    client.close();
    world.run_for(3s);
  }
}

}  // namespace
}  // namespace sluice::lb::zero_copy_test
