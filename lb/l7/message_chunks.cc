// Chunked bodies: read strictly, passed on in canonical framing, their trailers checked. See message_reader.h.
//
// A chunk whose size line and end lie in the input as they would be written goes out with them, together with the
// chunks around it: one run, no copy. All else is taken apart: the size line is dropped and its number written anew in
// front of the data (Step::prefix), and the CR LF behind the data is owed until the next size line or the tail.
#include <algorithm>
#include <cstring>

#include "lb/l7/byte_class.h"
#include "lb/l7/head_judge.h"
#include "lb/l7/head_scan.h"
#include "lb/l7/message_reader.h"

namespace sluice::lb::http {
namespace {

constexpr std::uint8_t kSizeDigitsMax = 15;         // without leading zeros: below 2^60
constexpr std::uint8_t kSizeLineDigitsMax = 64;     // with them
constexpr std::uint16_t kExtensionBytesMax = 8192;  // of all chunks of a message

std::uint64_t hex_value(char c) { return static_cast<std::uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

}  // namespace

struct MessageReader::ChunkRun {
  std::span<const char> input;
  std::uint32_t position = 0;
  Step step;
  bool begun = false;           // the step has a prefix or bytes
  const char* wrong = nullptr;  // a refusal's sentence, about the byte at `position`
  std::uint16_t status = 0;     // and its status, if it is not the usual one

