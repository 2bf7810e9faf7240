// Seq: a TCP sequence number, compared modulo 2^32 so that wrap-around cannot be forgotten.
//
// Called by: everything in tcp/. Runs on: any thread. Follows: RFC 9293 section 3.4. Tested by:
// tests/dataplane/tcp/seq_test.cc
#pragma once

#include <cstdint>

namespace sluice::tcp {

struct Seq {
  std::uint32_t value = 0;

  friend constexpr bool operator==(Seq a, Seq b) { return a.value == b.value; }
  // a < b means: a comes before b, as long as they are less than 2^31 apart.
  friend constexpr bool operator<(Seq a, Seq b) { return static_cast<std::int32_t>(a.value - b.value) < 0; }
  friend constexpr bool operator>(Seq a, Seq b) { return b < a; }
  friend constexpr bool operator<=(Seq a, Seq b) { return !(b < a); }
  friend constexpr bool operator>=(Seq a, Seq b) { return !(a < b); }
  friend constexpr Seq operator+(Seq a, std::uint32_t n) { return {a.value + n}; }
  friend constexpr Seq operator-(Seq a, std::uint32_t n) { return {a.value - n}; }
  // Bytes from b to a. Precondition: a >= b.
  friend constexpr std::uint32_t operator-(Seq a, Seq b) { return a.value - b.value; }
  constexpr Seq& operator+=(std::uint32_t n) {
    value += n;
    return *this;
  }
};

constexpr Seq max(Seq a, Seq b) { return a < b ? b : a; }
constexpr Seq min(Seq a, Seq b) { return a < b ? a : b; }
// first <= s < end
constexpr bool in_range(Seq s, Seq first, Seq end) { return first <= s && s < end; }

}  // namespace sluice::tcp
