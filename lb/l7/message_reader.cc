// Heads and plain bodies; chunks are in message_chunks.cc. See message_reader.h.
#include "lb/l7/message_reader.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <new>

#include "lb/l7/byte_class.h"
#include "lb/l7/head_agree.h"
#include "lb/l7/head_judge.h"
#include "lb/l7/head_scan.h"

namespace sluice::lb::http {
namespace {

constexpr std::uint32_t kFirstCapacity = 512;
constexpr std::uint8_t kEmptyBytesMax = 16;  // of empty lines ahead of a request

char* put(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

}  // namespace

void ShortText::append(std::string_view text) {
  assert(length_ + text.size() <= text_.size());
  std::memcpy(text_.data() + length_, text.data(), text.size());
  length_ = static_cast<std::uint8_t>(length_ + text.size());
}

void ShortText::append_hex(std::uint64_t value) {
  unsigned digits = 1;
  while (digits < 16 && value >> (4 * digits) != 0) ++digits;
  assert(length_ + digits <= text_.size());
  for (unsigned i = digits; i > 0; --i, value >>= 4) text_[length_ + i - 1] = "0123456789abcdef"[value & 0xf];
  length_ = static_cast<std::uint8_t>(length_ + digits);
}

Step MessageReader::read(std::span<const char> input, bool end_of_stream, const HttpOptions& options,
                         ReadScratch& scratch) {
  switch (state_) {
    case State::start:
      return read_head(input, end_of_stream, options, scratch);
    case State::no_body:
      return end(0);
    case State::length:
    case State::until_close:
    case State::tunnel:
      return read_plain(input, end_of_stream);
    case State::broken:
      return broken(bad(), message_bytes_, "this message was refused before");
    default:
      return read_chunks(input, end_of_stream, options, scratch);
  }
}

// ---- heads

Step MessageReader::read_head(std::span<const char> input, bool end_of_stream, const HttpOptions& options,
                              ReadScratch& scratch) {
  std::uint32_t taken = 0;
  if (gathered_ == 0) {
    if (tail_ready_ || buffer_) drop_buffer();
    tail_ready_ = false;
    message_bytes_ = body_bytes_ = 0;
    // RFC 9112 2.2: empty lines ahead of a request are not part of it.
    while (kind_ == Kind::request && taken < input.size()) {
      const char c = input[taken];
      if (c != '\n' && (c != '\r' || line_state_ == 2)) break;
      if (++empty_bytes_ > kEmptyBytesMax) return broken(400, taken, "too many empty lines ahead of a request");
      line_state_ = c == '\r' ? 2 : 0;
      ++taken;
    }
    input = input.subspan(taken);
    if (input.empty()) return need(taken, false);
    if (line_state_ == 2) return broken(400, 0, "a CR stands alone ahead of the request");
    Step step = look_at(input, taken, options, scratch);
    step.in_one_piece = true;
    if (step.kind != StepKind::need_bytes) return step;
    progress_ = {};
  }
  std::uint32_t gathered_now = 0;
  const Gathered result = gather(input, options.limits.head_bytes_max, scratch.budget, gathered_now);
  taken += gathered_now;
  if (result == Gathered::no_memory) return broken(503, gathered_, "too many heads are being gathered on this worker");
  const std::span<const char> head(buffer_.get(), gathered_);
  if (result == Gathered::complete) {
    Step step = look_at(head, taken - gathered_, options, scratch);
    if (step.kind != StepKind::need_bytes) return step;
  } else {
    // What has come is judged at once; the fields are found again when the head is whole (the scratch is everybody's).
    const ScanResult scan = vet_head(head, kind_ == Kind::request, options.limits, scratch.head, progress_);
    if (scan.status == ScanStatus::error) return broken(scan.error.status, scan.error.offset, scan.error.reason);
  }
  return need(taken, end_of_stream);
}

// `consumed`: bytes of the input that do not lie in `bytes`; with a gathered head it wraps around below zero, and
// adding the head's length brings back what was taken of this input.
Step MessageReader::look_at(std::span<const char> bytes, std::uint32_t consumed, const HttpOptions& options,
                            ReadScratch& scratch) {
  const ScanResult scan = scan_head(bytes, kind_ == Kind::request, options.limits, scratch.head);
  if (scan.status == ScanStatus::error) return broken(scan.error.status, scan.error.offset, scan.error.reason);
  if (scan.status == ScanStatus::incomplete) return {};
  return take_head(bytes, scan.tolerated, consumed + scratch.head.length, options, scratch);
}

Step MessageReader::take_head(std::span<const char> bytes, bool tolerated, std::uint32_t consumed,
                              const HttpOptions& options, ReadScratch& scratch) {
  Head& head = scratch.head;
  const std::uint32_t length = head.length;
  const auto judge = [&] {
    return kind_ == Kind::request ? judge_request(head, options)
                                  : judge_response(head, request_method_, upgrade_asked_);
  };
  if (tolerated) {
    // Judged as it came first, so that an error has its place in what came.
    if (const HttpError error = judge()) return broken(error.status, error.offset, error.reason);
    scan_head(bytes, kind_ == Kind::request, options.limits, head);
    if (!make_canonical(scratch, options)) return broken(503, 0, "too many heads are being gathered on this worker");
  }
  HttpError error = judge();
  if (!error) error = check_agreement(head);
  if (error) return broken(error.status, error.offset, error.reason);
  message_bytes_ = length;
  choose_body(head, options);
  Step step;
  step.kind = StepKind::head;
  step.consumed = consumed;
  return step;
}

// Writes the scanned head into a new buffer, as the grammar would have it, and scans that.
bool MessageReader::make_canonical(ReadScratch& scratch, const HttpOptions& options) {
  Head& head = scratch.head;
  const std::uint32_t size = head.length + 4 * head.field_count + 32;
  std::unique_ptr<char[]> old = std::move(buffer_);  // head lies in it, or in the packet
  if (old && budget_) budget_->bytes_used -= capacity_;
  capacity_ = gathered_ = 0;
  if (!reserve(size, scratch.budget)) return false;
  char* out = buffer_.get();
  const std::string_view version = head.minor == 0 ? "HTTP/1.0" : "HTTP/1.1";
  if (head.is_request) {
    out = put(put(put(put(out, name_of(head.method)), " "), head.target), " ");
    out = put(out, version);
  } else {
    const char digits[3] = {static_cast<char>('0' + head.status / 100), static_cast<char>('0' + head.status / 10 % 10),
                            static_cast<char>('0' + head.status % 10)};
    out = put(put(put(put(put(out, version), " "), {digits, 3}), " "), head.reason);
  }
  out = put(out, "\r\n");
  for (const Field& field : head.fields())
    out = put(put(put(put(out, head.name_of(field)), ": "), head.value_of(field)), "\r\n");
  out = put(out, "\r\n");
  gathered_ = static_cast<std::uint32_t>(out - buffer_.get());
  HttpLimits limits = options.limits;
  limits.head_bytes_max = gathered_ + 1;
  const ScanResult scan = scan_head({buffer_.get(), gathered_}, head.is_request, limits, head);
  assert(scan.status == ScanStatus::complete && !scan.tolerated);
  return scan.status == ScanStatus::complete;
}

void MessageReader::choose_body(const Head& head, const HttpOptions& options) {
  in_chunked_ = out_chunked_ = head.body == Body::chunked;
  owe_line_end_ = false;
  size_digits_ = empty_bytes_ = line_state_ = 0;
  extension_bytes_ = 0;
  remaining_ = 0;
  body_bytes_max_ = kind_ == Kind::request ? options.limits.body_bytes_max : 0;
  switch (head.body) {
    case Body::none:
      state_ = State::no_body;
      break;
    case Body::length:
      state_ = State::length;
      remaining_ = head.content_length;
      break;
    case Body::chunked:
      state_ = State::chunk_size;
      break;
    case Body::until_close:
      state_ = State::until_close;
      break;
    case Body::tunnel:
      state_ = State::tunnel;
      break;
  }
}

// ---- plain bodies

bool MessageReader::in_body() const {
  return state_ != State::start && state_ != State::no_body && state_ != State::broken;
}

Step MessageReader::read_plain(std::span<const char> input, bool end_of_stream) {
  if (gathered_ != 0) drop_buffer();
  std::uint64_t n = input.size();
  if (state_ == State::length) n = std::min(n, remaining_);
  if (n == 0) {
    if (state_ != State::length && end_of_stream) return end(0);
    return need(0, end_of_stream);
  }
  Step step;
  step.kind = StepKind::body;
  step.consumed = step.body_length = static_cast<std::uint32_t>(n);
  if (out_chunked_) {
    if (owe_line_end_) step.prefix.append("\r\n");
    step.prefix.append_hex(n);
    step.prefix.append("\r\n");
    owe_line_end_ = true;
  }
  message_bytes_ += n;
  body_bytes_ += n;
  if (state_ == State::length && (remaining_ -= n) == 0) state_ = State::no_body;
  return step;
}

// ---- what ends a step

Step MessageReader::need(std::uint32_t consumed, bool end_of_stream) {
  if (end_of_stream) {
    return broken(bad(), message_bytes_ + gathered_,
                  state_ == State::start ? "the connection ends in the middle of a head"
                                         : "the connection ends in the middle of a body");
  }
  Step step;
  step.consumed = consumed;
  return step;
}

Step MessageReader::end(std::uint32_t consumed) {
  if (gathered_ != 0 && trailer_bytes_ == 0) drop_buffer();
  state_ = State::start;
  gathered_ = 0;
  line_state_ = 0;
  tail_ready_ = out_chunked_;
  Step step;
  step.kind = StepKind::end;
  step.consumed = consumed;
  return step;
}

Step MessageReader::broken(std::uint16_t status, std::uint64_t offset, const char* reason) {
  state_ = State::broken;
  drop_buffer();
  Step step;
  step.kind = StepKind::error;
  step.error = {kind_ == Kind::request ? status : std::uint16_t{502}, offset, reason};
  return step;
}

// ---- the gather buffer

void MessageReader::drop_buffer() {
  if (buffer_ && budget_ != nullptr) budget_->bytes_used -= capacity_;
  buffer_.reset();
  capacity_ = gathered_ = trailer_bytes_ = 0;
}

// Room for `bytes` in all; keeps what is there.
bool MessageReader::reserve(std::uint32_t bytes, GatherBudget& budget) {
  if (bytes <= capacity_) return true;
  std::uint32_t capacity = std::max(capacity_, kFirstCapacity);
  while (capacity < bytes) capacity *= 2;
  if (budget.bytes_used + capacity - capacity_ > budget.bytes_max) return false;
  std::unique_ptr<char[]> larger(new (std::nothrow) char[capacity]);
  if (!larger) return false;
  if (gathered_ != 0) std::memcpy(larger.get(), buffer_.get(), gathered_);
  budget_ = &budget;
  budget.bytes_used += capacity - capacity_;
  buffer_ = std::move(larger);
  capacity_ = capacity;
  return true;
}

MessageReader::Gathered MessageReader::gather(std::span<const char> bytes, std::uint32_t max, GatherBudget& budget,
                                              std::uint32_t& taken) {
  const auto room = static_cast<std::uint32_t>(std::min<std::size_t>(bytes.size(), max - std::min(max, gathered_)));
  Gathered result = Gathered::incomplete;
  std::uint32_t n = 0;
  while (n < room && result == Gathered::incomplete) {
    if (line_state_ == 0) {
      const void* newline = std::memchr(bytes.data() + n, '\n', room - n);
      if (newline == nullptr) {
        n = room;
        break;
      }
      n = static_cast<std::uint32_t>(static_cast<const char*>(newline) - bytes.data()) + 1;
      line_state_ = 1;
      continue;
    }
    const char c = bytes[n++];
    if (c == '\n')
      result = Gathered::complete;
    else
      line_state_ = c == '\r' && line_state_ == 1 ? 2 : 0;
  }
  if (!reserve(gathered_ + n, budget)) return Gathered::no_memory;
  if (n != 0) std::memcpy(buffer_.get() + gathered_, bytes.data(), n);
  gathered_ += n;
  taken = n;
  return result;
}

}  // namespace sluice::lb::http
