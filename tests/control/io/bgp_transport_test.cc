// The BGP transport through real sockets on loopback: reads and writes of every size, resets at every step, a neighbour
// that does not read.
#include "control/io/bgp_transport.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <set>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/update.h"

namespace sluice::io {
namespace {

using bgp::Bytes;
using bgp::ByteSpan;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

constexpr std::uint32_t kUs = 0x7f3f0001;  // 127.63.0.1

sockaddr_in endpoint(std::uint32_t address, unsigned port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = htonl(address);
  out.sin_port = htons(static_cast<std::uint16_t>(port));
  return out;
}

// A neighbour made of a socket and nothing else.
class Neighbour {
 public:
  Neighbour(unsigned number, unsigned port, int buffer = 0) : number_(number) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (buffer != 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    const auto from = endpoint(kUs + number, 0), to = endpoint(kUs, port);
    connected_ = bind(fd_, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0 &&
                 connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK);
  }
  ~Neighbour() { close(); }
  Neighbour(const Neighbour&) = delete;
  Neighbour& operator=(const Neighbour&) = delete;

  bool connected() const { return connected_; }
  std::size_t send(ByteSpan bytes) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  Bytes open() const {
    bgp::OpenMessage open;
    open.as = 64512;
    open.hold_time_s = 90;
    open.identifier = kUs + number_;
    open.capabilities.multiprotocol = {true, false};
    open.capabilities.route_refresh = true;
    open.capabilities.four_octet_as = 64512;
    return encode_open(open);
  }
  // Reads what is there, at most `max`; false: the other side has closed.
  bool read(std::size_t max = 1 << 20) {
    std::vector<std::uint8_t> buffer(max);
    const auto n = recv(fd_, buffer.data(), buffer.size(), 0);
    if (n > 0) received.insert(received.end(), buffer.begin(), buffer.begin() + n);
    return n > 0 || (n < 0 && errno == EAGAIN);
  }
  // RST instead of FIN.
  void reset() {
    const linger now{1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close();
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  // What it knows of our announcements.
  std::set<routing::IpPrefix> routes() const {
    std::set<routing::IpPrefix> out;
    ByteSpan bytes = received;
    while (true) {
      const auto result = bgp::next_frame(bytes, bgp::kExtendedMessageMax);
      EXPECT_FALSE(std::holds_alternative<bgp::Notification>(result)) << "what we sent is broken";
      const auto* frame = std::get_if<bgp::Frame>(&result);
      if (frame == nullptr) return out;
      if (frame->type == bgp::MessageType::update) {
        const auto update = bgp::decode_update(frame->body, {});
        // Our next hop is a loopback address here, which RFC 4271 6.3 forbids: no more than that is wrong.
        EXPECT_NE(update.action(), bgp::ErrorAction::session_reset);
        bgp::Nlri route;
        for (bgp::NlriReader r(update.withdrawn, bgp::Family::ipv4, false); r.next(route);) out.erase(route.prefix);
        for (bgp::NlriReader r(update.nlri, bgp::Family::ipv4, false); r.next(route);) out.insert(route.prefix);
      }
      bytes = bytes.subspan(frame->message.size());
    }
  }

  Bytes received;

 private:
  unsigned number_;
  int fd_ = -1;
  bool connected_ = false;
};

class BgpTransportTest : public ::testing::Test {
 protected:
  BgpTransportTest() {
    settings_.local_as = 64512;
    settings_.router_id = kUs;
    settings_.self_ips = {{Ipv4Address{kUs}, 16}};
    bgp::ListenRange range;
    range.prefix = Ipv4Prefix::of(Ipv4Address{kUs}, 16);
    range.session.remote_as = 64512;
    settings_.listen_ranges = {range};
    table_.set_interface(0, "lo", true);
    table_.add_connected({Ipv4Address{kUs}, 16}, 0, now());
    table_.add_connected({Ipv4Address{0x0a3f00fe}, 16}, 0, now());
    BgpTransport::Hooks hooks;
    hooks.now = [this] { return now(); };
    hooks.event = [this](const bgp::Output& output) {
      if (const auto* down = std::get_if<bgp::output::SessionDown>(&output)) downs_.push_back(down->reason);
      if (std::holds_alternative<bgp::output::SessionUp>(output)) ++ups_;
    };
    hooks.behind = [this] { return behind_; };
    hooks.routes_changed = [this](Instant since) { last_read_ = since; };
    transport_ = std::make_unique<BgpTransport>(context_, speaker_, table_, hooks);
    // A free port: others may run the same test beside this one.
    for (settings_.listen_port = static_cast<std::uint16_t>(20000 + getpid() % 20000); settings_.listen_port < 60000;
         settings_.listen_port += 7) {
      if (transport_->configure(settings_).empty()) return;
    }
  }

  Instant now() const {
    return instant_ns(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1)) + skipped_;
  }
  // Lets time pass for the speaker without waiting for it.
  void skip(Duration d) {
    skipped_ += d;
    transport_->next_hops_changed();
  }
  void run() {
    context_.restart();
    context_.run_for(std::chrono::milliseconds(1));
  }
  template <typename Condition>
  bool until(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      run();
    }
    return true;
  }
  std::optional<bgp::PeerFacts> facts(unsigned number) { return speaker_.peer(now(), Ipv4Address{kUs + number}); }
  bool established(unsigned number) {
    const auto f = facts(number);
    return f && f->state == bgp::State::established;
  }
  std::size_t prefixes() { return speaker_.summary(now()).prefixes; }
  static Bytes block(unsigned number, unsigned first, unsigned count) {
    bgp::PathAttributes a;
    a.next_hop = Ipv4Address{0x0a3f0000 + number};
    a.local_pref = 100;
    std::vector<bgp::Nlri> routes;
    for (unsigned i = 0; i < count; ++i) routes.push_back({Ipv4Prefix{Ipv4Address{0x0a000000 + first + i}, 32}, 0});
    Bytes out;
    encode_announcements(out, a, {true, true}, routes, false, bgp::kMessageMax);
    return out;
  }
  void announce(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      transport_->announce(Ipv4Prefix{Ipv4Address{0x14000000 + i}, 32}, {});
    }
  }
  void bring_up(Neighbour& n, unsigned number) {
    n.send(n.open() + bgp::encode_keepalive());
    ASSERT_TRUE(until([&] { return established(number); }));
  }

