// What the fields of a head mean together; see head_judge.h.
#include "lb/l7/head_judge.h"

#include <algorithm>
#include <array>

#include "lb/l7/byte_class.h"

namespace sluice::lb::http {
namespace {

constexpr std::size_t kLengthDigitsMax = 18;  // below 2^63, whatever the digits

// Calls f(element) for each element of a comma-separated list, empty ones left out; stops when f returns false.
template <typename F>
bool each_element(std::string_view list, F&& f) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view element = trimmed(list.substr(0, comma));
    if (!element.empty() && !f(element)) return false;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return true;
}

bool is_port(std::string_view digits) {
  std::uint32_t port = 0;
  if (digits.size() > 5 || !all_in(digits, kDigit)) return false;
  for (const char c : digits) port = port * 10 + static_cast<std::uint32_t>(c - '0');
  return port <= 65535;
}

// name, name:port, a.b.c.d:port, [v6]:port; the port may be empty.
bool is_host(std::string_view host) {
  const std::string_view name = without_port(host);
  const std::string_view rest = host.substr(name.size());
  if (!rest.empty() && (rest.front() != ':' || !is_port(rest.substr(1)))) return false;
  if (name.empty() || name.size() > 255) return false;
  if (name.front() != '[') return all_in(name, kHost);
  if (name.size() < 4 || name.back() != ']') return false;
  const std::string_view inside = name.substr(1, name.size() - 2);
  return std::all_of(inside.begin(), inside.end(), [](char c) { return is_in(c, kHex) || c == ':' || c == '.'; });
}

class Judge {
 public:
  Judge(Head& head, std::uint16_t bad) : head_(head), bad_(bad) {
    head.body = Body::none;
    head.content_length = 0;
    head.has_content_length = head.close = head.keep_alive = head.upgrade = false;
    head.expect_continue = head.te_trailers = head.slash_missing = false;
    head.host = {};
  }

  // The fields that both directions know.
  bool fields() {
    for (Field& field : head_.fields()) {
      if (field.id == FieldId::other) continue;
      if (!take(field)) return false;
    }
    for (const Field* field = connection_; field != nullptr && field < head_.fields().data() + head_.field_count;
         ++field)
      if (field->id == FieldId::connection && !read_connection(*field)) return false;
    head_.upgrade = connection_upgrade_ && has_upgrade_ && head_.minor >= 1;
    return framing();
  }

  bool refuse(const char* where, std::uint16_t status, const char* reason) {
    error = {status, static_cast<std::uint64_t>(where - head_.bytes), reason};
    return false;
  }
  bool refuse(const Field& field, std::uint16_t status, const char* reason) {
    return refuse(head_.bytes + field.value, status, reason);
  }

  HttpError error;
  const Field* host_field = nullptr;
  bool chunked = false;

 private:
  bool take(Field& field) {
    switch (field.id) {
      case FieldId::content_length:
        return take_length(field);
      case FieldId::transfer_encoding:
        return take_coding(field);
      case FieldId::host:
        return take_host(field);
      case FieldId::connection:
        if (connection_ == nullptr) connection_ = &field;
        field.hop_by_hop = true;
        return true;
      case FieldId::upgrade:
        has_upgrade_ = true;
        field.hop_by_hop = true;
        return true;
      case FieldId::te:
        head_.te_trailers = head_.te_trailers || equal_ignoring_case(head_.value_of(field), "trailers");
        field.hop_by_hop = true;
        return true;
      case FieldId::keep_alive:
      case FieldId::proxy_connection:
      case FieldId::http2_settings:
      case FieldId::framing_lookalike:
        field.hop_by_hop = true;
        return true;
      case FieldId::expect:
        return take_expect(field);
      default:
        return true;
    }
  }

  bool take_length(Field& field) {
    field.hop_by_hop = true;  // written anew
    const std::string_view digits = head_.value_of(field);
    if (head_.has_content_length) return refuse(field, bad_, "Content-Length stands twice");
    if (digits.empty() || !all_in(digits, kDigit)) {
      const auto* wrong = std::find_if(digits.begin(), digits.end(), [](char c) { return !is_in(c, kDigit); });
      return refuse(wrong, bad_, "Content-Length is not one decimal number");
    }
    if (digits.size() > kLengthDigitsMax) return refuse(field, bad_, "Content-Length has more than 18 digits");
    std::uint64_t length = 0;
    for (const char c : digits) length = length * 10 + static_cast<std::uint64_t>(c - '0');
    head_.content_length = length;
    head_.has_content_length = true;
    length_field_ = &field;
    return true;
  }

