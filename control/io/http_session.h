// One HTTP connection: reads a request, gives it to the handler, writes the answer, and again.
//
// Called by: io/http_server. Runs on: control thread. Follows: RFC 9112 (by Boost.Beast).
// Tested by: tests/control/io/http_server_test.cc
#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <deque>
#include <optional>

#include "control/io/http_server.h"

namespace sluice::io {

using HttpSocket = boost::asio::generic::stream_protocol::socket;

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  HttpSession(HttpSocket socket, const HttpLimits& limits, const HttpHandler& handler);
  ~HttpSession();

  void start() { read(); }
  // Ends the connection at once. `ended` (set by the server) runs when it is over, however that came.
  void close();
  std::function<void(HttpSession*)> ended;

 private:
  class Exchange;
  friend class Exchange;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

  void read();
  void on_read(const boost::system::error_code& error);
  void dispatch();
  void refuse(unsigned status, std::string_view why);
  void watch_for_gone();
  // Bytes ready to be sent; `last`: the answer is complete with them.
  bool enqueue(std::string bytes, bool last);
  void write_next();
  void on_written(const boost::system::error_code& error, std::size_t n);
  void answered();
  void arm(Duration timeout);

  HttpSocket socket_;
  const HttpLimits limits_;
  HttpHandler handler_;
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::weak_ptr<Exchange> exchange_;
  std::function<void()> gone_;
  std::deque<std::string> queue_;
  std::size_t queued_bytes_ = 0;
  bool writing_ = false;
  bool answer_complete_ = false;
  bool keep_alive_ = true;
  bool closed_ = false;
};

}  // namespace sluice::io
