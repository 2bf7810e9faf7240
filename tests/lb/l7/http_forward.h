// What a session does with the reader and the writer, without its conns: bytes in, in any pieces; bytes out.
//
// Called by: tests/lb/l7, tests/fuzz. Runs on: the test.
#pragma once

#include <cassert>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "lb/l7/head_writer.h"
#include "lb/l7/message_reader.h"

namespace sluice::lb::http::test {

struct Forwarded {
  std::vector<std::string> messages;  // whole ones, as they went out
  std::string cut;                    // of one that did not end
  HttpError error;
  bool in_message = false;  // the input ended inside one
  std::string all() const {
    std::string text;
    for (const std::string& message : messages) text += message;
    return text;
  }
};

// How many bytes the next piece has, given how many have gone before.
using Pieces = std::function<std::size_t(std::size_t)>;
inline Pieces whole() {
  return [](std::size_t) { return std::size_t{1} << 30; };
}
inline Pieces bytewise() {
  return [](std::size_t) { return std::size_t{1}; };
}
inline Pieces split_at(std::size_t at) {
  return [at](std::size_t gone) { return gone < at ? at - gone : std::size_t{1} << 30; };
}

class Forwarder {
 public:
  explicit Forwarder(MessageReader::Kind kind, const HttpOptions& options = {}) : options_(options), reader_(kind) {
    is_request_ = kind == MessageReader::Kind::request;
  }
  // Response side.
  std::vector<Method> methods;  // of the requests that the responses answer; the last one counts on
  bool upgrade_asked = false;
  bool client_http_1_0 = false;

  // Request side.
  RequestRewrite rewrite{.client = Ipv4Address::from_octets(192, 0, 2, 7),
                         .destination = {Ipv4Address::from_octets(198, 51, 100, 1), 80}};

  Forwarded run(std::string_view input, const Pieces& pieces, bool end_of_stream = false) {
    std::size_t gone = 0;
    expect();
    while (!over_) {
      // A copy of its own for each piece, so that ASan sees a reader that looks beyond it.
      const std::size_t n = std::min(pieces(gone), input.size() - gone);
      std::vector<char> piece(input.begin() + static_cast<std::ptrdiff_t>(gone),
                              input.begin() + static_cast<std::ptrdiff_t>(gone + n));
      gone += n;
      feed({piece.data(), piece.size()}, end_of_stream && gone == input.size());
      if (gone == input.size()) break;
    }
    out_.cut = now_;
    out_.in_message = !reader_.at_message_start();
    return out_;
  }
  MessageReader& reader() { return reader_; }
  ReadScratch& scratch() { return scratch_; }
  std::vector<std::uint64_t> body_bytes;

 private:
  static void require(bool condition) {
    if (!condition) std::abort();  // also in release builds and under the fuzzer
  }

  void feed(std::span<const char> input, bool end_of_stream) {
    while (true) {
      const Step step = reader_.read(input, end_of_stream, options_, scratch_);
      require(step.consumed <= input.size());
      switch (step.kind) {
        case StepKind::need_bytes:
          require(step.consumed == input.size());
          return;
        case StepKind::head:
          head();
          break;
        case StepKind::body:
          require(std::size_t{step.body_offset} + step.body_length <= step.consumed);
          now_ += step.prefix.view();
          now_.append(input.data() + step.body_offset, step.body_length);
          break;
        case StepKind::end: {
          std::string tail(reader_.tail_bytes(), '\0');
          require(reader_.write_tail(tail) == tail.size());
          out_.messages.push_back(now_ + tail);
          body_bytes.push_back(reader_.body_bytes());
          now_.clear();
          expect();
          if (end_of_stream && input.size() == step.consumed) return;
          break;
        }
        case StepKind::error:
          out_.error = step.error;
          over_ = true;
          return;
      }
      input = input.subspan(step.consumed);
    }
  }

  void expect() {
    if (!methods.empty())
      reader_.expect_response_to(methods[std::min(out_.messages.size(), methods.size() - 1)], upgrade_asked);
  }

  void head() {
    const Head& head = scratch_.head;
    std::string text(head_bytes_needed(head, options_), '\0');
    std::uint32_t n = 0;
    if (is_request_) {
      rewrite.options = &options_;
      rewrite.pass_upgrade = options_.upgrade && head.upgrade;
      n = write_request_head(head, rewrite, text);
    } else {
      const ResponseFraming framing = response_framing(head, client_http_1_0);
      n = write_response_head(head,
                              {.options = &options_,
                               .framing = framing.framing,
                               .client_http_1_0 = client_http_1_0,
                               .close = framing.close || !head.persistent(),
                               .pass_upgrade = upgrade_asked},
                              text);
      reader_.start_body(framing.framing);
    }
    require(n > 0);
    now_ = text.substr(0, n);
  }

  const HttpOptions options_;
  MessageReader reader_;
  ReadScratch scratch_;
  bool is_request_ = true;
  bool over_ = false;
  std::string now_;
  Forwarded out_;
};

}  // namespace sluice::lb::http::test
