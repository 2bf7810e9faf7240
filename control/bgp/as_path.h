// AS_PATH as a value: segments of 4-octet AS numbers, however they travelled.
//
// Called by: codec, decide, policy. Runs on: any thread. Follows: RFC 4271 4.3 and 9.1.2.2, RFC 6793, RFC 5065.
// Tested by: tests/control/bgp/codec_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/bgp/bytes.h"

namespace sluice::bgp {

enum class SegmentType : std::uint8_t { set = 1, sequence = 2, confed_sequence = 3, confed_set = 4 };

class AsPath {
 public:
  // The attribute's value with AS numbers of 2 or 4 octets; nullopt: malformed (RFC 7606 7.2), or AS 0 in it (RFC
  // 7607).
  static std::optional<AsPath> decode(ByteSpan value, bool four_octet);
  void encode(Writer& out, bool four_octet) const;

  bool empty() const { return words_.empty(); }
  // RFC 4271 9.1.2.2 a: a set counts one; RFC 5065 5.3: confederation segments count nothing.
  unsigned length() const;
  // The leftmost AS of a sequence: the neighbouring AS; nullopt: the path is empty or begins with a set.
  std::optional<std::uint32_t> first() const;
  unsigned count(std::uint32_t as) const;
  bool contains(std::uint32_t as) const { return count(as) != 0; }
  bool has_confederation_segments() const;
  bool fits_two_octets() const;
  void prepend(std::uint32_t as, unsigned times);
  // RFC 6793 4.2.3: the true path from an AS_PATH of 2 octets and the AS4_PATH that came with it.
  static AsPath merge(const AsPath& two_octet, const AsPath& as4);
  // Without confederation segments, as AS4_PATH must be (RFC 6793 3).
  AsPath without_confederation() const;
  std::string text() const;  // "64513 {64514,64515} (65001)"

  std::span<const std::uint32_t> words() const { return words_; }
  friend bool operator==(const AsPath&, const AsPath&) = default;

 private:
  // Each segment: one word type << 16 | count, then its AS numbers.
  template <typename F>
  void each_segment(F&& f) const {
    for (std::size_t i = 0; i < words_.size();) {
      const auto type = static_cast<SegmentType>(words_[i] >> 16);
      const std::size_t count = words_[i] & 0xffff;
      f(type, std::span(words_).subspan(i + 1, count));
      i += 1 + count;
    }
  }
  void add_segment(SegmentType type, std::span<const std::uint32_t> as_numbers);
  std::vector<std::uint32_t> words_;
};

}  // namespace sluice::bgp