  boost::asio::io_context context_;
  routing::RoutingTable table_;
  bgp::Speaker speaker_{table_};
  bgp::SpeakerSettings settings_;
  std::unique_ptr<BgpTransport> transport_;
  std::vector<std::string> downs_;
  unsigned ups_ = 0;
  Duration skipped_{};
  bool behind_ = false;
  Instant last_read_{};
};

// One byte a read, then two, … : wherever a message is cut, nothing is lost and nothing is taken twice.
TEST_F(BgpTransportTest, ReadsOfEverySize) {
  unsigned number = 1;
  std::vector<std::unique_ptr<Neighbour>> all_up;
  for (const std::size_t piece : {1u, 2u, 3u, 5u, 7u, 18u, 19u, 20u, 64u, 100u, 1000u, 4096u, 65536u}) {
    auto& n = *all_up.emplace_back(std::make_unique<Neighbour>(number, settings_.listen_port));
    ASSERT_TRUE(n.connected());
    Bytes all = n.open() + bgp::encode_keepalive() + block(number, number << 16, piece < 19 ? 20 : 500) +
                block(number, number << 16, 3) + bgp::encode_keepalive();
    for (std::size_t at = 0; at < all.size(); at += piece) {
      n.send(ByteSpan(all).subspan(at, std::min(piece, all.size() - at)));
      if (piece < 4096) run();
    }
    ASSERT_TRUE(until([&] { return facts(number) && facts(number)->in.keepalive == 2; })) << piece;
    EXPECT_EQ(facts(number)->accepted_prefixes, piece < 19 ? 20u : 500u) << piece;
    ++number;
  }
  EXPECT_TRUE(downs_.empty());
}

// It reads 1, 2, … bytes at a time through a small window: our writes are short, and all arrives in order.
TEST_F(BgpTransportTest, WritesOfEverySize) {
  announce(30000);
  Neighbour n(1, settings_.listen_port, 4096);
  bring_up(n, 1);
  for (std::size_t piece = 1; n.received.size() < 20000; ++piece) {
    ASSERT_TRUE(n.read(piece));
    run();
  }
  ASSERT_TRUE(until([&] { return n.read() && n.received.size() > 23 && n.routes().size() == 30000; }));
  EXPECT_TRUE(downs_.empty());
}

// A reset after each byte of the conversation, and in the middle of what we write: the session ends with its reason,
// and the neighbour can come again.
TEST_F(BgpTransportTest, ResetAtEveryStep) {
  announce(2000);
  Bytes whole;
  {
    Neighbour n(1, settings_.listen_port);
    whole = n.open() + bgp::encode_keepalive() + block(1, 0, 5);
  }
  for (std::size_t n_bytes = 0; n_bytes <= whole.size(); n_bytes += n_bytes < 100 ? 9 : 23) {
    skip(40s);  // the neighbour's idle hold time is over
    Neighbour n(1, settings_.listen_port);
    ASSERT_TRUE(n.connected());
    n.send(ByteSpan(whole).first(n_bytes));
    for (int i = 0; i < 3; ++i) run();
    n.reset();
    ASSERT_TRUE(until([&] { return !facts(1) || facts(1)->state <= bgp::State::active; })) << n_bytes;
    EXPECT_EQ(prefixes(), 0u) << n_bytes;
  }
  skip(40s);
  Neighbour n(1, settings_.listen_port);
  bring_up(n, 1);
  EXPECT_TRUE(until([&] { return n.read() && n.routes().size() == 2000; }));
}

// While whoever takes the routes lags, nothing is read; afterwards all is, from each of the neighbours in turn, also
// from one that has closed meanwhile, and one that reset its connection is only gone.
TEST_F(BgpTransportTest, ReadsNothingWhileTheRoutesAreNotTaken) {
  std::vector<std::unique_ptr<Neighbour>> all;
  for (unsigned i = 1; i <= 4; ++i) {
    bring_up(*all.emplace_back(std::make_unique<Neighbour>(i, settings_.listen_port)), i);
  }
  behind_ = true;
  for (unsigned i = 1; i <= 4; ++i) all[i - 1]->send(block(i, i << 16, 5000));
  all[2]->close();
  all[3]->reset();
  for (int i = 0; i < 20; ++i) run();
  EXPECT_EQ(prefixes(), 0u);
  transport_->catch_up();  // not yet
  for (int i = 0; i < 20; ++i) run();
  EXPECT_EQ(prefixes(), 0u);
  const auto before = now();
  behind_ = false;
  transport_->catch_up();
  ASSERT_TRUE(until([&] { return facts(1)->accepted_prefixes == 5000 && facts(2)->accepted_prefixes == 5000; }));
  EXPECT_GE(last_read_, before);
  ASSERT_TRUE(until([&] { return !established(3) && !established(4); }));
  EXPECT_TRUE(established(1) && established(2));
}

// A neighbour that does not read: the thread goes on, what waits for it is bounded, others hear everything, and after
// the send hold time (RFC 9687) it is dropped with its reason.
TEST_F(BgpTransportTest, NeighbourThatDoesNotRead) {
  Neighbour slow(1, settings_.listen_port, 2048), other(2, settings_.listen_port);
  bring_up(slow, 1);
  bring_up(other, 2);
  std::size_t most = 0;
  for (unsigned round = 0; round < 40; ++round) {
    for (unsigned i = 0; i < 1000; ++i) {
      const routing::IpPrefix p = Ipv4Prefix{Ipv4Address{0x14000000 + round * 1000 + i}, 32};
      bgp::AnnounceAttributes a;
      a.med = i % 200;
      transport_->announce(p, a);
    }
    // Sent again in whole: far more bytes than any queue may hold.
    for (int i = 0; i < 20; ++i) {
      transport_->resend(Ipv4Address{kUs + 1});
      run();
    }
    other.read();
    most = std::max(most, facts(1)->output_queue_bytes);
  }
  EXPECT_TRUE(established(1));
  EXPECT_GT(most, 100'000u);
  EXPECT_LT(most, 1'100'000u);
  ASSERT_TRUE(until([&] { return other.read() && other.routes().size() == 40000; }));
  // It says keepalive all the time; only it does not read.
  for (int i = 0; i < 20 && downs_.empty(); ++i) {
    slow.send(bgp::encode_keepalive());
    other.send(bgp::encode_keepalive());
    const auto before = facts(2)->in.keepalive;
    ASSERT_TRUE(until([&] { return facts(2)->in.keepalive > before; }));
    for (int turn = 0; turn < 5; ++turn) run();
    skip(30s);
  }
  ASSERT_EQ(downs_.size(), 1u);
  EXPECT_NE(downs_[0].find("does not read"), std::string::npos) << downs_[0];
  EXPECT_TRUE(established(2));
}

}  // namespace
}  // namespace sluice::io
