// One HTTP connection; see http_session.h.
#include "control/io/http_session.h"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>

namespace sluice::io {

namespace http = boost::beast::http;

namespace {

std::string response_head(unsigned status, std::string_view content_type, bool keep_alive, bool chunked,
                          std::size_t length) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  std::string head = fmt::format("HTTP/1.1 {} {}\r\nServer: sluiced\r\nContent-Type: {}\r\n", status,
                                 std::string_view(reason.data(), reason.size()), content_type);
  head += chunked ? "Transfer-Encoding: chunked\r\n" : fmt::format("Content-Length: {}\r\n", length);
  head += keep_alive ? "\r\n" : "Connection: close\r\n\r\n";
  return head;
}

}  // namespace

class HttpSession::Exchange : public HttpExchange {
 public:
  Exchange(std::shared_ptr<HttpSession> session, Parser::value_type request)
      : session_(std::move(session)), method_(request.method_string()), target_(request.target()) {
    body_ = std::move(request.body());
    head_only_ = method_ == "HEAD";
  }
  ~Exchange() override {
    if (!begun_)
      respond(500, "text/plain", "the request was not answered\n");
    else if (!finished_)
      session_->close();
  }

  const std::string& method() const override { return method_; }
  const std::string& target() const override { return target_; }
  const std::string& body() const override { return body_; }

  void respond(unsigned status, std::string_view content_type, std::string body) override {
    if (begun_) return;
    begun_ = finished_ = true;
    std::string bytes = response_head(status, content_type, session_->keep_alive_, false, body.size());
    if (!head_only_) bytes += body;
    session_->enqueue(std::move(bytes), true);
  }

  void stream(std::string_view content_type) override {
    if (begun_) return;
    begun_ = true;
    session_->enqueue(response_head(200, content_type, session_->keep_alive_, true, 0), false);
    session_->watch_for_gone();
  }

  bool write(std::string data) override {
    if (!begun_ || finished_ || session_->closed_) return false;
    if (data.empty()) return true;
    if (session_->queued_bytes_ + data.size() > session_->limits_.stream_bytes_max) {
      session_->close();
      return false;
    }
    return session_->enqueue(fmt::format("{:x}\r\n{}\r\n", data.size(), data), false);
  }

  void finish() override {
    if (!begun_ || finished_) return;
    finished_ = true;
    session_->gone_ = nullptr;
    session_->enqueue("0\r\n\r\n", true);
  }

  void on_gone(std::function<void()> gone) override {
    if (!finished_) session_->gone_ = std::move(gone);
  }

 private:
  std::shared_ptr<HttpSession> session_;
  std::string method_, target_, body_;
  bool head_only_ = false, begun_ = false, finished_ = false;
};

HttpSession::HttpSession(HttpSocket socket, const HttpLimits& limits, const HttpHandler& handler)
    : socket_(std::move(socket)), limits_(limits), handler_(handler), timer_(socket_.get_executor()) {}

HttpSession::~HttpSession() = default;

void HttpSession::close() {
  if (closed_) return;
  closed_ = true;
  boost::system::error_code ignored;
  socket_.close(ignored);
  timer_.cancel();
  queue_.clear();
  queued_bytes_ = 0;
  if (auto gone = std::exchange(gone_, nullptr)) gone();
  if (ended) ended(this);
}

void HttpSession::arm(Duration timeout) {
  timer_.expires_after(std::chrono::nanoseconds(timeout));
  timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (!error && self->timer_.expiry() <= std::chrono::steady_clock::now()) self->close();
  });
}

void HttpSession::read() {
  parser_.emplace();
  parser_->header_limit(static_cast<std::uint32_t>(limits_.header_bytes_max));
  parser_->body_limit(limits_.body_bytes_max);
  arm(limits_.read_timeout);
  http::async_read(socket_, buffer_, *parser_,
                   [self = shared_from_this()](const boost::system::error_code& error, std::size_t) {
                     if (!self->closed_) self->on_read(error);
                   });
}

void HttpSession::on_read(const boost::system::error_code& error) {
  timer_.cancel();
  if (error == http::error::body_limit) return refuse(413, "the request is too large");
  if (error == http::error::header_limit) return refuse(431, "the request's header is too large");
  if (error && error.category() == http::make_error_code(http::error::bad_method).category() &&
      error != http::error::end_of_stream && error != http::error::partial_message) {
    return refuse(400, error.message());
  }
  if (error) return close();
  keep_alive_ = parser_->get().keep_alive();
  dispatch();
}

void HttpSession::refuse(unsigned status, std::string_view why) {
  keep_alive_ = false;
  std::string body = fmt::format("{}\n", why);
  std::string head = response_head(status, "text/plain", false, false, body.size());
  enqueue(head + body, true);
}

void HttpSession::dispatch() {
  answer_complete_ = false;
  auto exchange = std::make_shared<Exchange>(shared_from_this(), parser_->release());
  handler_(std::move(exchange));
}

void HttpSession::watch_for_gone() {
  socket_.async_wait(HttpSocket::wait_read, [self = shared_from_this()](const boost::system::error_code& error) {
    if (error || self->closed_ || self->answer_complete_) return;
    boost::system::error_code status;
    if (self->socket_.available(status) == 0) self->close();
    // Otherwise the client sends its next request early: it is read when this answer is complete.
  });
}

bool HttpSession::enqueue(std::string bytes, bool last) {
  if (closed_) return false;
  queued_bytes_ += bytes.size();
  queue_.push_back(std::move(bytes));
  answer_complete_ = answer_complete_ || last;
  if (!writing_) write_next();
  return true;
}

void HttpSession::write_next() {
  writing_ = true;
  arm(limits_.write_timeout);
  socket_.async_write_some(boost::asio::buffer(queue_.front()),
                           [self = shared_from_this()](const boost::system::error_code& error, std::size_t n) {
                             if (!self->closed_) self->on_written(error, n);
                           });
}

void HttpSession::on_written(const boost::system::error_code& error, std::size_t n) {
  if (error) return close();
  queued_bytes_ -= n;
  if (n == queue_.front().size()) {
    queue_.pop_front();
  } else {
    queue_.front().erase(0, n);
  }
  if (!queue_.empty()) return write_next();
  writing_ = false;
  timer_.cancel();
  if (answer_complete_) answered();
}

void HttpSession::answered() {
  answer_complete_ = false;
  if (keep_alive_) return read();
  boost::system::error_code ignored;
  socket_.shutdown(HttpSocket::shutdown_send, ignored);
  close();
}

}  // namespace sluice::io
