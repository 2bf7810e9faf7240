// BgpTransport: sockets in, speaker steps, outputs out.
#include "control/io/bgp_transport.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <deque>
#include <map>
#include <unordered_map>

#include "control/io/bgp_socket.h"

namespace sluice::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// Of one connection a turn: 1,600 /32, one to two milliseconds until they are on their way to the workers.
constexpr std::size_t kReadMax = 8 * 1024;
constexpr std::size_t kQueueMax = 1024 * 1024;  // waiting for a slow reader
constexpr std::size_t kConnectionsMax = 16 * 1024;
constexpr std::size_t kRoutesAhead = 16;  // fetched from memory before they are changed
constexpr Duration kConnectTimeout = 20s;
constexpr Duration kLinger = 1s;

}  // namespace

struct BgpTransport::Impl {
  struct Conn {
    explicit Conn(asio::io_context& context) : socket(context), timer(context) {}
    bgp::ConnId id = 0;
    tcp::socket socket;
    asio::steady_timer timer;  // of connecting, or of closing
    std::deque<bgp::SharedBytes> queue;
    std::size_t queued = 0;   // bytes in all
    std::size_t written = 0;  // of the first
    bool open = false, writing = false, closing = false, gone = false;
  };
  using ConnPtr = std::shared_ptr<Conn>;
  struct Listener {
    explicit Listener(asio::io_context& context) : acceptor(context) {}
    tcp::acceptor acceptor;
    std::map<routing::IpPrefix, std::string> keys;  // TCP MD5, of neighbours and listen ranges
    std::uint16_t port = 0;
  };

  Impl(asio::io_context& io, bgp::Speaker& s, routing::RoutingTable& r, Hooks h)
      : context(io), speaker(s), routes(r), hooks(std::move(h)), timer(io), alive(std::make_shared<bool>(true)) {}

  ~Impl() { *alive = false; }

  // ---- the speaker

  template <typename F>
  void turn(F&& f) {
    out.clear();
    const auto now = hooks.now();
    f(now, out);
    // What the outputs cause (a failed connect, a full queue) comes back as an input of a later turn: never nested.
    apply_routes(now);
    const auto actions = std::move(out.actions);
    out.actions = {};
    for (const auto& action : actions) std::visit([this](const auto& a) { this->carry_out(a); }, action);
    arm();
    if (speaker.has_work()) work_later();
  }
  void step(const bgp::Input& input) {
    turn([&](Instant now, bgp::Outputs& o) { speaker.step(now, input, o); });
  }

  void apply_routes(Instant now) {
    std::vector<Ipv4Address> gateways;
    for (std::size_t i = 0; i < out.routes.size(); ++i) {
      if (i + kRoutesAhead < out.routes.size()) {
        if (const auto& later = out.routes[i + kRoutesAhead].prefix; later.is_v4()) routes.prefetch_bgp(later.v4());
      }
      const auto change = out.routes[i];
      if (!change.prefix.is_v4()) continue;  // the packet engine routes IPv4 only
      gateways.clear();
      for (const auto& hop : change.next_hops) {
        if (hop.is_v4()) gateways.push_back(hop.v4());
      }
      routes.set_bgp(change.prefix.v4(), gateways, change.external, now);
    }
    const bool changed = out.routes.size() != 0;
    out.routes.clear();
    if (changed && hooks.routes_changed) hooks.routes_changed(now);
  }

  // The rest of the work after everything else that waits has had its turn.
  void work_later() {
    if (work_posted) return;
    work_posted = true;
    asio::post(context, [this, living = alive] {
      if (!*living) return;
      work_posted = false;
      step(bgp::input::Tick{});
    });
  }

  void arm() {
    const auto deadline = speaker.deadline();
    if (deadline == armed) return;
    armed = deadline;
    if (deadline == kInstantMax) return void(timer.cancel());
    timer.expires_after(std::max<Duration>(deadline - hooks.now(), 0s));
    timer.async_wait([this, living = alive](error_code error) {
      if (!*living || error) return;
      armed = kInstantMax;
      step(bgp::input::Tick{});
    });
  }

  // ---- outputs

  void carry_out(const bgp::output::SessionUp& event) { tell(event); }
  void carry_out(const bgp::output::SessionDown& event) { tell(event); }
  void carry_out(const bgp::output::Log& event) { tell(event); }
  void tell(const bgp::Output& event) {
    if (hooks.event) hooks.event(event);
  }

