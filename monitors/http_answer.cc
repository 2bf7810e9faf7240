// Where an HTTP/1.x answer ends: a walk over head, chunks and trailers; lenient in line ends, strict in numbers.
#include "monitors/http_answer.h"

#include <charconv>
#include <cstdint>
#include <optional>

namespace sluice::monitors {
namespace {

// Takes one line off `rest`, without CR LF (or bare LF). nullopt: no whole line there.
std::optional<std::string_view> take_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::optional<std::uint64_t> parse_number(std::string_view digits, int base) {
  std::uint64_t value = 0;
  const char* end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, value, base);
  if (error != std::errc() || stop != end || digits.empty()) return std::nullopt;
  return value;
}

struct Head {
  unsigned status = 0;
  bool chunked = false;
  bool length_is_bad = false;
  std::optional<std::uint64_t> length;
};

bool parse_status_line(std::string_view line, Head& head) {
  if (!line.starts_with("HTTP/1.")) return false;
  const auto space = line.find(' ');
  if (space == std::string_view::npos) return false;
  const auto status = parse_number(line.substr(space + 1, 3), 10);
  if (!status || *status < 100 || *status > 999) return false;
  head.status = static_cast<unsigned>(*status);
  return true;
}

void parse_field(std::string_view line, Head& head) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  const std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
  if (equal_ignoring_case(name, "content-length")) {
    const auto length = parse_number(value, 10);
    if (!length || (head.length && *head.length != *length)) head.length_is_bad = true;
    head.length = length;
  } else if (equal_ignoring_case(name, "transfer-encoding")) {
    const auto comma = value.rfind(',');  // chunked has to be the last coding
    head.chunked = equal_ignoring_case(trim(comma == value.npos ? value : value.substr(comma + 1)), "chunked");
  }
}

// Takes one head off `rest`. nullopt: not whole, or no HTTP/1.x.
std::optional<Head> take_head(std::string_view& rest) {
  Head head;
  auto line = take_line(rest);
  if (!line || !parse_status_line(*line, head)) return std::nullopt;
  for (;;) {
    line = take_line(rest);
    if (!line) return std::nullopt;
    if (line->empty()) return head;
    parse_field(*line, head);
  }
}

bool trailers_complete(std::string_view rest) {
  for (;;) {
    const auto line = take_line(rest);
    if (!line) return false;
    if (line->empty()) return true;
  }
}

bool chunks_complete(std::string_view rest) {
  for (;;) {
    const auto line = take_line(rest);
    if (!line) return false;
    const auto size = parse_number(trim(line->substr(0, line->find(';'))), 16);
    if (!size) return false;
    if (*size == 0) return trailers_complete(rest);
    if (*size >= rest.size()) return false;
    rest.remove_prefix(static_cast<std::size_t>(*size));
    const auto end = take_line(rest);
    if (!end || !end->empty()) return false;
  }
}

}  // namespace

bool http_answer_complete(std::string_view answer, bool to_head_request) {
  std::string_view rest = answer;
  for (;;) {
    const auto head = take_head(rest);
    if (!head) return false;
    if (head->status < 200) {
      if (head->status == 101) return true;  // another protocol from here on: no more HTTP to wait for
      continue;
    }
    if (to_head_request || head->status == 204 || head->status == 304) return true;
    if (head->chunked) return chunks_complete(rest);
    return head->length && !head->length_is_bad && rest.size() >= *head->length;
  }
}

std::string_view first_line(std::string_view answer) {
  const std::string_view line = answer.substr(0, answer.find('\n'));
  return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

}  // namespace sluice::monitors