  bool take_coding(Field& field) {
    field.hop_by_hop = true;
    if (chunked) return refuse(field, bad_, "Transfer-Encoding stands twice");
    if (head_.minor == 0) return refuse(field, bad_, "Transfer-Encoding in an HTTP/1.0 message");
    if (!equal_ignoring_case(head_.value_of(field), "chunked")) {
      const bool token = !field.value_length || !all_in(head_.value_of(field), kToken);
      return refuse(field, bad_ == 400 && !token ? 501 : bad_, "Transfer-Encoding is not exactly chunked");
    }
    chunked = true;
    return true;
  }

  bool take_host(Field& field) {
    if (!head_.is_request) return true;
    if (host_field != nullptr) return refuse(field, 400, "Host stands twice");
    host_field = &field;
    return true;
  }

  bool take_expect(Field& field) {
    if (!head_.is_request) return true;
    if (!equal_ignoring_case(head_.value_of(field), "100-continue"))
      return refuse(field, 417, "Expect asks for something else than 100-continue");
    head_.expect_continue = head_.minor >= 1;  // RFC 9110 10.1.1: from a 1.0 client it is ignored
    field.hop_by_hop = !head_.expect_continue;
    return true;
  }

  bool read_connection(const Field& field) {
    return each_element(head_.value_of(field), [&](std::string_view option) {
      if (equal_ignoring_case(option, "close")) {
        head_.close = true;
      } else if (equal_ignoring_case(option, "keep-alive")) {
        head_.keep_alive = true;
      } else if (equal_ignoring_case(option, "upgrade")) {
        connection_upgrade_ = true;
      } else if (!all_in(option, kToken)) {
        return refuse(option.data(), bad_, "Connection has something that is not a token");
      } else {
        drop_named(option);
      }
      return true;
    });
  }
  // RFC 9110 7.6.1: fields that Connection names stay on this connection. Host names the resource and is never one.
  void drop_named(std::string_view name) {
    for (Field& field : head_.fields())
      if (field.id != FieldId::host && equal_ignoring_case(head_.name_of(field), name)) field.hop_by_hop = true;
  }

  bool framing() {
    if (chunked && head_.has_content_length)
      return refuse(*length_field_, bad_, "both Content-Length and Transfer-Encoding");
    if (chunked)
      head_.body = Body::chunked;
    else if (head_.has_content_length && head_.content_length > 0)
      head_.body = Body::length;
    return true;
  }

  Head& head_;
  std::uint16_t bad_;
  const Field* connection_ = nullptr;
  const Field* length_field_ = nullptr;
  bool connection_upgrade_ = false;
  bool has_upgrade_ = false;
};

// http://host:port/path?query: splits it, and makes head.target the rest in origin form.
bool split_absolute(Head& head, Judge& judge, std::string_view& authority, std::string_view& default_port) {
  const std::string_view target = head.target;
  std::size_t scheme = 0;
  if (equal_ignoring_case(target.substr(0, 7), "http://")) {
    scheme = 7;
    default_port = "80";
  } else if (equal_ignoring_case(target.substr(0, 8), "https://")) {
    scheme = 8;
    default_port = "443";
  } else {
    return judge.refuse(target.data(), 400, "the request target is neither a path, nor http://, nor *");
  }
  std::size_t path = target.find_first_of("/?", scheme);
  if (path == std::string_view::npos) path = target.size();
  authority = target.substr(scheme, path - scheme);
  if (!is_host(authority))
    return judge.refuse(target.data() + scheme, 400, "the host in the request target is not valid");
  const std::string_view rest = target.substr(path);
  head.slash_missing = !rest.empty() && rest.front() != '/';
  head.target = rest.empty() ? std::string_view("/") : rest;
  head.target_needs_encoding = std::any_of(rest.begin(), rest.end(), [](char c) { return is_in(c, kTargetEncoded); });
  head.form = TargetForm::absolute;
  return true;
}

std::string_view without_default_port(std::string_view host, std::string_view port) {
  const std::string_view name = without_port(host);
  const std::string_view rest = host.substr(name.size());
  return rest == ":" || (rest.size() > 1 && rest.substr(1) == port) ? name : host;
}

bool judge_host(Head& head, Judge& judge) {
  if (judge.host_field == nullptr)
    return head.minor == 0 || judge.refuse(head.bytes + head.length, 400, "an HTTP/1.1 request has no Host");
  std::string_view host = head.value_of(*judge.host_field);
  // user@host: peers answer it, no server needs it, so the user part is left out of what goes on.
  if (const std::size_t at = host.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = host.substr(0, at);
    if (!std::all_of(user.begin(), user.end(), [](char c) { return is_in(c, kUnreserved) || c == ':' || c == '%'; }))
      return judge.refuse(*judge.host_field, 400, "Host is not valid");
    host.remove_prefix(at + 1);
  }
  if (!is_host(host)) return judge.refuse(*judge.host_field, 400, host.empty() ? "Host is empty" : "Host is not valid");
  head.host = host;
  return true;
}

bool judge_target(Head& head, Judge& judge, const HttpOptions& options) {
  const char* start = head.target.data();
  if (head.method == Method::connect) {
    if (!options.connect_method) return judge.refuse(start, 405, "CONNECT is not allowed here");
    const std::size_t colon = head.target.rfind(':');
    if (!is_host(head.target) || colon == std::string_view::npos || colon + 1 == head.target.size())
      return judge.refuse(start, 400, "the target of CONNECT is not host:port");
    head.form = TargetForm::authority;
    return true;
  }
  if (!head.target.empty() && head.target.front() == '/') {
    head.form = TargetForm::origin;
    return true;
  }
  if (head.target == "*") {
    if (head.method != Method::options) return judge.refuse(start, 400, "the target * is for OPTIONS only");
    head.form = TargetForm::asterisk;
    return true;
  }
  std::string_view authority, default_port;
  if (!split_absolute(head, judge, authority, default_port)) return false;
  // RFC 9112 3.2.2 lets the target win; a Host that says something else is refused, so that nobody can read it the
  // other way.
  if (!head.host.empty() && !equal_ignoring_case(without_default_port(head.host, default_port),
                                                 without_default_port(authority, default_port)))
    return judge.refuse(*judge.host_field, 400, "Host differs from the host in the request target");
  head.host = authority;
  return true;
}

}  // namespace