  void carry_out(const bgp::output::Send& send) {
    const auto at = conns.find(send.conn);
    if (at == conns.end()) return;
    const auto conn = at->second;
    if (conn->queue.empty()) {  // usually the kernel takes it all, and that is that
      conn->written = try_send(*conn, *send.bytes);
      if (conn->written == send.bytes->size()) {
        conn->written = 0;
        return report_written(conn);
      }
      conn->queued -= conn->written;
    }
    conn->queued += send.bytes->size();
    conn->queue.push_back(send.bytes);
    if (conn->queued > kQueueMax) return lost_later(conn, "it does not read: too much output is waiting");
    write(conn);
  }

  void carry_out(const bgp::output::Close& close) {
    const auto at = conns.find(close.conn);
    if (at == conns.end()) return;
    auto conn = at->second;
    conns.erase(at);
    conn->closing = true;
    if (!close.flush || !conn->open) return shut(conn);
    linger(conn);
    if (conn->queue.empty()) finish(conn);
  }

  // What was sent last, usually a NOTIFICATION, shall arrive; but nobody can hold a closed connection for long.
  void linger(const ConnPtr& conn) {
    ++lingering;
    conn->timer.expires_after(kLinger);
    conn->timer.async_wait([this, conn, living = alive](error_code) {
      if (!*living) return;
      --lingering;
      shut(conn);
      finish_shutdown();
    });
  }

  // Reads on until the other side has closed too: closing with unread bytes would be a reset, and could overtake the
  // NOTIFICATION.
  void drain(const ConnPtr& conn) {
    conn->socket.async_read_some(asio::buffer(buffer), [this, conn, living = alive](error_code error, std::size_t) {
      if (!*living || conn->gone) return;
      error ? void(conn->timer.cancel()) : drain(conn);
    });
  }

  void shut(const ConnPtr& conn) {
    if (conn->gone) return;
    conn->gone = true;
    conn->timer.cancel();
    error_code ignored;
    if (conn->open) conn->socket.shutdown(tcp::socket::shutdown_both, ignored);
    conn->socket.close(ignored);
  }

  void carry_out(const bgp::output::Connect& request) {
    auto conn = std::make_shared<Conn>(context);
    conn->id = request.conn;
    conns[request.conn] = conn;
    const auto admission = speaker.admission(request.remote.address);
    auto prepared =
        open_bgp_client(request.remote.address, request.local, admission.value_or(bgp::Speaker::Admission{}));
    if (!prepared) return failed_later(conn, prepared.error().message);
    error_code error;
    conn->socket.assign(request.remote.address.is_v4() ? tcp::v4() : tcp::v6(), *prepared, error);
    conn->timer.expires_after(kConnectTimeout);
    conn->timer.async_wait([this, conn, living = alive](error_code e) {
      if (!*living || e || conn->open || conn->gone) return;
      connect_failed(conn, "connection timed out");
    });
    conn->socket.async_connect(to_asio(request.remote), [this, conn, living = alive](error_code e) {
      if (!*living || conn->gone) return;
      if (e) return connect_failed(conn, lower(e.message()));
      conn->timer.cancel();
      opened(conn);
      const auto local = from_asio(conn->socket.local_endpoint(e));
      const auto remote = from_asio(conn->socket.remote_endpoint(e));
      step(bgp::input::Connected{conn->id, local, remote});
      read(conn);
    });
  }

  void failed_later(const ConnPtr& conn, std::string reason) {
    asio::post(context, [this, conn, reason = std::move(reason), living = alive] {
      if (*living && !conn->gone) connect_failed(conn, reason);
    });
  }
  void connect_failed(const ConnPtr& conn, std::string reason) {
    if (conns.erase(conn->id) == 0) return;
    shut(conn);
    step(bgp::input::ConnectFailed{conn->id, std::move(reason)});
  }

  // ---- connections

  void opened(const ConnPtr& conn) {
    conn->open = true;
    error_code ignored;
    conn->socket.set_option(tcp::no_delay(true), ignored);
    conn->socket.non_blocking(true, ignored);
  }

