// Names of methods and fields, and look-ups in a Head; see http_head.h.
#include "lb/l7/http_head.h"

#include <cstring>

#include "lb/l7/byte_class.h"

namespace sluice::lb::http {
namespace {

constexpr std::array<std::string_view, 35> kMethodNames = {
    "",       "GET",       "HEAD",        "POST",  "PUT",        "DELETE",     "CONNECT",   "OPTIONS", "TRACE",
    "PATCH",  "COPY",      "LOCK",        "MKCOL", "MOVE",       "PROPFIND",   "PROPPATCH", "SEARCH",  "UNLOCK",
    "BIND",   "REBIND",    "UNBIND",      "ACL",   "REPORT",     "MKACTIVITY", "CHECKOUT",  "MERGE",   "M-SEARCH",
    "NOTIFY", "SUBSCRIBE", "UNSUBSCRIBE", "PURGE", "MKCALENDAR", "LINK",       "UNLINK",    "SOURCE"};
static_assert(static_cast<std::size_t>(Method::source) + 1 == kMethodNames.size());

// `name` is a token; `lower_name` has lower-case letters, digits, '-'. For these, equal with bit 5 set means equal but
// for case: no other token byte becomes a letter, digit or '-' by it.
bool is_name(std::string_view name, std::string_view lower_name) {
  const char* a = name.data();
  const char* b = lower_name.data();
  std::size_t left = lower_name.size();
  for (; left >= 8; left -= 8, a += 8, b += 8) {
    std::uint64_t x = 0, y = 0;
    std::memcpy(&x, a, 8);
    std::memcpy(&y, b, 8);
    if ((x | 0x2020202020202020) != y) return false;
  }
  for (; left > 0; --left, ++a, ++b)
    if ((*a | 0x20) != *b) return false;
  return true;
}

struct KnownField {
  std::string_view name;
  FieldId id;
};

template <std::size_t N>
FieldId search(std::string_view name, const std::array<KnownField, N>& known) {
  for (const KnownField& field : known)
    if (is_name(name, field.name)) return field.id;
  return FieldId::other;
}

using enum FieldId;
constexpr std::array<KnownField, 2> kFields6 = {{{"cookie", cookie}, {"expect", expect}}};
constexpr std::array<KnownField, 2> kFields7 = {{{"upgrade", upgrade}, {"trailer", trailer}}};
constexpr std::array<KnownField, 3> kFields10 = {
    {{"connection", connection}, {"keep-alive", keep_alive}, {"set-cookie", set_cookie}}};
constexpr std::array<KnownField, 2> kFields14 = {
    {{"content-length", content_length}, {"http2-settings", http2_settings}}};
constexpr std::array<KnownField, 2> kFields16 = {
    {{"x-forwarded-port", forwarded_port}, {"proxy-connection", proxy_connection}}};
constexpr std::array<KnownField, 2> kFields17 = {
    {{"transfer-encoding", transfer_encoding}, {"x-forwarded-proto", forwarded_proto}}};

FieldId lookalike(std::string_view name) {
  return equal_ignoring_case(name, "content_length") || equal_ignoring_case(name, "transfer_encoding")
             ? framing_lookalike
             : other;
}

}  // namespace

Method method_of(std::string_view token) {
  for (std::size_t i = 1; i < kMethodNames.size(); ++i)
    if (token == kMethodNames[i]) return static_cast<Method>(i);
  return Method::none;
}

std::string_view name_of(Method method) { return kMethodNames[static_cast<std::size_t>(method)]; }

bool is_idempotent(Method method) {
  switch (method) {
    case Method::get:
    case Method::head:
    case Method::put:
    case Method::delete_:
    case Method::options:
    case Method::trace:
    case Method::propfind:
    case Method::report:
    case Method::search:
      return true;
    default:
      return false;
  }
}

FieldId field_id_of(std::string_view name) {
  switch (name.size()) {
    case 2:
      return is_name(name, "te") ? te : other;
    case 4:
      return is_name(name, "host") ? host : other;
    case 6:
      return search(name, kFields6);
    case 7:
      return search(name, kFields7);
    case 10:
      return search(name, kFields10);
    case 12:
      return is_name(name, "max-forwards") ? max_forwards : other;
    case 14: {
      const FieldId id = search(name, kFields14);
      return id == other && name[7] == '_' ? lookalike(name) : id;
    }
    case 15:
      return is_name(name, "x-forwarded-for") ? forwarded_for : other;
    case 16:
      return search(name, kFields16);
    case 17: {
      const FieldId id = search(name, kFields17);
      return id == other && name[8] == '_' ? lookalike(name) : id;
    }
    default:
      return other;
  }
}

const Field* Head::find(FieldId id) const {
  for (const Field& field : fields())
    if (field.id == id) return &field;
  return nullptr;
}

const Field* Head::find(std::string_view name) const {
  for (const Field& field : fields())
    if (equal_ignoring_case(name_of(field), name)) return &field;
  return nullptr;
}

std::string_view Head::hostname() const {
  if (!host.empty() && host.front() == '[') {
    const std::size_t close_bracket = host.find(']');
    return close_bracket == std::string_view::npos ? host : host.substr(0, close_bracket + 1);
  }
  return host.substr(0, host.find(':'));
}

}  // namespace sluice::lb::http
