// What the proxy remembers of requests: the last errors (`show errors`), and access log records on their way out.
//
// Called by: lb/l7 (writes), lb/datapath, control (reads). Runs on: the worker writes; ErrorLog is read on the worker
// (by a Task), the access log by one other thread. Tested by: tests/lb/l7/*
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/counter.h"
#include "dataplane/base/spsc_ring.h"
#include "dataplane/base/time.h"

namespace sluice::lb {

// Text cut to fit, by value.
template <std::size_t N>
class CutText {
 public:
  CutText() = default;
  CutText(std::string_view text) : length_(static_cast<std::uint16_t>(std::min(text.size(), N))) {  // NOLINT: as text
    std::memcpy(text_.data(), text.data(), length_);
  }
  std::string_view view() const { return {text_.data(), length_}; }
  bool cut() const { return length_ == N; }

 private:
  std::uint16_t length_ = 0;
  std::array<char, N> text_;
};

// Where a request went wrong.
enum class ErrorSide : std::uint8_t {
  request,   // what the client sent, or did not
  response,  // what the member sent, or did not
  connect,   // the way to a member
  policy,    // a limit, or nobody to ask
};
constexpr std::string_view name_of(ErrorSide side) {
  constexpr std::string_view kNames[] = {"request", "response", "connect", "policy"};
  return kNames[static_cast<std::size_t>(side)];
}

struct ErrorRecord {
  Instant at{};
  ErrorSide side = ErrorSide::request;
  std::uint16_t status = 0;  // what the client was answered; 0: its connection was reset
  Ipv4Endpoint client;
  Ipv4Endpoint destination;
  Ipv4Endpoint member;       // zero: none was chosen
  std::uint64_t offset = 0;  // bytes of the message read before the one that is wrong
  const char* reason = "";   // static
  CutText<64> virtual_server;
};

// The last ones of a worker.
class ErrorLog {
 public:
  static constexpr std::size_t kMax = 256;
  void add(const ErrorRecord& record) { records_[total_++ % kMax] = record; }
  std::uint64_t total() const { return total_; }
  // Newest first; out has the capacity.
  void list(std::vector<ErrorRecord>& out) const {
    for (std::uint64_t i = total_; i > 0 && total_ - i < kMax && out.size() < out.capacity(); --i) {
      out.push_back(records_[(i - 1) % kMax]);
    }
  }

 private:
  std::vector<ErrorRecord> records_ = std::vector<ErrorRecord>(kMax);
  std::uint64_t total_ = 0;
};

struct AccessRecord {
  Instant at{};  // the request's first byte
  Ipv4Endpoint client;
  Ipv4Endpoint destination;
  Ipv4Endpoint member;  // zero: answered by us
  std::uint16_t status = 0;
  std::uint8_t minor = 1;
  bool reused = false;     // the server-side connection had served a request before
  bool cut_short = false;  // the exchange ended before the response did
  Duration connect{};      // 0: a connection was open
  Duration first_byte{};
  Duration total{};
  std::uint64_t request_bytes = 0;   // body
  std::uint64_t response_bytes = 0;  // body
  CutText<16> method;
  CutText<64> host;
  CutText<192> target;
  CutText<64> virtual_server;
};

// Records of exchanges that run, and a ring of those that ended; what finds no room is counted as lost.
class AccessRing {
 public:
  static constexpr std::uint32_t kOpenMax = 4096;
  static constexpr std::uint32_t kNone = 0xffffffff;
  AccessRing() : ended_(kOpenMax) {}

  // A record to fill in while the exchange runs; kNone: all are in use.
  std::uint32_t open();
  AccessRecord& at(std::uint32_t index) { return open_[index]; }
  void close(std::uint32_t index);

  // The reader's end.
  std::size_t take(std::span<AccessRecord> out) { return ended_.pop_burst(out); }
  std::uint64_t lost() const { return lost_.get(); }

 private:
  std::vector<AccessRecord> open_;
  std::vector<std::uint32_t> free_;
  SpscRing<AccessRecord> ended_;
  Counter lost_;
};

inline std::uint32_t AccessRing::open() {
  if (open_.empty()) {  // the memory is taken by the first worker that logs at all
    open_.resize(kOpenMax);
    for (std::uint32_t i = kOpenMax; i > 0; --i) free_.push_back(i - 1);
  }
  if (free_.empty()) {
    lost_.add();
    return kNone;
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  open_[index] = {};
  return index;
}

inline void AccessRing::close(std::uint32_t index) {
  if (!ended_.push(open_[index])) lost_.add();
  free_.push_back(index);
}

}  // namespace sluice::lb