  std::uint32_t left() const { return static_cast<std::uint32_t>(input.size()) - position; }
  // The next n bytes go out as they lie.
  void pass(std::uint32_t n) {
    if (step.body_length == 0) step.body_offset = position;
    step.body_length += n;
    position += n;
    begun = true;
  }
};

Step MessageReader::read_chunks(std::span<const char> input, bool end_of_stream, const HttpOptions& options,
                                ReadScratch& scratch) {
  if (gathered_ != 0 && state_ != State::trailers) drop_buffer();
  ChunkRun run;
  run.input = input;
  bool more = true;
  while (more && run.wrong == nullptr) {
    switch (state_) {
      case State::chunk_data:
        more = take_data(run);
        break;
      case State::chunk_cr:
      case State::chunk_lf:
        more = take_data_end(run);
        break;
      case State::trailers:
        if (!run.begun) return read_trailers(input, run.position, end_of_stream, options, scratch);
        more = false;
        break;
      default:
        more = take_size_line(run);
        break;
    }
  }
  if (run.wrong != nullptr)
    return broken(run.status != 0 ? run.status : bad(), message_bytes_ + run.position, run.wrong);
  message_bytes_ += run.position;
  if (!run.begun) return need(run.position, end_of_stream);
  run.step.kind = StepKind::body;
  run.step.consumed = run.position;
  return run.step;
}

// False: the step ends here (no input is left, or what follows cannot join what is begun).
bool MessageReader::take_size_line(ChunkRun& run) {
  if (state_ == State::chunk_size && size_digits_ == 0 && take_canonical_size_line(run)) return true;
  if (run.begun) return false;
  while (run.left() > 0) {
    run.wrong = size_line_byte(run.input[run.position]);
    if (run.wrong != nullptr) return false;
    ++run.position;
    if (state_ != State::chunk_data && state_ != State::trailers) continue;
    run.wrong = size_line_done();
    if (run.wrong != nullptr) {
      run.status = 413;
      return false;
    }
    if (state_ == State::chunk_data && out_chunked_) {
      if (owe_line_end_) run.step.prefix.append("\r\n");
      owe_line_end_ = false;
      run.step.prefix.append_hex(remaining_);
      run.step.prefix.append("\r\n");
      run.begun = true;
    }
    return true;
  }
  return false;
}

// One byte of a size line; a sentence if it does not belong there.
const char* MessageReader::size_line_byte(char c) {
  switch (state_) {
    case State::chunk_size:
      if (is_in(c, kHex)) {
        if (++size_digits_ > kSizeLineDigitsMax || remaining_ >> (4 * kSizeDigitsMax - 4) != 0)
          return "a chunk size is larger than 15 hexadecimal digits";
        remaining_ = remaining_ << 4 | hex_value(c);
        return nullptr;
      }
      if (size_digits_ == 0) return "a chunk size does not begin with a hexadecimal digit";
      [[fallthrough]];
    case State::chunk_space:
      if (c == '\r') {
        state_ = State::chunk_size_lf;
      } else if (c == ';') {
        state_ = State::chunk_extension;
      } else if (is_blank(c)) {
        state_ = State::chunk_space;
        if (++extension_bytes_ > kExtensionBytesMax) return "the chunk extensions are longer than 8192 bytes";
      } else {
        return c == '\n' ? "a chunk size line ends with LF alone"
                         : "a chunk size is followed by a byte that may not be there";
      }
      return nullptr;
    case State::chunk_extension:
      if (c == '\r')
        state_ = State::chunk_size_lf;
      else if (find_control(&c, &c + 1) == &c)
        return "a chunk extension has a control byte";
      else if (++extension_bytes_ > kExtensionBytesMax)
        return "the chunk extensions are longer than 8192 bytes";
      return nullptr;
    default:  // chunk_size_lf
      if (c != '\n') return "the CR of a chunk size line is not followed by LF";
      state_ = remaining_ == 0 ? State::trailers : State::chunk_data;
      return nullptr;
  }
}

// The number is known; a sentence if the body becomes too large by it.
const char* MessageReader::size_line_done() {
  size_digits_ = 0;
  line_state_ = 1;  // where trailers begin
  if (body_bytes_max_ != 0 && body_bytes_ + remaining_ > body_bytes_max_)
    return "the chunks are more than body-bytes-max";
  return nullptr;
}

// A size line that lies whole in the input as it would be written, not the last one: it can go out as it is.
bool MessageReader::take_canonical_size_line(ChunkRun& run) {
  const std::uint32_t limit = std::min<std::uint32_t>(run.left(), kSizeDigitsMax + 2);
  const char* line = run.input.data() + run.position;
  std::uint32_t digits = 0;
  std::uint64_t size = 0;
  for (; digits < limit && is_in(line[digits], kHex); ++digits) size = size << 4 | hex_value(line[digits]);
  if (digits == 0 || digits > kSizeDigitsMax || digits + 2 > limit || line[0] == '0' || line[digits] != '\r' ||
      line[digits + 1] != '\n')
    return false;
  if (!out_chunked_ && run.begun) return false;
  if (owe_line_end_ && run.begun) return false;
  remaining_ = size;
  run.wrong = size_line_done();
  if (run.wrong != nullptr) {
    run.status = 413;
    return true;
  }
  state_ = State::chunk_data;
  if (!out_chunked_) {
    run.position += digits + 2;
    return true;
  }
  if (owe_line_end_) run.step.prefix.append("\r\n");
  owe_line_end_ = false;
  run.pass(digits + 2);
  return true;
}

bool MessageReader::take_data(ChunkRun& run) {
  const auto n = static_cast<std::uint32_t>(std::min<std::uint64_t>(run.left(), remaining_));
  if (n == 0) return false;
  run.pass(n);
  remaining_ -= n;
  body_bytes_ += n;
  if (remaining_ != 0) return false;
  state_ = State::chunk_cr;
  // The line end is owed unless it can go out with the data.
  owe_line_end_ = out_chunked_;
  return true;
}

bool MessageReader::take_data_end(ChunkRun& run) {
  const char* p = run.input.data() + run.position;
  if (state_ == State::chunk_cr && run.left() >= 2 && p[0] == '\r' && p[1] == '\n') {
    state_ = State::chunk_size;
    if (out_chunked_ && run.begun) {
      run.pass(2);
      owe_line_end_ = false;
    } else {
      run.position += 2;
    }
    return true;
  }
  if (run.left() == 0) return false;
  if (*p != (state_ == State::chunk_cr ? '\r' : '\n')) {
    run.wrong = "the data of a chunk is not followed by CR LF";
    return false;
  }
  state_ = state_ == State::chunk_cr ? State::chunk_lf : State::chunk_size;
  ++run.position;
  return true;
}

// ---- trailers

// input[before] is the first byte of this part of the trailers.
Step MessageReader::read_trailers(std::span<const char> input, std::uint32_t before, bool end_of_stream,
                                  const HttpOptions& options, ReadScratch& scratch) {
  message_bytes_ += before;
  const std::span<const char> rest = input.subspan(before);
  if (gathered_ == 0 && rest.size() >= 2 && rest[0] == '\r' && rest[1] == '\n') {
    message_bytes_ += 2;
    return end(before + 2);
  }
  std::uint32_t taken = 0;
  const Gathered result = gather(rest, options.limits.head_bytes_max, scratch.budget, taken);
  if (result == Gathered::no_memory)
    return broken(503, message_bytes_, "too many heads are being gathered on this worker");
  if (result == Gathered::complete) return take_trailers(before + taken, options, scratch);
  if (gathered_ >= options.limits.head_bytes_max)
    return broken(431, message_bytes_ + gathered_, "the trailers are longer than head-bytes-max");
  return need(before + taken, end_of_stream);
}

// The trailers lie whole in buffer_: what may pass is kept there, written anew.
Step MessageReader::take_trailers(std::uint32_t consumed, const HttpOptions& options, ReadScratch& scratch) {
  Head& head = scratch.head;
  HttpLimits limits = options.limits;
  limits.head_bytes_max = gathered_ + 1;
  const ScanResult scan = scan_trailers({buffer_.get(), gathered_}, limits, head);
  if (scan.status != ScanStatus::complete)
    return broken(scan.error.status, message_bytes_ + scan.error.offset, scan.error.reason);
  std::uint32_t size = 0;
  for (Field& field : head.fields()) {
    const TrailerFate fate = trailer_fate(head.name_of(field));
    if (fate == TrailerFate::refuse)
      return broken(bad(), message_bytes_ + field.name, "a trailer says where a message ends");
    field.hop_by_hop = fate == TrailerFate::drop;
    if (!field.hop_by_hop) size += field.name_length + field.value_length + 4U;
  }
  message_bytes_ += gathered_;
  const std::unique_ptr<char[]> old = std::move(buffer_);
  budget_->bytes_used -= capacity_;
  capacity_ = gathered_ = 0;
  if (size != 0) {
    if (!reserve(size, scratch.budget))
      return broken(503, message_bytes_, "too many heads are being gathered on this worker");
    char* out = buffer_.get();
    const auto put = [&out](std::string_view text) {
      std::memcpy(out, text.data(), text.size());
      out += text.size();
    };
    for (const Field& field : head.fields()) {
      if (field.hop_by_hop) continue;
      put(head.name_of(field));
      put(": ");
      put(head.value_of(field));
      put("\r\n");
    }
    trailer_bytes_ = size;
  }
  return end(consumed);
}

std::uint32_t MessageReader::tail_bytes() const {
  return tail_ready_ ? (owe_line_end_ ? 2U : 0U) + 5U + trailer_bytes_ : 0;
}

std::uint32_t MessageReader::write_tail(std::span<char> out) const {
  const std::uint32_t size = tail_bytes();
  if (size == 0 || out.size() < size) return 0;
  char* p = out.data();
  if (owe_line_end_) p = static_cast<char*>(std::memcpy(p, "\r\n", 2)) + 2;
  p = static_cast<char*>(std::memcpy(p, "0\r\n", 3)) + 3;
  if (trailer_bytes_ != 0) p = static_cast<char*>(std::memcpy(p, buffer_.get(), trailer_bytes_)) + trailer_bytes_;
  std::memcpy(p, "\r\n", 2);
  return size;
}

}  // namespace sluice::lb::http
