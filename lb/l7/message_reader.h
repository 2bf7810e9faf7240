// MessageReader: one direction of one connection, from bytes as they come to heads and bodies that mean one thing only.
//
//   Step step = reader.read(input, end_of_stream, limits, scratch);
//   switch (step.kind) {
//     case need_bytes: drop step.consumed bytes, wait for more;
//     case head:       look at scratch.head, write it anew (head_writer.h), reader.start_body(framing), then drop
//                      step.consumed bytes;
//     case body:       write step.prefix, then input[step.body_offset, + step.body_length); both may be empty;
//     case end:        write reader.write_tail(...), the next message may follow;
//     case error:      step.error; the reader reads no more.
//   }
//
// `input` is one contiguous run, the front of the receive queue, and every step says how much of it is done with. Read
// until need_bytes, which always has consumed all of it; `end` may come when no input is left.  A
// head that lies whole in `input` is parsed where it is; otherwise its parts are gathered in a buffer that grows up to
// limits.head_bytes_max and is charged to the worker's budget; a wrong byte is refused when it comes, as in a whole
// one. Every head is read twice, by our own scan (head_scan.h) and by llhttp in strict mode, and refused unless both
// read the same. What is tolerated on the way in (bare LF as a line end, leading empty lines, several spaces in the
// request line) is made canonical before llhttp sees it, and what goes out is written anew.
//
// Chunked bodies are passed on in canonical framing: a run of chunks whose framing already is canonical goes out as it
// lies, else step.prefix carries the framing. Extensions are dropped; trailers are checked and written by write_tail.
//
// Called by: lb/l7 sessions. Runs on: workers. Follows: RFC 9112. Not: HTTP/0.9, HTTP/2 prior knowledge, gzip codings.
// Tested by: tests/lb/l7/message_reader_test.cc, tests/lb/l7/cases_test.cc, tests/fuzz/http_{request,response}_fuzz.cc
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "lb/l7/head_scan.h"
#include "lb/l7/http_head.h"

namespace sluice::lb::http {

// How the body goes out; the session knows when it has chosen the head that it writes (body_framing in head_writer.h).
enum class Framing : std::uint8_t {
  none,     // as many bytes as Content-Length says, or up to the close: bytes alone
  chunked,  // chunks
};

// Bytes that all gather buffers of a worker may hold together.
struct GatherBudget {
  std::uint64_t bytes_max = 64U << 20;
  std::uint64_t bytes_used = 0;
};

// What one worker's readers share: the table of the head being looked at, and the budget.
struct ReadScratch {
  Head head;
  GatherBudget budget;
};

// A few bytes by value: a chunk's framing.
class ShortText {
 public:
  std::string_view view() const { return {text_.data(), length_}; }
  bool empty() const { return length_ == 0; }
  void append(std::string_view text);
  void append_hex(std::uint64_t value);
  void clear() { length_ = 0; }

 private:
  std::array<char, 23> text_{};
  std::uint8_t length_ = 0;
};

enum class StepKind : std::uint8_t { need_bytes, head, body, end, error };

struct Step {
  StepKind kind = StepKind::need_bytes;
  std::uint32_t consumed = 0;     // bytes at the front of input that are done with after this step
  std::uint32_t body_offset = 0;  // body: these bytes of input go out as they are
  std::uint32_t body_length = 0;
  bool in_one_piece = false;  // head: all of it lies in input
  ShortText prefix;           // body: ahead of them
  HttpError error;            // error
};

class MessageReader {
 public:
  enum class Kind : std::uint8_t { request, response };
  explicit MessageReader(Kind kind) : kind_(kind) {}
  ~MessageReader() { drop_buffer(); }
  MessageReader(const MessageReader&) = delete;
  MessageReader& operator=(const MessageReader&) = delete;

  // One step. With end_of_stream, `input` is all there will ever be: a body until close then ends, and anything cut off
  // is an error (an idle connection that ends between two messages is not: need_bytes, at_message_start()).
  Step read(std::span<const char> input, bool end_of_stream, const HttpOptions& options, ReadScratch& scratch);

  // Response side, before each response: the method of the request that it answers (HEAD and CONNECT change its body),
  // and whether an upgrade was asked for (101 is refused otherwise).
  void expect_response_to(Method method, bool upgrade_asked = false) {
    request_method_ = method;
    upgrade_asked_ = upgrade_asked;
  }
  // After step head: how the body is to be framed on the way out. Without it: as it came in.
  void start_body(Framing out) { out_chunked_ = out == Framing::chunked; }

