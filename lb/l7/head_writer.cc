// Heads as they go out; see head_writer.h.
#include "lb/l7/head_writer.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "lb/l7/byte_class.h"
#include "lb/l7/http_answers.h"

namespace sluice::lb::http {
namespace {

// Everything of our own but rules, Set-Cookie and Host: names, numbers and addresses.
constexpr std::uint32_t kOwnBytesMax = 320;

// Writes without looking at the room: callers have asked head_bytes_needed.
class Writer {
 public:
  explicit Writer(char* out) : start_(out), p_(out) {}
  std::uint32_t size() const { return static_cast<std::uint32_t>(p_ - start_); }

  void put(std::string_view text) {
    std::memcpy(p_, text.data(), text.size());
    p_ += text.size();
  }
  void put(char c) { *p_++ = c; }
  void number(std::uint64_t value) {
    char digits[20];
    unsigned n = 0;
    do {
      digits[n++] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    while (n > 0) *p_++ = digits[--n];
  }
  void address(Ipv4Address address) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      number(address.value >> shift & 0xff);
      if (shift != 0) put('.');
    }
  }
  void line(std::string_view name, std::string_view value) {
    put(name);
    put(": ");
    put(value);
    put("\r\n");
  }
  void target(std::string_view target) {
    for (const char c : target) {
      if (!is_in(c, kTargetEncoded)) {
        put(c);
        continue;
      }
      const auto byte = static_cast<std::uint8_t>(c);
      put('%');
      put("0123456789ABCDEF"[byte >> 4]);
      put("0123456789ABCDEF"[byte & 0xf]);
    }
  }

 private:
  char* start_;
  char* p_;
};

// The rules of one side.
class Rules {
 public:
  Rules(const HttpOptions& options, HeaderRuleSide side) : rules_(options.header_rules), side_(side) {
    active_ = std::any_of(rules_.begin(), rules_.end(), [side](const HeaderRule& r) { return r.side == side; });
  }
  bool active() const { return active_; }
  // A rule takes this field away, or puts another in its place.
  bool removes(std::string_view name) const {
    return std::any_of(rules_.begin(), rules_.end(), [&](const HeaderRule& rule) {
      return rule.side == side_ && rule.action != HeaderRuleAction::insert && equal_ignoring_case(rule.name, name);
    });
  }
  void write(Writer& out) const {
    for (const HeaderRule& rule : rules_)
      if (rule.side == side_ && rule.action != HeaderRuleAction::remove) out.line(rule.name, rule.value);
  }

 private:
  std::span<const HeaderRule> rules_;
  HeaderRuleSide side_;
  bool active_ = false;
};

// Copies fields, those that lie side by side in canonical form in one go.
class FieldCopier {
 public:
  FieldCopier(const Head& head, Writer& out) : head_(head), out_(out) {}
  ~FieldCopier() { flush(); }
  FieldCopier(const FieldCopier&) = delete;
  FieldCopier& operator=(const FieldCopier&) = delete;

  void copy(const Field& field) {
    const char* start = head_.bytes + field.name;
    if (!field.canonical) {
      flush();
      out_.line(head_.name_of(field), head_.value_of(field));
      return;
    }
    if (start != end_) {
      flush();
      start_ = start;
    }
    end_ = head_.bytes + field.value + field.value_length + 2;
  }
  void flush() {
    if (end_ != nullptr) out_.put({start_, static_cast<std::size_t>(end_ - start_)});
    start_ = end_ = nullptr;
  }

 private:
  const Head& head_;
  Writer& out_;
  const char* start_ = nullptr;
  const char* end_ = nullptr;
};

// The cookies of one Cookie field but the one called `name`; nothing is written when none is left.
void write_cookies(Writer& out, std::string_view name_of_field, std::string_view cookies, std::string_view name) {
  bool begun = false;
  while (!cookies.empty()) {
    const std::size_t semicolon = cookies.find(';');
    const std::string_view pair = trimmed(cookies.substr(0, semicolon));
    if (!pair.empty() && trimmed(pair.substr(0, pair.find('='))) != name) {
      if (begun) {
        out.put("; ");
      } else {
        out.put(name_of_field);
        out.put(": ");
      }
      out.put(pair);
      begun = true;
    }
    if (semicolon == std::string_view::npos) break;
    cookies.remove_prefix(semicolon + 1);
  }
  if (begun) out.put("\r\n");
}

void write_start_line(Writer& out, const Head& head) {
  out.put(name_of(head.method));
  out.put(' ');
  if (head.slash_missing) out.put('/');
  if (head.target_needs_encoding)
    out.target(head.target);
  else
    out.put(head.target);
  out.put(" HTTP/1.1\r\nHost: ");
}

void write_host(Writer& out, const Head& head, const RequestRewrite& rewrite) {
  if (!head.host.empty()) {
    out.put(head.host);
  } else {
    // RFC 9112 3.2: every 1.1 request has one, and a 1.0 client may have sent none.
    out.address(rewrite.destination.address);
    if (rewrite.destination.port != 80) {
      out.put(':');
      out.number(rewrite.destination.port);
    }
  }
  out.put("\r\n");
}

void write_forwarded_for(Writer& out, const Head& head, const RequestRewrite& rewrite) {
  out.put("X-Forwarded-For: ");
  for (const Field& field : head.fields()) {
    if (field.id != FieldId::forwarded_for || field.hop_by_hop || field.value_length == 0) continue;
    out.put(head.value_of(field));
    out.put(", ");
  }
  out.address(rewrite.client);
  out.put("\r\n");
}

// Fields that we write ourselves in this request, so that the client's are not copied.
bool is_ours(const Field& field, const ForwardedHeaders& forwarded) {
  switch (field.id) {
    case FieldId::host:
      return true;
    case FieldId::forwarded_for:
      return forwarded.x_forwarded_for;
    case FieldId::forwarded_proto:
      return forwarded.x_forwarded_proto;
    case FieldId::forwarded_port:
      return forwarded.x_forwarded_port;
    default:
      return false;
  }
}

void write_upgrade(Writer& out, const Head& head) {
  for (const Field& field : head.fields())
    if (field.id == FieldId::upgrade) out.line("Upgrade", head.value_of(field));
  out.put("Connection: Upgrade\r\n");
}

void write_length(Writer& out, std::uint64_t length) {
  out.put("Content-Length: ");
  out.number(length);
  out.put("\r\n");
}

}  // namespace

