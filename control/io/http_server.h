// A small HTTP/1.1 server for a unix socket or a TCP port: the admin API and the Prometheus page are served by it.
//
//   io::HttpServer server(loop, io::HttpLimits{}, [](std::shared_ptr<io::HttpExchange> exchange) {
//     exchange->respond(200, "text/plain", "hello\n");      // now, or later: keep the exchange
//   });
//   Status ok = server.listen_unix("/run/sluice/sluiced.sock");    // mode 0600, replaces a dead daemon's socket
//
// A slow or silent client never holds up anybody: all I/O is asynchronous, each direction has a time limit, and what
// waits for a client is bounded (a stream that overflows is cut off).
//
// Called by: control/daemon. Runs on: control thread. Follows: RFC 9110, RFC 9112 (by Boost.Beast).
// Tested by: tests/control/io/http_server_test.cc
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "control/admin/exchange.h"
#include "control/io/loop.h"
#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

namespace sluice::io {

struct HttpLimits {
  std::size_t header_bytes_max = 8 * 1024;
  std::size_t body_bytes_max = 4 * 1024 * 1024;
  std::size_t connections_max = 64;                // further ones are closed at once
  std::size_t stream_bytes_max = 8 * 1024 * 1024;  // waiting for a client that reads slowly
  Duration read_timeout = 30s;                     // for a whole request, and between two
  Duration write_timeout = 10s;                    // without any progress
};

using HttpExchange = admin::Exchange;
using HttpHandler = std::function<void(std::shared_ptr<HttpExchange>)>;

class HttpServer {
 public:
  HttpServer(Loop& loop, HttpLimits limits, HttpHandler handler);
  // Closes the listener (a unix socket's file goes too) and all connections.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // Fails when a living daemon listens there already, or the path cannot be made. Makes the last folder of the path.
  Status listen_unix(const std::string& path);
  Status listen_tcp(Ipv4Endpoint endpoint);
  std::uint16_t tcp_port() const;  // of listen_tcp, when asked for port 0
  std::size_t connections() const;
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace sluice::io
