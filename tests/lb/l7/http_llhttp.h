// llhttp, strict, over a whole stream: every message with its fields and body, for comparison with ours.
//
// Called by: tests/lb/l7, tests/fuzz. Runs on: the test.
#pragma once

#include <llhttp/llhttp.h>

#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "tests/lb/l7/http_reference.h"

namespace sluice::lb::http::test {

class LlhttpReader {
 public:
  // Messages of the stream; problem() when llhttp refuses it or it ends inside one.
  // `methods`: for responses, of the requests that they answer.
  std::vector<Message> read(std::string_view bytes, bool is_request, std::vector<std::string> methods = {}) {
    methods_ = std::move(methods);
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_message_begin = [](llhttp_t* p) { return of(p).begin(); };
    settings.on_url = [](llhttp_t* p, const char* at, size_t n) { return of(p).now_.start[1].append(at, n), 0; };
    settings.on_status = [](llhttp_t* p, const char* at, size_t n) { return of(p).now_.start[2].append(at, n), 0; };
    settings.on_header_field = [](llhttp_t* p, const char* at, size_t n) { return of(p).name_.append(at, n), 0; };
    settings.on_header_value = [](llhttp_t* p, const char* at, size_t n) { return of(p).value_.append(at, n), 0; };
    settings.on_header_value_complete = [](llhttp_t* p) { return of(p).field(); };
    settings.on_headers_complete = [](llhttp_t* p) { return of(p).headers(p); };
    settings.on_body = [](llhttp_t* p, const char* at, size_t n) { return of(p).now_.body.append(at, n), 0; };
    settings.on_message_complete = [](llhttp_t* p) { return of(p).complete(p); };
    llhttp_t parser;
    llhttp_init(&parser, is_request ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    parser.data = this;
    llhttp_errno_t error = llhttp_execute(&parser, bytes.data(), bytes.size());
    if (error == HPE_OK) error = llhttp_finish(&parser);
    if (error != HPE_OK) problem_ = std::string(llhttp_errno_name(error)) + ": " + (parser.reason ? parser.reason : "");
    if (problem_.empty() && inside_) problem_ = "ends inside a message";
    return messages_;
  }
  const std::string& problem() const { return problem_; }

 private:
  static LlhttpReader& of(llhttp_t* p) { return *static_cast<LlhttpReader*>(p->data); }

  int begin() {
    now_ = {};
    name_.clear();
    value_.clear();
    in_trailers_ = false;
    inside_ = true;
    return 0;
  }
  int field() {
    for (char& c : name_) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    while (!value_.empty() && (value_.back() == ' ' || value_.back() == '\t')) value_.pop_back();
    (in_trailers_ ? now_.trailers : now_.fields).emplace_back(name_, value_);
    name_.clear();
    value_.clear();
    return 0;
  }
  int headers(llhttp_t* p) {
    in_trailers_ = true;
    now_.chunked = (p->flags & F_CHUNKED) != 0;
    const std::string method = messages_.size() < methods_.size() ? methods_[messages_.size()] : "";
    // llhttp 8 waits for a body behind a 304 that has a Content-Length; RFC 9112 6.3 says there is none.
    if (p->type == HTTP_RESPONSE && (method == "HEAD" || p->status_code == 304)) return 1;
    return 0;
  }
  int complete(llhttp_t* p) {
    const std::string version = "HTTP/" + std::to_string(p->http_major) + '.' + std::to_string(p->http_minor);
    if (p->type == HTTP_REQUEST) {
      now_.start[0] = llhttp_method_name(static_cast<llhttp_method_t>(p->method));
      now_.start[2] = version;
    } else {
      now_.start[0] = version;
      now_.start[1] = std::to_string(p->status_code);
    }
    messages_.push_back(now_);
    inside_ = false;
    return 0;
  }

  std::vector<std::string> methods_;
  std::vector<Message> messages_;
  Message now_;
  std::string name_, value_, problem_;
  bool in_trailers_ = false;
  bool inside_ = false;
};

}  // namespace sluice::lb::http::test
