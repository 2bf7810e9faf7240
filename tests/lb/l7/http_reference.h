// A second, small reader of HTTP messages, written apart from ours: it accepts only the canonical form that we forward.
//
// It shares no code with lb/l7. Slow, strict and simple: what it and llhttp (http_llhttp.h) both read the same way, no
// two servers should read differently.
//
// Called by: tests/lb/l7, tests/fuzz. Runs on: the test. Follows: RFC 9112.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::lb::http::test {

struct Message {
  std::string start[3];                                     // method, target, version; or version, status, reason
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::vector<std::pair<std::string, std::string>> trailers;
  std::string body;
  bool chunked = false;
  bool until_close = false;

  std::vector<std::string> all(std::string_view name) const {
    std::vector<std::string> values;
    for (const auto& [field, value] : fields)
      if (field == name) values.push_back(value);
    return values;
  }
  friend bool operator==(const Message&, const Message&) = default;
};

class ReferenceReader {
 public:
  explicit ReferenceReader(std::string_view bytes) : bytes_(bytes) {}

  // The next message, or nothing: all() says whether everything was read, problem() what is wrong.
  std::optional<Message> request() { return message(true, ""); }
  // `method` of the request that it answers.
  std::optional<Message> response(std::string_view method) { return message(false, method); }
  bool all() const { return bytes_.empty() && problem_.empty(); }
  const std::string& problem() const { return problem_; }

 private:
  std::nullopt_t bad(std::string what) {
    problem_ = std::move(what);
    return std::nullopt;
  }

  std::optional<std::string_view> line() {
    const std::size_t end = bytes_.find("\r\n");
    if (end == std::string_view::npos) return bad("no CR LF");
    const std::string_view text = bytes_.substr(0, end);
    for (const char c : text)
      if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return bad("a control byte in a line");
    bytes_.remove_prefix(end + 2);
    return text;
  }

  bool read_fields(std::vector<std::pair<std::string, std::string>>& out) {
    while (true) {
      const auto text = line();
      if (!text) return false;
      if (text->empty()) return true;
      const std::size_t colon = text->find(": ");
      if (colon == std::string_view::npos || colon == 0) return bad("a field is not name: value"), false;
      std::string name;
      for (const char c : text->substr(0, colon)) {
        if (std::string_view("()<>@,;:\\\"/[]?={} \t").find(c) != std::string_view::npos ||
            static_cast<unsigned char>(c) >= 0x80)
          return bad("a field name is no token"), false;
        name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
      const std::string_view value = text->substr(colon + 2);
      if (!value.empty() &&
          (value.front() == ' ' || value.front() == '\t' || value.back() == ' ' || value.back() == '\t'))
        return bad("white space around a value"), false;
      out.emplace_back(name, value);
    }
  }

  bool start_line(Message& out, bool is_request) {
    const auto text = line();
    if (!text) return false;
    const std::size_t first = text->find(' ');
    const std::size_t second = first == std::string_view::npos ? first : text->find(' ', first + 1);
    if (second == std::string_view::npos) return bad("the start line has no two spaces"), false;
    out.start[0] = text->substr(0, first);
    out.start[1] = text->substr(first + 1, second - first - 1);
    out.start[2] = text->substr(second + 1);
    if ((is_request ? out.start[2] : out.start[0]) != "HTTP/1.1") return bad("the version is not HTTP/1.1"), false;
    if (out.start[0].empty() || out.start[1].empty()) return bad("an empty word in the start line"), false;
    return true;
  }

  static bool number(std::string_view text, int base, std::uint64_t& value) {
    if (text.empty() || text.size() > 15 || (text.size() > 1 && text[0] == '0')) return false;
    value = 0;
    for (const char c : text) {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : 99;
      if (digit >= base) return false;
      value = value * static_cast<unsigned>(base) + static_cast<unsigned>(digit);
    }
    return true;
  }

  bool read_chunks(Message& out) {
    out.chunked = true;
    while (true) {
      const auto text = line();
      std::uint64_t size = 0;
      if (!text || !number(*text, 16, size)) return bad("a chunk size is not plain"), false;
      if (size == 0) return read_fields(out.trailers);
      if (bytes_.size() < size + 2) return bad("a chunk is cut off"), false;
      out.body += bytes_.substr(0, size);
      if (bytes_.substr(size, 2) != "\r\n") return bad("no CR LF behind a chunk"), false;
      bytes_.remove_prefix(size + 2);
    }
  }

  bool read_body(Message& out, bool is_request, std::string_view method) {
    const auto codings = out.all("transfer-encoding");
    const auto lengths = out.all("content-length");
    if (codings.size() + lengths.size() > 1) return bad("framing twice"), false;
    const std::string& status = out.start[1];
    if (!is_request && (status[0] == '1' || status == "204" || status == "304" || method == "HEAD")) {
      if (!codings.empty()) return bad("a coding without a body"), false;
      return true;
    }
    if (!codings.empty()) {
      if (codings[0] != "chunked") return bad("a coding that is not chunked"), false;
      return read_chunks(out);
    }
    std::uint64_t length = 0;
    if (!lengths.empty() && !number(lengths[0], 10, length)) return bad("Content-Length is not plain"), false;
    if (lengths.empty() && !is_request) {
      out.until_close = true;
      length = bytes_.size();
    }
    if (bytes_.size() < length) return bad("the body is cut off"), false;
    out.body = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return true;
  }

  std::optional<Message> message(bool is_request, std::string_view method) {
    Message out;
    if (!start_line(out, is_request) || !read_fields(out.fields)) return std::nullopt;
    if (is_request && out.all("host").size() != 1) return bad("not exactly one Host");
    if (!read_body(out, is_request, method)) return std::nullopt;
    return out;
  }

  std::string_view bytes_;
  std::string problem_;
};

}  // namespace sluice::lb::http::test