  // After step end: what goes out behind the body: the last chunk with its trailers, or nothing. Returns the bytes
  // written; 0 also when `out` is too small (tail_bytes()). The next read() forgets it.
  std::uint32_t tail_bytes() const;
  std::uint32_t write_tail(std::span<char> out) const;

  bool at_message_start() const { return state_ == State::start && gathered_ == 0; }
  // A head has begun and is not complete: the head timer runs.
  bool in_head() const { return state_ == State::start && gathered_ != 0; }
  bool in_body() const;
  // Bytes of the message so far, with its head.
  std::uint64_t message_bytes() const { return message_bytes_; }
  std::uint64_t body_bytes() const { return body_bytes_; }
  // Gives the gather buffer back early (the head was written out); the reader does so itself at the next step.
  void drop_buffer();

 private:
  enum class State : std::uint8_t {
    start,
    no_body,  // only the end is left
    length,
    until_close,
    chunk_size,   // in the digits
    chunk_space,  // behind the digits, or in an extension's white space
    chunk_extension,
    chunk_size_lf,
    chunk_data,
    chunk_cr,
    chunk_lf,
    trailers,
    tunnel,
    broken,
  };

  // Where in a chunked input we are and what goes out of it.
  struct ChunkRun;

  Step read_head(std::span<const char> input, bool end_of_stream, const HttpOptions& options, ReadScratch& scratch);
  Step look_at(std::span<const char> bytes, std::uint32_t consumed, const HttpOptions& options, ReadScratch& scratch);
  Step take_head(std::span<const char> bytes, bool tolerated, std::uint32_t consumed, const HttpOptions& options,
                 ReadScratch& scratch);
  bool make_canonical(ReadScratch& scratch, const HttpOptions& options);
  void choose_body(const Head& head, const HttpOptions& options);
  Step read_plain(std::span<const char> input, bool end_of_stream);
  Step read_chunks(std::span<const char> input, bool end_of_stream, const HttpOptions& options, ReadScratch& scratch);
  bool take_size_line(ChunkRun& run);
  const char* size_line_byte(char c);
  const char* size_line_done();
  bool take_canonical_size_line(ChunkRun& run);
  bool take_data(ChunkRun& run);
  bool take_data_end(ChunkRun& run);
  Step read_trailers(std::span<const char> input, std::uint32_t before, bool end_of_stream, const HttpOptions& options,
                     ReadScratch& scratch);
  Step take_trailers(std::uint32_t consumed, const HttpOptions& options, ReadScratch& scratch);
  Step need(std::uint32_t consumed, bool end_of_stream);
  Step end(std::uint32_t consumed);
  Step broken(std::uint16_t status, std::uint64_t offset, const char* reason);

  // Copies bytes up to and with the empty line that ends a head or the trailers.
  enum class Gathered : std::uint8_t { incomplete, complete, no_memory };
  Gathered gather(std::span<const char> bytes, std::uint32_t max, GatherBudget& budget, std::uint32_t& taken);
  bool reserve(std::uint32_t bytes, GatherBudget& budget);
  std::uint16_t bad() const { return kind_ == Kind::request ? 400 : 502; }

  Kind kind_;
  State state_ = State::start;
  Method request_method_ = Method::none;
  bool upgrade_asked_ = false;
  bool in_chunked_ = false;       // the body comes in chunks
  bool out_chunked_ = false;      // it goes out in chunks
  bool owe_line_end_ = false;     // the CR LF behind the last chunk has not gone out yet
  bool tail_ready_ = false;       // write_tail has its say
  std::uint8_t empty_bytes_ = 0;  // of leading empty lines
  std::uint8_t size_digits_ = 0;  // of the chunk-size line being read
  std::uint8_t line_state_ = 0;   // gather: 0 in a line, 1 at its start, 2 behind a CR at its start
  std::uint16_t extension_bytes_ = 0;
  std::uint64_t remaining_ = 0;  // of the body, or of the chunk
  std::uint64_t message_bytes_ = 0;
  std::uint64_t body_bytes_ = 0;
  std::uint64_t body_bytes_max_ = 0;
  std::unique_ptr<char[]> buffer_;
  std::uint32_t gathered_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint32_t trailer_bytes_ = 0;  // in buffer_, for write_tail
  ScanProgress progress_;            // of the looks at an incomplete head
  GatherBudget* budget_ = nullptr;
};

}  // namespace sluice::lb::http
