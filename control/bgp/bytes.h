// Reading and writing big-endian fields of BGP messages without ever leaving the buffer.
//
// Called by: the codec files of control/bgp. Runs on: any thread. Tested by: tests/control/bgp/codec_test.cc
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sluice::bgp {

using ByteSpan = std::span<const std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

// Reads from the front. A read beyond the end gives zero and makes ok() false for good, so that a decoder may read a
// whole structure and check once.
class Reader {
 public:
  explicit Reader(ByteSpan bytes) : bytes_(bytes) {}

  bool ok() const { return ok_; }
  std::size_t left() const { return bytes_.size() - at_; }
  bool empty() const { return left() == 0; }
  ByteSpan rest() const { return bytes_.subspan(at_); }

  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(number(2)); }
  std::uint32_t u32() { return number(4); }
  ByteSpan take(std::size_t n) {
    if (n > left()) {
      ok_ = false;
      at_ = bytes_.size();
      return {};
    }
    const auto taken = bytes_.subspan(at_, n);
    at_ += n;
    return taken;
  }

 private:
  std::uint32_t number(std::size_t n) {
    std::uint32_t value = 0;
    for (const auto byte : take(n)) value = value << 8 | byte;
    return value;
  }
  ByteSpan bytes_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

// Appends to a vector.
class Writer {
 public:
  explicit Writer(Bytes& out) : out_(out) {}

  void u8(unsigned value) { out_.push_back(static_cast<std::uint8_t>(value)); }
  void u16(unsigned value) {
    u8(value >> 8 & 255);
    u8(value & 255);
  }
  void u32(std::uint32_t value) {
    u16(value >> 16);
    u16(value & 0xffff);
  }
  void bytes(ByteSpan bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  std::size_t size() const { return out_.size(); }
  // Fills in a field that was written before its value was known.
  void patch_u8(std::size_t at, std::size_t value) { out_[at] = static_cast<std::uint8_t>(value); }
  void patch_u16(std::size_t at, std::size_t value) {
    out_[at] = static_cast<std::uint8_t>(value >> 8);
    out_[at + 1] = static_cast<std::uint8_t>(value);
  }

 private:
  Bytes& out_;
};

}  // namespace sluice::bgp
