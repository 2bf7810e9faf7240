// Listeners of the HTTP server; see http_server.h.
#include "control/io/http_server.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <filesystem>
#include <unordered_map>
#include <utility>
#include <variant>

#include "control/io/http_session.h"

namespace sluice::io {

namespace asio = boost::asio;

using UnixAcceptor = asio::local::stream_protocol::acceptor;
using TcpAcceptor = asio::ip::tcp::acceptor;

struct HttpServer::State : std::enable_shared_from_this<HttpServer::State> {
  State(Loop& l, HttpLimits lim, HttpHandler h) : loop(l), limits(lim), handler(std::move(h)), retry(l.context()) {}

  template <typename Acceptor>
  void accept(Acceptor& acceptor) {
    acceptor.async_accept(pending.emplace(loop.context()),
                          [self = shared_from_this(), &acceptor](const boost::system::error_code& error) {
                            if (self->stopped || error == asio::error::operation_aborted) return;
                            self->on_accept(acceptor, error);
                          });
  }

  template <typename Acceptor>
  void on_accept(Acceptor& acceptor, const boost::system::error_code& error) {
    if (error) return later(acceptor, error);
    error_logged = false;
    if (sessions.size() < limits.connections_max) {
      auto session = std::make_shared<HttpSession>(std::move(*pending), limits, handler);
      session->ended = [weak = weak_from_this()](HttpSession* over) {
        if (auto self = weak.lock()) self->sessions.erase(over);
      };
      sessions.emplace(session.get(), session);
      session->start();
    } else if (!std::exchange(full_logged, true)) {
      spdlog::warn("{}: more than {} connections; further ones are closed", place, limits.connections_max);
    }
    accept(acceptor);
  }

  // Out of file descriptors, most likely: say it once, and try again in a moment.
  template <typename Acceptor>
  void later(Acceptor& acceptor, const boost::system::error_code& error) {
    if (!std::exchange(error_logged, true)) spdlog::error("{}: cannot accept: {}", place, error.message());
    retry.expires_after(std::chrono::milliseconds(200));
    retry.async_wait([self = shared_from_this(), &acceptor](const boost::system::error_code& cancelled) {
      if (!cancelled && !self->stopped) self->accept(acceptor);
    });
  }

  void stop() {
    if (std::exchange(stopped, true)) return;
    boost::system::error_code ignored;
    if (unix_acceptor) unix_acceptor->close(ignored);
    if (tcp_acceptor) tcp_acceptor->close(ignored);
    retry.cancel();
    if (!unix_path.empty()) ::unlink(unix_path.c_str());
    for (auto& [key, session] : std::exchange(sessions, {})) session->close();
  }

  Loop& loop;
  const HttpLimits limits;
  HttpHandler handler;
  asio::steady_timer retry;
  std::optional<UnixAcceptor> unix_acceptor;
  std::optional<TcpAcceptor> tcp_acceptor;
  std::optional<HttpSocket> pending;
  std::unordered_map<HttpSession*, std::shared_ptr<HttpSession>> sessions;
  std::string place, unix_path;
  bool stopped = false, error_logged = false, full_logged = false;
};

namespace {

// A socket file without a listener is what a killed daemon leaves: remove it. Anything else that is in the way stays.
Status clear_path(const std::string& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) return {};
  if (!S_ISSOCK(status.st_mode)) return fail(path, "exists and is no socket: remove it or choose another path");
  asio::io_context context;
  asio::local::stream_protocol::socket probe(context);
  boost::system::error_code error;
  probe.connect(asio::local::stream_protocol::endpoint(path), error);
  if (!error) return fail(path, "another sluiced listens there already");
  if (::unlink(path.c_str()) != 0) return fail(path, "cannot remove the old socket");
  return {};
}

Status check_path(const std::string& path) {
  if (path.empty()) return fail("admin socket", "the path is empty");
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return fail(path, fmt::format("a unix socket's path has at most {} bytes", sizeof(sockaddr_un::sun_path) - 1));
  }
  std::error_code error;
  const auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty() && !std::filesystem::exists(parent, error) && !std::filesystem::create_directory(parent, error)) {
    return fail(path, fmt::format("cannot make the folder {}: {}", parent.string(), error.message()));
  }
  return {};
}

}  // namespace

HttpServer::HttpServer(Loop& loop, HttpLimits limits, HttpHandler handler)
    : state_(std::make_shared<State>(loop, limits, std::move(handler))) {}

HttpServer::~HttpServer() { state_->stop(); }

void HttpServer::stop() { state_->stop(); }

std::size_t HttpServer::connections() const { return state_->sessions.size(); }

Status HttpServer::listen_unix(const std::string& path) {
  if (auto ok = check_path(path); !ok) return ok;
  if (auto ok = clear_path(path); !ok) return ok;
  boost::system::error_code error;
  UnixAcceptor acceptor(state_->loop.context());
  acceptor.open(asio::local::stream_protocol(), error);
  if (!error) {
    // Narrow before the file exists: no moment at which others could connect.
    const mode_t old = ::umask(0177);
    acceptor.bind(asio::local::stream_protocol::endpoint(path), error);
    ::umask(old);
  }
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail(path, fmt::format("cannot listen: {}", error.message()));
  state_->place = state_->unix_path = path;
  state_->accept(state_->unix_acceptor.emplace(std::move(acceptor)));
  return {};
}

Status HttpServer::listen_tcp(Ipv4Endpoint endpoint) {
  boost::system::error_code error;
  TcpAcceptor acceptor(state_->loop.context());
  acceptor.open(asio::ip::tcp::v4(), error);
  if (!error) acceptor.set_option(TcpAcceptor::reuse_address(true), error);
  if (!error) acceptor.bind({asio::ip::address_v4(endpoint.address.value), endpoint.port}, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail(endpoint.text(), fmt::format("cannot listen: {}", error.message()));
  state_->place = endpoint.text();
  state_->accept(state_->tcp_acceptor.emplace(std::move(acceptor)));
  return {};
}

std::uint16_t HttpServer::tcp_port() const {
  return state_->tcp_acceptor ? state_->tcp_acceptor->local_endpoint().port() : std::uint16_t{0};
}

}  // namespace sluice::io