std::uint32_t head_bytes_needed(const Head& head, const HttpOptions& options) {
  std::size_t bytes = head.length + 4U * head.field_count + head.host.size() + kOwnBytesMax;
  if (head.target_needs_encoding) bytes += 2 * head.target.size();
  for (const HeaderRule& rule : options.header_rules) bytes += rule.name.size() + rule.value.size() + 4;
  return static_cast<std::uint32_t>(bytes);
}

std::uint32_t write_request_head(const Head& head, const RequestRewrite& rewrite, std::span<char> out_bytes) {
  const HttpOptions& options = *rewrite.options;
  if (out_bytes.size() < head_bytes_needed(head, options)) return 0;
  Writer out(out_bytes.data());
  write_start_line(out, head);
  write_host(out, head, rewrite);
  const Rules rules(options, HeaderRuleSide::request);
  {
    FieldCopier copier(head, out);
    for (const Field& field : head.fields()) {
      if (field.hop_by_hop || is_ours(field, options.forwarded)) continue;
      if (rules.active() && rules.removes(head.name_of(field))) continue;
      if (field.id == FieldId::cookie && !rewrite.drop_cookie.empty()) {
        copier.flush();
        write_cookies(out, head.name_of(field), head.value_of(field), rewrite.drop_cookie);
        continue;
      }
      copier.copy(field);
    }
  }
  if (options.forwarded.x_forwarded_for) write_forwarded_for(out, head, rewrite);
  if (options.forwarded.x_forwarded_proto) out.put("X-Forwarded-Proto: http\r\n");
  if (options.forwarded.x_forwarded_port) {
    out.put("X-Forwarded-Port: ");
    out.number(rewrite.destination.port);
    out.put("\r\n");
  }
  if (rules.active()) rules.write(out);
  if (head.body == Body::chunked)
    out.put("Transfer-Encoding: chunked\r\n");
  else if (head.has_content_length)
    write_length(out, head.content_length);
  if (rewrite.pass_upgrade && head.upgrade)
    write_upgrade(out, head);
  else if (rewrite.close)
    out.put("Connection: close\r\n");
  out.put("\r\n");
  assert(out.size() <= out_bytes.size());
  return out.size();
}

std::uint32_t write_response_head(const Head& head, const ResponseRewrite& rewrite, std::span<char> out_bytes) {
  const HttpOptions& options = *rewrite.options;
  if (out_bytes.size() < head_bytes_needed(head, options) + rewrite.set_cookie.size()) return 0;
  Writer out(out_bytes.data());
  out.put("HTTP/1.1 ");
  out.number(head.status);
  out.put(' ');
  out.put(head.reason.empty() ? reason_phrase(head.status) : head.reason);
  out.put("\r\n");
  const Rules rules(options, HeaderRuleSide::response);
  {
    FieldCopier copier(head, out);
    for (const Field& field : head.fields()) {
      if (field.hop_by_hop || (rules.active() && rules.removes(head.name_of(field)))) continue;
      copier.copy(field);
    }
  }
  if (head.status / 100 == 1) {
    // An interim answer says nothing about the connection, unless it ends HTTP on it.
    if (rewrite.pass_upgrade && head.upgrade) write_upgrade(out, head);
    out.put("\r\n");
    return out.size();
  }
  if (!rewrite.set_cookie.empty()) out.line("Set-Cookie", rewrite.set_cookie);
  if (rules.active()) rules.write(out);
  if (rewrite.framing == Framing::chunked)
    out.put("Transfer-Encoding: chunked\r\n");
  else if (head.has_content_length && head.body != Body::tunnel)
    write_length(out, head.content_length);
  if (rewrite.close)
    out.put("Connection: close\r\n");
  else if (rewrite.client_http_1_0)
    out.put("Connection: keep-alive\r\n");
  out.put("\r\n");
  assert(out.size() <= out_bytes.size());
  return out.size();
}

Framing request_framing(const Head& request) {
  return request.body == Body::chunked ? Framing::chunked : Framing::none;
}

ResponseFraming response_framing(const Head& response, bool client_http_1_0) {
  if (response.body != Body::chunked && response.body != Body::until_close) return {};
  return client_http_1_0 ? ResponseFraming{Framing::none, true} : ResponseFraming{Framing::chunked, false};
}

}  // namespace sluice::lb::http
