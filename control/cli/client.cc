// HTTP over the daemon's unix socket; see client.h.
#include "control/cli/client.h"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <limits>

namespace sluice::cli {

namespace http = boost::beast::http;
using Socket = boost::asio::local::stream_protocol::socket;

namespace {

constexpr std::size_t kLineMax = 1 << 20;

// Takes whole lines out of `text`; false when the reader has had enough.
bool take_lines(std::string& text, const std::function<bool(const std::string&)>& on_line) {
  for (auto end = text.find('\n'); end != std::string::npos; end = text.find('\n')) {
    const std::string line = text.substr(0, end);
    text.erase(0, end + 1);
    if (!on_line(line)) return false;
  }
  return text.size() <= kLineMax;
}

Result<HttpAnswer> read_answer(Socket& socket, const HttpAsk& request) {
  boost::beast::flat_buffer buffer;
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  boost::system::error_code error;
  http::read_header(socket, buffer, parser, error);
  HttpAnswer answer;
  answer.status = parser.get().result_int();
  const bool lines =
      request.on_line && answer.status == 200 && parser.get()[http::field::content_type] == "application/x-ndjson";
  char chunk[16384];
  while (!error && !parser.is_done()) {
    parser.get().body().data = chunk;
    parser.get().body().size = sizeof chunk;
    http::read_some(socket, buffer, parser, error);
    if (error == http::error::need_buffer) error = {};
    answer.body.append(chunk, sizeof chunk - parser.get().body().size);
    if (lines && !take_lines(answer.body, request.on_line)) return answer;
  }
  if (error) return fail("", fmt::format("sluiced broke off the answer: {}", error.message()));
  return answer;
}

}  // namespace

Result<HttpAnswer> ask(const HttpAsk& request) {
  boost::asio::io_context context;
  Socket socket(context);
  boost::system::error_code error;
  if (request.socket.size() >= 108) return fail("", fmt::format("the socket's path is too long: {}", request.socket));
  socket.connect(boost::asio::local::stream_protocol::endpoint(request.socket), error);
  if (error == boost::asio::error::access_denied) {
    return fail("",
                fmt::format("cannot connect to {}: permission denied (only sluiced's own user may)", request.socket));
  }
  if (error) {
    return fail("", fmt::format("sluiced is not running? cannot connect to {}: {}", request.socket, error.message()));
  }
  http::request<http::string_body> message(http::string_to_verb(request.method), request.target, 11, request.body);
  message.set(http::field::host, "sluiced");
  message.set(http::field::user_agent, "sluicectl");
  message.keep_alive(false);
  message.prepare_payload();
  http::write(socket, message, error);
  // A refusal may come before all of a large request was sent: read it all the same.
  return read_answer(socket, request);
}

}  // namespace sluice::cli
