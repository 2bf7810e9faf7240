// llhttp's reading of a head beside ours; see head_agree.h.
#include "lb/l7/head_agree.h"

#include <llhttp/llhttp.h>

#include <array>

namespace sluice::lb::http {
namespace {

// What llhttp is asked to note, behind parser.data.
struct Noted {
  std::uint32_t fields = 0;
  bool complete = false;
};

int on_value_complete(llhttp_t* parser) {
  ++static_cast<Noted*>(parser->data)->fields;
  return 0;
}
int on_headers_complete(llhttp_t* parser) {
  static_cast<Noted*>(parser->data)->complete = true;
  return HPE_PAUSED;
}

llhttp_settings_t make_settings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_header_value_complete = on_value_complete;
  settings.on_headers_complete = on_headers_complete;
  return settings;
}
const llhttp_settings_t kSettings = make_settings();

// By our Method.
constexpr std::array<std::uint8_t, 35> kLlhttpMethods = {
    0xff,           HTTP_GET,         HTTP_HEAD,       HTTP_POST,       HTTP_PUT,   HTTP_DELETE,  HTTP_CONNECT,
    HTTP_OPTIONS,   HTTP_TRACE,       HTTP_PATCH,      HTTP_COPY,       HTTP_LOCK,  HTTP_MKCOL,   HTTP_MOVE,
    HTTP_PROPFIND,  HTTP_PROPPATCH,   HTTP_SEARCH,     HTTP_UNLOCK,     HTTP_BIND,  HTTP_REBIND,  HTTP_UNBIND,
    HTTP_ACL,       HTTP_REPORT,      HTTP_MKACTIVITY, HTTP_CHECKOUT,   HTTP_MERGE, HTTP_MSEARCH, HTTP_NOTIFY,
    HTTP_SUBSCRIBE, HTTP_UNSUBSCRIBE, HTTP_PURGE,      HTTP_MKCALENDAR, HTTP_LINK,  HTTP_UNLINK,  HTTP_SOURCE};

bool same_framing(const llhttp_t& parser, const Head& head) {
  bool has_length = false, has_coding = false;
  for (const Field& field : head.fields()) {
    has_length |= field.id == FieldId::content_length;
    has_coding |= field.id == FieldId::transfer_encoding;
  }
  return ((parser.flags & F_CONTENT_LENGTH) != 0) == has_length && ((parser.flags & F_CHUNKED) != 0) == has_coding &&
         ((parser.flags & F_TRANSFER_ENCODING) != 0) == has_coding &&
         (!has_length || parser.content_length == head.content_length);
}

}  // namespace

HttpError check_agreement(const Head& head) {
  llhttp_t parser;
  Noted noted;
  llhttp_init(&parser, head.is_request ? HTTP_REQUEST : HTTP_RESPONSE, &kSettings);
  parser.data = &noted;
  const llhttp_errno_t error = llhttp_execute(&parser, head.bytes, head.length);
  const std::uint16_t status = head.is_request ? 400 : 502;
  if (error != HPE_PAUSED || !noted.complete) {
    const char* where = llhttp_get_error_pos(&parser);
    const bool inside = where != nullptr && where >= head.bytes && where <= head.bytes + head.length;
    // llhttp's reasons are string literals.
    return {status, inside ? static_cast<std::uint64_t>(where - head.bytes) : 0,
            error == HPE_OK || parser.reason == nullptr ? "llhttp does not see the end of this head" : parser.reason};
  }
  const bool same_start = head.is_request ? parser.method == kLlhttpMethods[static_cast<std::size_t>(head.method)]
                                          : parser.status_code == head.status;
  if (!same_start || parser.http_major != 1 || parser.http_minor != head.minor)
    return {status, 0, "two parsers read the start line differently"};
  if (noted.fields != head.field_count) return {status, 0, "two parsers read a different number of fields"};
  if (!same_framing(parser, head)) return {status, 0, "two parsers read a different body length"};
  return {};
}

}  // namespace sluice::lb::http
