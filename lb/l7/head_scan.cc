// One pass over the bytes of a head; see head_scan.h.
#include "lb/l7/head_scan.h"

#include <algorithm>

#include "lb/l7/byte_class.h"

namespace sluice::lb::http {
namespace {

class Scanner {
 public:
  Scanner(std::span<const char> bytes, const HttpLimits& limits, Head& head, ScanProgress* progress = nullptr)
      : begin_(bytes.data()),
        p_(begin_),
        end_(begin_ + std::min<std::size_t>(bytes.size(), limits.head_bytes_max)),
        cut_(bytes.size() >= limits.head_bytes_max),
        limits_(limits),
        head_(head),
        progress_(progress) {}

  ScanResult request() {
    if (begins_later() || (method() && target() && version() && line_end())) fields(true);
    return finish();
  }
  ScanResult response() {
    if (begins_later() || (version() && status() && line_end())) fields(true);
    return finish();
  }
  ScanResult trailers() {
    strict_lines_ = true;
    fields(false);
    return finish();
  }

 private:
  // What to do at the end of the input: more may come, unless the limit is reached.
  bool incomplete() {
    if (cut_) return refuse(431, "the head is longer than head-bytes-max");
    result_.status = ScanStatus::incomplete;
    return false;
  }
  bool refuse(std::uint16_t status, const char* reason) { return refuse_at(p_, status, reason); }
  bool refuse_at(const char* where, std::uint16_t status, const char* reason) {
    result_.status = ScanStatus::error;
    result_.error = {status, static_cast<std::uint64_t>(where - begin_), reason};
    return false;
  }
  ScanResult finish() {
    result_.tolerated = tolerated_;
    return result_;
  }
  std::uint16_t offset(const char* p) const { return static_cast<std::uint16_t>(p - begin_); }

  // Whether the start line was found good by an earlier look.
  bool begins_later() {
    if (progress_ == nullptr || progress_->line == 0) return false;
    p_ = begin_ + progress_->line;
    return true;
  }
  // Where to go on in the part of a line in which the last look ended.
  const char* resumed(const char* start, ScanProgress::In in) const {
    if (progress_ == nullptr || progress_->in != in) return start;
    return begin_ + progress_->vetted;
  }
  void note_end(ScanProgress::In in) {
    if (progress_ == nullptr) return;
    progress_->in = in;
    progress_->vetted = static_cast<std::uint32_t>(end_ - begin_);
  }
  void note_line() {
    if (progress_ == nullptr) return;
    *progress_ = {.line = static_cast<std::uint32_t>(p_ - begin_),
                  .fields = static_cast<std::uint16_t>(head_.field_count)};
  }

  // One space; more are tolerated.
  bool space(const char* missing) {
    if (p_ == end_) return incomplete();
    if (*p_ != ' ') return refuse(400, missing);
    for (++p_; p_ < end_ && *p_ == ' '; ++p_) tolerated_ = true;
    return p_ < end_ || incomplete();
  }

  bool method() {
    const char* start = p_;
    while (p_ < end_ && is_in(*p_, kToken)) ++p_;
    if (p_ - start > 32) return refuse_at(start, 501, "the method is longer than any that is known");
    if (p_ == end_) return incomplete();
    if (p_ == start) return refuse(400, "a request begins with a method, and this byte is not part of one");
    if (*p_ != ' ') return refuse(400, "behind the method stands something else than a space");
    head_.method = method_of({start, static_cast<std::size_t>(p_ - start)});
    if (head_.method == Method::none) return refuse_at(start, 501, "the method is not known");
    return space("behind the method stands something else than a space");
  }