  // Waits until there is something, then reads once: between two reads of one connection all others have their turn.
  void read(const ConnPtr& conn) {
    if (conn->gone || conn->closing) return;
    conn->socket.async_wait(tcp::socket::wait_read, [this, conn, living = alive](error_code error) {
      if (!*living || conn->gone || conn->closing) return;
      if (error) return lost(conn, lower(error.message()));
      if (hooks.behind && hooks.behind()) return unread.push_back(conn);
      read_now(conn);
    });
  }
  void read_now(const ConnPtr& conn) {
    const auto n = ::recv(conn->socket.native_handle(), buffer.data(), kReadMax, 0);
    if (n == 0) return lost(conn, "connection closed by the neighbour");
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return read(conn);
      return lost(conn, lower(std::strerror(errno)));
    }
    step(bgp::input::Received{conn->id, std::span(buffer.data(), static_cast<std::size_t>(n))});
    read(conn);
  }
  // One at a time, so that what else waits comes in between.
  void catch_up() {
    if (unread.empty() || catching_up || (hooks.behind && hooks.behind())) return;
    catching_up = true;
    asio::post(context, [this, living = alive] {
      if (!*living) return;
      catching_up = false;
      if (unread.empty() || (hooks.behind && hooks.behind())) return;
      const auto conn = std::move(unread.front());
      unread.pop_front();
      if (!conn->gone && !conn->closing) read_now(conn);
      catch_up();
    });
  }

  void lost(const ConnPtr& conn, std::string reason) {
    if (conns.erase(conn->id) == 0) return;
    shut(conn);
    step(bgp::input::Closed{conn->id, std::move(reason)});
  }
  void lost_later(const ConnPtr& conn, std::string reason) {
    asio::post(context, [this, conn, reason = std::move(reason), living = alive] {
      if (*living && !conn->gone) lost(conn, reason);
    });
  }

  // How much of it the kernel has taken. An error is dealt with by write(), which meets it again.
  static std::size_t try_send(Conn& conn, const std::vector<std::uint8_t>& bytes) {
    if (!conn.open || conn.gone) return 0;
    const auto n = ::send(conn.socket.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  // As much as the kernel takes now, the rest when it can take more. Nothing is copied: what is sent to thousands is
  // one encoding.
  void write(const ConnPtr& conn) {
    if (conn->writing || !conn->open || conn->gone) return;
    while (!conn->queue.empty()) {
      constexpr std::size_t kParts = 64;
      std::array<iovec, kParts> parts;
      std::size_t count = 0;
      for (const auto& bytes : conn->queue) {
        if (count == kParts) break;
        const auto skip = count == 0 ? conn->written : 0;
        // sendmsg reads only; iovec is not const for the sake of readv.
        parts[count++] = {const_cast<std::uint8_t*>(bytes->data()) + skip, bytes->size() - skip};
      }
      msghdr message{};
      message.msg_iov = parts.data();
      message.msg_iovlen = count;
      const auto n = ::sendmsg(conn->socket.native_handle(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) return wait_writable(conn);
        if (conn->closing) return void(conn->timer.cancel());
        return lost_later(conn, lower(std::strerror(errno)));
      }
      take_written(*conn, static_cast<std::size_t>(n));
    }
    if (conn->closing) return finish(conn);
    report_written(conn);
  }
  static void take_written(Conn& conn, std::size_t n) {
    conn.queued -= n;
    n += conn.written;
    while (!conn.queue.empty() && n >= conn.queue.front()->size()) {
      n -= conn.queue.front()->size();
      conn.queue.pop_front();
    }
    conn.written = n;
  }
  void wait_writable(const ConnPtr& conn) {
    conn->writing = true;
    if (!conn->closing) report_written(conn);
    conn->socket.async_wait(tcp::socket::wait_write, [this, conn, living = alive](error_code error) {
      if (!*living || conn->gone) return;
      conn->writing = false;
      if (!error) return write(conn);
      if (conn->closing) return void(conn->timer.cancel());
      lost(conn, lower(error.message()));
    });
  }
  // The speaker hears of it in a later turn, of all connections in one.
  void report_written(const ConnPtr& conn) {
    reports.push_back(conn->id);
    if (reports.size() != 1) return;
    asio::post(context, [this, living = alive] {
      if (!*living) return;
      const auto ids = std::exchange(reports, {});
      for (const auto id : ids) {
        if (const auto at = conns.find(id); at != conns.end()) {
          step(bgp::input::Written{id, at->second->queued});
        }
      }
    });
  }
  // All is written: FIN, and read on until the other side has closed too.
  void finish(const ConnPtr& conn) {
    error_code ignored;
    conn->socket.shutdown(tcp::socket::shutdown_send, ignored);
    drain(conn);
  }

  // ---- listeners

  void accept(const std::shared_ptr<Listener>& listener) {
    listener->acceptor.async_accept([this, listener, living = alive](error_code error, tcp::socket socket) {
      if (!*living || !listener->acceptor.is_open()) return;
      if (!error) {
        accepted(std::move(socket));
      } else if (error == asio::error::operation_aborted) {
        return;
      } else if (error == asio::error::no_descriptors || error == asio::error::no_buffer_space ||
                 error == asio::error::no_memory) {
        auto pause = std::make_shared<asio::steady_timer>(context, 1s);  // the backlog waits meanwhile
        pause->async_wait([this, listener, pause, l = alive](error_code) {
          if (*l) accept(listener);
        });
        return;
      }
      accept(listener);
    });
  }

  void accepted(tcp::socket socket) {
    error_code error;
    const auto local = from_asio(socket.local_endpoint(error));
    if (error) return;
    const auto remote = from_asio(socket.remote_endpoint(error));
    if (error) return;
    const auto admission = speaker.admission(remote.address);
    if (!admission || conns.size() >= kConnectionsMax) {
      tell(bgp::output::Log{
          true, remote.address,
          admission ? "connection refused: too many connections" : "connection refused: no such neighbour"});
      return;
    }
    set_bgp_ttl(socket.native_handle(), remote.address.is_v4(), *admission);
    auto conn = std::make_shared<Conn>(context);
    conn->id = next_accepted;
    next_accepted += 2;
    conn->socket = std::move(socket);
    conns[conn->id] = conn;
    opened(conn);
    step(bgp::input::Accepted{conn->id, local, remote});
    read(conn);
  }

  Status listen(const IpAddress& address, std::uint16_t port) {
    auto prepared = open_bgp_listener(address, port);
    if (!prepared) return tl::unexpected(prepared.error());
    auto listener = std::make_shared<Listener>(context);
    error_code error;
    listener->acceptor.assign(address.is_v4() ? tcp::v4() : tcp::v6(), *prepared, error);
    listener->port = port;
    listeners[address] = listener;
    accept(listener);
    return {};
  }

  void configure_listeners(const bgp::SpeakerSettings& settings, Errors& errors) {
    for (auto at = listeners.begin(); at != listeners.end();) {
      const bool wanted = settings.local_as != 0 && at->second->port == settings.listen_port &&
                          std::any_of(settings.self_ips.begin(), settings.self_ips.end(),
                                      [&at](const bgp::LocalAddress& l) { return l.address == at->first; });
      if (wanted) {
        ++at;
        continue;
      }
      error_code ignored;
      at->second->acceptor.close(ignored);
      at = listeners.erase(at);
    }
    if (settings.local_as == 0) return;
    for (const auto& self : settings.self_ips) {
      if (listeners.contains(self.address)) continue;
      if (auto status = listen(self.address, settings.listen_port); !status) errors.push_back(status.error());
    }
    for (const auto& [address, listener] : listeners) configure_keys(settings, address, *listener, errors);
  }

  // The kernel drops a SYN whose signature is missing or wrong, so the listener must know every key beforehand.
  void configure_keys(const bgp::SpeakerSettings& settings, const IpAddress& address, Listener& listener,
                      Errors& errors) {
    std::map<routing::IpPrefix, std::string> wanted;
    for (const auto& n : settings.neighbors) {
      if (n.address.is_v4() == address.is_v4() && !n.session.password.empty() && n.enabled) {
        wanted[routing::IpPrefix::host(n.address)] = n.session.password;
      }
    }
    for (const auto& r : settings.listen_ranges) {
      if (r.prefix.is_v4() == address.is_v4() && !r.session.password.empty()) wanted[r.prefix] = r.session.password;
    }
    const auto fd = listener.acceptor.native_handle();
    for (const auto& [prefix, key] : listener.keys) {
      if (!wanted.contains(prefix)) (void)set_bgp_md5(fd, prefix, "");
    }
    for (const auto& [prefix, key] : wanted) {
      const auto known = listener.keys.find(prefix);
      if (known != listener.keys.end() && known->second == key) continue;
      if (auto status = set_bgp_md5(fd, prefix, key); !status) errors.push_back(status.error());
    }
    listener.keys = std::move(wanted);
  }

  // ---- shutdown

  void finish_shutdown() {
    if (done && lingering == 0) {
      auto f = std::exchange(done, nullptr);
      f();
    }
  }

  asio::io_context& context;
  bgp::Speaker& speaker;
  routing::RoutingTable& routes;
  Hooks hooks;
  asio::steady_timer timer;
  std::shared_ptr<bool> alive;  // handlers that outlive us see it
  Instant armed = kInstantMax;
  bool work_posted = false;
  std::deque<ConnPtr> unread;  // readable, but see Hooks::behind
  bool catching_up = false;
  std::vector<bgp::ConnId> reports;  // what report_written() has still to tell
  bgp::Outputs out;
  std::array<std::uint8_t, kReadMax> buffer;
  std::unordered_map<bgp::ConnId, ConnPtr> conns;
  bgp::ConnId next_accepted = 1;
  std::map<IpAddress, std::shared_ptr<Listener>> listeners;
  std::size_t lingering = 0;
  std::function<void()> done;

  static std::string lower(std::string text) {
    if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
  }
  static tcp::endpoint to_asio(const bgp::Endpoint& e) {
    if (e.address.is_v4()) return {asio::ip::address_v4(e.address.v4().value), e.port};
    return {asio::ip::address_v6(e.address.v6().bytes), e.port};
  }
  static bgp::Endpoint from_asio(const tcp::endpoint& e) {
    if (e.address().is_v4()) return {Ipv4Address{e.address().to_v4().to_uint()}, e.port()};
    return {Ipv6Address{e.address().to_v6().to_bytes()}, e.port()};
  }
};

BgpTransport::BgpTransport(boost::asio::io_context& context, bgp::Speaker& speaker, routing::RoutingTable& routes,
                           Hooks hooks)
    : impl_(std::make_unique<Impl>(context, speaker, routes, std::move(hooks))) {}

BgpTransport::~BgpTransport() { abandon(); }

void BgpTransport::ready() {
  impl_->turn([&](Instant now, bgp::Outputs& out) { impl_->speaker.ready(now, out); });
}

void BgpTransport::abandon() {
  for (const auto& [id, conn] : impl_->conns) impl_->shut(conn);
  impl_->conns.clear();
  for (const auto& [address, listener] : impl_->listeners) {
    boost::system::error_code ignored;
    listener->acceptor.close(ignored);
  }
  impl_->listeners.clear();
}

Errors BgpTransport::configure(const bgp::SpeakerSettings& settings) {
  auto errors = bgp::Speaker::check(settings);
  if (!errors.empty()) return errors;
  impl_->configure_listeners(settings, errors);
  impl_->turn([&](Instant now, bgp::Outputs& out) { impl_->speaker.configure(now, settings, out); });
  return errors;
}

void BgpTransport::announce(const routing::IpPrefix& prefix, const bgp::AnnounceAttributes& attributes) {
  impl_->turn([&](Instant now, bgp::Outputs& out) { impl_->speaker.announce(now, prefix, attributes, out); });
}

void BgpTransport::withdraw(const routing::IpPrefix& prefix) {
  impl_->turn([&](Instant now, bgp::Outputs& out) { impl_->speaker.withdraw(now, prefix, out); });
}

void BgpTransport::catch_up() { impl_->catch_up(); }

void BgpTransport::next_hops_changed() { impl_->step(bgp::input::NextHopsChanged{}); }

void BgpTransport::path_down(const IpAddress& peer, bool path_is_dead, const std::string& reason) {
  impl_->step(bgp::input::PathDown{peer, path_is_dead, reason});
}

bool BgpTransport::clear(const IpAddress& peer) {
  bool found = false;
  impl_->turn([&](Instant now, bgp::Outputs& out) { found = impl_->speaker.clear(now, peer, out); });
  return found;
}

bool BgpTransport::refresh(const IpAddress& peer) {
  bool sent = false;
  impl_->turn([&](Instant now, bgp::Outputs& out) { sent = impl_->speaker.refresh(now, peer, out); });
  return sent;
}

bool BgpTransport::resend(const IpAddress& peer) {
  bool found = false;
  impl_->turn([&](Instant now, bgp::Outputs& out) {
    found = impl_->speaker.resend(peer);
    impl_->speaker.step(now, bgp::input::Tick{}, out);
  });
  return found;
}

void BgpTransport::shutdown(std::string_view reason, std::function<void()> done) {
  for (const auto& [address, listener] : impl_->listeners) {
    boost::system::error_code ignored;
    listener->acceptor.close(ignored);
  }
  impl_->listeners.clear();
  impl_->done = std::move(done);
  impl_->turn([&](Instant now, bgp::Outputs& out) { impl_->speaker.shutdown(now, reason, out); });
  boost::asio::post(impl_->context, [impl = impl_.get(), living = impl_->alive] {
    if (*living) impl->finish_shutdown();
  });
}

}  // namespace sluice::io
