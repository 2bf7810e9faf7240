// The connection to a BMP station; see bmp_client.h.
#include "control/io/bmp_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

namespace sluice::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr Duration kBackoffMin = 1s, kBackoffMax = 60s, kCollectorConnectTimeout = 10s;
constexpr std::size_t kMessagesPerWrite = 64;

}  // namespace

// Handlers hold the Impl, not the client: what comes after the client's end finds `ended`.
struct BmpClient::Impl : std::enable_shared_from_this<Impl> {
  Impl(asio::io_context& context, bgp::BmpFeed& f, const Ipv4Endpoint& s, Hooks h)
      : feed(f), station(s), hooks(std::move(h)), socket(context), timer(context) {}

  void connect() {
    error_code ignored;
    socket.close(ignored);
    timer.expires_after(kCollectorConnectTimeout);
    timer.async_wait([self = shared_from_this(), at = ++attempt](error_code error) {
      if (!error && !self->ended && at == self->attempt && !self->up) self->lost("connection timed out");
    });
    const tcp::endpoint to(asio::ip::address_v4(station.address.value), station.port);
    socket.async_connect(to, [self = shared_from_this(), at = attempt](error_code error) {
      if (self->ended || at != self->attempt) return;
      if (error) return self->lost(error.message());
      self->opened();
    });
  }

  void opened() {
    up = true;
    ++attempt;  // the timeout is over
    error_code ignored;
    socket.set_option(asio::socket_base::keep_alive(true), ignored);
    hooks.log(false, "connected");
    refused_said = false;
    feed.connected(hooks.now());
    watch();
    write();
  }

  // §3.2: the station never sends; reading only tells when it is gone.
  void watch() {
    socket.async_read_some(asio::buffer(unwanted),
                           [self = shared_from_this(), at = attempt](error_code error, std::size_t) {
                             if (self->ended || at != self->attempt) return;
                             error ? self->lost("closed by the station") : self->watch();
                           });
  }

  void write() {
    if (!up || writing || ended) return;
    if (feed.overflowed()) return lost("it does not read: its queue is full");
    if (!feed.has_output()) return;
    flying.clear();
    while (feed.has_output() && flying.size() < kMessagesPerWrite) flying.push_back(feed.take());
    std::vector<asio::const_buffer> buffers;
    for (const auto& message : flying) buffers.emplace_back(message.data(), message.size());
    writing = true;
    asio::async_write(socket, buffers, [self = shared_from_this(), at = attempt](error_code error, std::size_t) {
      self->writing = false;
      if (self->ended || at != self->attempt) return;
      if (error) return self->lost(error.message());
      backoff_over(*self);
      self->write();
    });
  }
  static void backoff_over(Impl& self) { self.backoff = kBackoffMin; }

  void lost(const std::string& why) {
    // A station that is away for long is said once.
    if (up || !refused_said) hooks.log(true, why);
    refused_said = !up;
    up = false;
    ++attempt;
    error_code ignored;
    socket.close(ignored);
    feed.disconnected();
    timer.expires_after(backoff);
    backoff = std::min(backoff * 2, kBackoffMax);
    timer.async_wait([self = shared_from_this(), at = attempt](error_code error) {
      if (!error && !self->ended && at == self->attempt) self->connect();
    });
  }

  void end() {
    ended = true;
    timer.cancel();
    error_code ignored;
    if (up && !writing) {
      feed.terminate();
      socket.non_blocking(true, ignored);
      while (feed.has_output()) {
        const bgp::Bytes message = feed.take();
        if (socket.write_some(asio::buffer(message), ignored) != message.size()) break;
      }
    }
    feed.disconnected();
    socket.close(ignored);
  }

  bgp::BmpFeed& feed;
  Ipv4Endpoint station;
  Hooks hooks;
  tcp::socket socket;
  asio::steady_timer timer;
  std::array<char, 512> unwanted{};
  std::vector<bgp::Bytes> flying;
  Duration backoff = kBackoffMin;
  std::uint64_t attempt = 0;  // handlers of an earlier one do nothing
  bool up = false, writing = false, ended = false, refused_said = false;
};

BmpClient::BmpClient(asio::io_context& context, bgp::BmpFeed& feed, const Ipv4Endpoint& station, Hooks hooks)
    : impl_(std::make_shared<Impl>(context, feed, station, std::move(hooks))) {
  impl_->connect();
}

BmpClient::~BmpClient() { impl_->end(); }

void BmpClient::poll() {
  // A write that does not end is how a station that does not read looks from here.
  if (impl_->up && impl_->feed.overflowed()) return impl_->lost("it does not read: its queue is full");
  impl_->write();
}

bool BmpClient::connected() const { return impl_->up; }

}  // namespace sluice::io