  bool target() {
    const char* start = p_;
    head_.target_needs_encoding = false;
    p_ = resumed(start, ScanProgress::In::target);
    while (p_ < end_ && is_in(*p_, static_cast<ByteClass>(kTarget | kTargetEncoded))) {
      head_.target_needs_encoding |= is_in(*p_, kTargetEncoded);
      ++p_;
    }
    if (static_cast<std::size_t>(p_ - start) > limits_.target_bytes_max)
      return refuse_at(start + limits_.target_bytes_max, 414, "the request target is longer than target-bytes-max");
    if (p_ == end_) {
      note_end(ScanProgress::In::target);
      return incomplete();
    }
    if (*p_ != ' ') return bad_target();
    head_.target = {start, static_cast<std::size_t>(p_ - start)};
    return space("behind the target stands something else than a space");
  }
  bool bad_target() {
    switch (*p_) {
      case '#':
        return refuse(400, "the request target has a fragment");
      case '\r':
      case '\n':
        return refuse(400, "the request line ends behind the target: the version is missing");
      case '\0':
        return refuse(400, "the request target has a NUL byte");
      default:
        return refuse(400, "the request target has a byte that no URI has");
    }
  }

  // HTTP/1.0 and 1.1; 1.2 to 1.9 count as 1.1.
  bool version() {
    constexpr std::string_view kName = "HTTP/";
    for (const char c : kName) {
      if (p_ == end_) return incomplete();
      if (*p_ != c) return refuse(400, "the version does not begin with HTTP/");
      ++p_;
    }
    for (int i = 0; i < 3; ++i)
      if (p_ + i < end_ && (i == 1 ? p_[i] != '.' : !is_in(p_[i], kDigit)))
        return refuse_at(p_ + i, 400, "the version is not HTTP/digit.digit");
    if (end_ - p_ < 3) return incomplete();
    if (p_[0] != '1') return refuse(505, "the version is not HTTP/1.x");
    head_.minor = p_[2] == '0' ? 0 : 1;
    if (p_[2] > '1') tolerated_ = true;
    p_ += 3;
    return true;
  }

  bool status() {
    if (!space("behind the version stands something else than a space")) return false;
    for (int i = 0; i < 3; ++i)
      if (p_ + i < end_ && !is_in(p_[i], kDigit)) return refuse_at(p_ + i, 400, "the status is not three digits");
    if (end_ - p_ < 3) return incomplete();
    head_.status = static_cast<std::uint16_t>((p_[0] - '0') * 100 + (p_[1] - '0') * 10 + (p_[2] - '0'));
    if (head_.status < 100 || head_.status > 599) return refuse(400, "the status is outside 100 to 599");
    p_ += 3;
    if (p_ == end_) return incomplete();
    const char* start = p_;
    if (*p_ == ' ') {
      start = ++p_;
      p_ = find_control(p_, end_);
      if (p_ == end_) return incomplete();
    }
    head_.reason = trimmed({start, static_cast<std::size_t>(p_ - start)});
    return true;
  }

  // CR LF, or a bare LF where that is tolerated.
  bool line_end() {
    if (p_ == end_) return incomplete();
    if (*p_ == '\n') {
      if (strict_lines_) return refuse(400, "a line of the trailers ends with LF alone");
      tolerated_ = true;
      ++p_;
      return true;
    }
    if (*p_ == '\r') {
      if (p_ + 1 == end_) return incomplete();
      if (p_[1] != '\n') return refuse(400, "a CR stands alone");
      p_ += 2;
      return true;
    }
    if (*p_ == '\0') return refuse(400, "the head has a NUL byte");
    return refuse(400, static_cast<std::uint8_t>(*p_) < 0x20 || *p_ == 0x7f ? "the head has a control byte"
                                                                            : "behind the version stands more");
  }

  void fields(bool with_start_line) {
    head_.field_count = progress_ != nullptr ? progress_->fields : 0;
    const char* first = head_.field_count == 0 ? p_ : nullptr;
    while (true) {
      if (progress_ != nullptr && p_ != begin_ + progress_->line) note_line();
      if (p_ == end_) {
        incomplete();
        return;
      }
      if (*p_ == '\r' || *p_ == '\n') {
        if (line_end()) {
          head_.length = static_cast<std::uint32_t>(p_ - begin_);
          result_.status = ScanStatus::complete;
        }
        return;
      }
      if (is_blank(*p_)) {
        refuse(400, p_ == first && with_start_line ? "white space stands between the start line and the first field"
                                                   : "a field is folded over two lines");
        return;
      }
      if (!field()) return;
    }
  }