HttpError judge_request(Head& head, const HttpOptions& options) {
  Judge judge(head, 400);
  const char* target = head.target.data();
  if (!judge.fields() || !judge_host(head, judge) || !judge_target(head, judge, options)) return judge.error;
  if (head.method == Method::trace) {
    if (!options.trace_method)
      judge.refuse(target, 405, "TRACE is not allowed here");
    else if (head.body != Body::none)
      judge.refuse(target, 400, "TRACE with a body");
  } else if (head.method == Method::connect && head.body != Body::none) {
    judge.refuse(target, 400, "CONNECT with a body");
  } else if (options.limits.body_bytes_max != 0 && head.content_length > options.limits.body_bytes_max) {
    judge.refuse(target, 413, "Content-Length is more than body-bytes-max");
  }
  return judge.error;
}

HttpError judge_response(Head& head, Method request_method, bool upgrade_asked) {
  Judge judge(head, 502);
  if (!judge.fields()) return judge.error;
  const char* const line = head.bytes;
  if (head.status == 101) {
    if (!upgrade_asked || !head.upgrade) {
      judge.refuse(line, 502, "101 to a request that did not ask for it");
    } else {
      head.body = Body::tunnel;
    }
    return judge.error;
  }
  if (request_method == Method::connect && head.status / 100 == 2) {
    head.body = Body::tunnel;
    return judge.error;
  }
  const bool no_body = head.status / 100 == 1 || head.status == 204 || head.status == 304;
  if (no_body || request_method == Method::head) {
    head.body = Body::none;
    // RFC 9110 8.6: not in 1xx and 204. In 304 and answers to HEAD it tells of the body that there is not.
    if (head.status / 100 == 1 || head.status == 204) head.has_content_length = false;
  } else if (!judge.chunked && !head.has_content_length) {
    head.body = Body::until_close;
  }
  return judge.error;
}

TrailerFate trailer_fate(std::string_view name) {
  static constexpr std::array<std::string_view, 34> kDropped = {"accept",
                                                                "age",
                                                                "authorization",
                                                                "cache-control",
                                                                "connection",
                                                                "content-encoding",
                                                                "content-range",
                                                                "content-type",
                                                                "cookie",
                                                                "date",
                                                                "expect",
                                                                "expires",
                                                                "forwarded",
                                                                "host",
                                                                "if-match",
                                                                "if-modified-since",
                                                                "if-none-match",
                                                                "if-range",
                                                                "if-unmodified-since",
                                                                "keep-alive",
                                                                "location",
                                                                "max-forwards",
                                                                "pragma",
                                                                "proxy-authenticate",
                                                                "proxy-authorization",
                                                                "proxy-connection",
                                                                "range",
                                                                "retry-after",
                                                                "set-cookie",
                                                                "te",
                                                                "trailer",
                                                                "upgrade",
                                                                "vary",
                                                                "www-authenticate"};
  const FieldId id = field_id_of(name);
  if (id == FieldId::content_length || id == FieldId::transfer_encoding || id == FieldId::framing_lookalike)
    return TrailerFate::refuse;
  if (id == FieldId::forwarded_for || id == FieldId::forwarded_port || id == FieldId::forwarded_proto)
    return TrailerFate::drop;
  const bool dropped =
      std::any_of(kDropped.begin(), kDropped.end(), [&](auto other) { return equal_ignoring_case(name, other); });
  return dropped ? TrailerFate::drop : TrailerFate::pass;
}

}  // namespace sluice::lb::http
