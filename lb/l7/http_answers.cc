// The pages, built once; see http_answers.h.
#include "lb/l7/http_answers.h"

#include <array>
#include <cstring>
#include <string>

#include "dataplane/base/address.h"

namespace sluice::lb::http {
namespace {

struct Reason {
  std::uint16_t status;
  std::string_view phrase;
};
constexpr std::array<Reason, 44> kReasons = {{
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
}};

constexpr std::array<std::uint16_t, 14> kPages = {400, 404, 405, 408, 413, 414, 417, 431, 500, 501, 502, 503, 504, 505};

std::string page(std::uint16_t status) {
  const std::string title = std::to_string(status) + ' ' + std::string(reason_phrase(status));
  return "<!DOCTYPE html>\n<html><head><title>" + title + "</title></head><body><h1>" + title + "</h1></body></html>\n";
}

std::string build(std::uint16_t status, bool close, bool with_body) {
  const std::string body = page(status);
  std::string text = "HTTP/1.1 " + std::to_string(status) + ' ' + std::string(reason_phrase(status)) + "\r\n";
  // RFC 9110 15.5.6: 405 says what would be allowed.
  if (status == 405) text += "Allow: GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH\r\n";
  text +=
      "Content-Type: text/html\r\nContent-Length: " + std::to_string(body.size()) + "\r\nCache-Control: no-store\r\n";
  if (close) text += "Connection: close\r\n";
  text += "\r\n";
  return with_body ? text + body : text;
}

struct Pages {
  std::array<std::array<std::string, 4>, kPages.size()> text;
  Pages() {
    for (std::size_t i = 0; i < kPages.size(); ++i)
      for (unsigned shape = 0; shape < 4; ++shape)
        text[i][shape] = build(kPages[i], (shape & 1) != 0, (shape & 2) == 0);
  }
};

}  // namespace

std::string_view reason_phrase(std::uint16_t status) {
  if (status == 505) return "HTTP Version Not Supported";
  for (const Reason& reason : kReasons)
    if (reason.status == status) return reason.phrase;
  return "";
}

std::string_view answer(std::uint16_t status, AnswerShape shape) {
  static const Pages pages;
  const auto index_of = [](std::uint16_t wanted) {
    std::size_t i = 0;
    while (i < kPages.size() && kPages[i] != wanted) ++i;
    return i;
  };
  std::size_t i = index_of(status);
  if (i == kPages.size()) i = index_of(status / 100 == 5 ? 502 : 400);
  return pages.text[i][(shape.close ? 1U : 0U) | (shape.head_request ? 2U : 0U)];
}

std::string_view continue_answer() { return "HTTP/1.1 100 Continue\r\n\r\n"; }

std::uint32_t write_redirect(std::uint16_t status, std::string_view location, AnswerShape shape, std::span<char> out) {
  char* p = out.data();
  std::size_t left = out.size();
  bool fits = true;
  const auto put = [&](std::string_view text) {
    fits = fits && text.size() <= left;
    if (!fits) return;
    std::memcpy(p, text.data(), text.size());
    p += text.size();
    left -= text.size();
  };
  const char digits[3] = {static_cast<char>('0' + status / 100 % 10), static_cast<char>('0' + status / 10 % 10),
                          static_cast<char>('0' + status % 10)};
  put("HTTP/1.1 ");
  put({digits, 3});
  put(" ");
  put(reason_phrase(status));
  put("\r\nLocation: ");
  put(location);
  put("\r\nContent-Length: 0\r\n");
  if (shape.close) put("Connection: close\r\n");
  put("\r\n");
  return fits ? static_cast<std::uint32_t>(out.size() - left) : 0;
}

}  // namespace sluice::lb::http