  // The rest of a field whose value has begun in an earlier look.
  bool value_rest() {
    p_ = find_control(resumed(p_, ScanProgress::In::value), end_);
    if (p_ == end_) {
      note_end(ScanProgress::In::value);
      return incomplete();
    }
    if (!line_end()) return false;
    ++head_.field_count;
    return true;
  }

  bool field() {
    if (progress_ != nullptr && progress_->in == ScanProgress::In::value) return value_rest();
    const char* start = p_;
    p_ = resumed(start, ScanProgress::In::name);
    while (p_ < end_ && is_in(*p_, kToken)) ++p_;
    if (p_ == end_) {
      note_end(ScanProgress::In::name);
      return incomplete();
    }
    if (*p_ != ':') return bad_name();
    if (p_ == start) return refuse(400, "a field has no name");
    if (head_.field_count >= std::min(limits_.headers_max, kHttpHeadersMax))
      return refuse_at(start, 431, "the head has more fields than headers-max");
    const std::string_view name{start, static_cast<std::size_t>(p_ - start)};
    const char* colon = p_++;
    while (p_ < end_ && is_blank(*p_)) ++p_;
    const char* value = p_;
    p_ = find_control(p_, end_);
    if (p_ == end_) {
      note_end(ScanProgress::In::value);
      return incomplete();
    }
    const char* value_end = p_;
    const bool was_tolerated = tolerated_;
    tolerated_ = false;
    if (!line_end()) return false;
    // llhttp knows only spaces behind a number, not tabs.
    for (; value_end > value && is_blank(value_end[-1]); --value_end) tolerated_ |= value_end[-1] == '\t';
    Field& field = head_.field_array[head_.field_count++];
    field = {.name = offset(start),
             .name_length = static_cast<std::uint16_t>(name.size()),
             .value = offset(value),
             .value_length = static_cast<std::uint16_t>(value_end - value),
             .id = field_id_of(name),
             .hop_by_hop = false,
             .canonical = value == colon + 2 && colon[1] == ' ' && p_ == value_end + 2 && !tolerated_};
    tolerated_ |= was_tolerated;
    return true;
  }
  bool bad_name() {
    if (is_blank(*p_)) return refuse(400, "a field name is followed by white space");
    if (*p_ == '\r' || *p_ == '\n') return refuse(400, "a field line has no colon");
    if (*p_ == '\0') return refuse(400, "the head has a NUL byte");
    return refuse(400, "a field name has a byte that no name has");
  }

  const char* begin_;
  const char* p_;
  const char* end_;
  bool cut_;
  bool strict_lines_ = false;
  bool tolerated_ = false;
  const HttpLimits& limits_;
  Head& head_;
  ScanProgress* progress_;
  ScanResult result_;
};

}  // namespace

ScanResult scan_head(std::span<const char> bytes, bool is_request, const HttpLimits& limits, Head& head) {
  head.bytes = bytes.data();
  head.is_request = is_request;
  Scanner scanner(bytes, limits, head);
  return is_request ? scanner.request() : scanner.response();
}

ScanResult vet_head(std::span<const char> bytes, bool is_request, const HttpLimits& limits, Head& head,
                    ScanProgress& progress) {
  Scanner scanner(bytes, limits, head, &progress);
  return is_request ? scanner.request() : scanner.response();
}

ScanResult scan_trailers(std::span<const char> bytes, const HttpLimits& limits, Head& head) {
  head.bytes = bytes.data();
  return Scanner(bytes, limits, head).trailers();
}

}  // namespace sluice::lb::http
