// What a byte may be in HTTP: one table, one bit a class; and the search for the next byte that ends a field value.
//
// Called by: lb/l7. Runs on: workers. Follows: RFC 9110 5.6.2 (token), 5.5 (field value), RFC 3986 (target, host).
// Tested by: tests/lb/l7/head_scan_test.cc
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::lb::http {

enum ByteClass : std::uint8_t {
  kToken = 1,          // RFC 9110 5.6.2
  kTarget = 2,         // RFC 3986: may stand in a path or query as it is
  kTargetEncoded = 4,  // may come in a target; goes out as %XX
  kHost = 8,           // a registered name or IPv4 address, without port
  kDigit = 16,
  kHex = 32,
  kUnreserved = 64,  // RFC 3986 2.3
};

consteval std::array<std::uint8_t, 256> make_byte_classes() {
  std::array<std::uint8_t, 256> table{};
  auto mark = [&table](std::string_view bytes, std::uint8_t bits) {
    for (const char c : bytes) table[static_cast<std::uint8_t>(c)] |= bits;
  };
  mark("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", kToken | kTarget | kHost | kUnreserved);
  mark("!#$%&'*+-.^_`|~", kToken);
  mark("-._~!$&'()*+,;=:@/?%[]", kTarget);
  mark("\\^|{}\"<>`", kTargetEncoded);
  mark("-._~", kHost | kUnreserved);
  mark("0123456789", kDigit);
  mark("0123456789abcdefABCDEF", kHex);
  return table;
}
inline constexpr std::array<std::uint8_t, 256> kByteClasses = make_byte_classes();

inline bool is_in(char c, ByteClass byte_class) {
  return (kByteClasses[static_cast<std::uint8_t>(c)] & byte_class) != 0;
}
inline bool all_in(std::string_view text, ByteClass byte_class) {
  for (const char c : text)
    if (!is_in(c, byte_class)) return false;
  return true;
}
inline bool is_blank(char c) { return c == ' ' || c == '\t'; }
inline char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

// Equal but for the case of ASCII letters.
inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

inline std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

// "host" of "host:port"; the brackets of "[v6]:port" stay.
inline std::string_view without_port(std::string_view host) {
  if (!host.empty() && host.front() == '[') return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

// The first byte in [p, end) that may not stand inside a field value (a control byte other than tab); `end` if none.
inline const char* find_control(const char* p, const char* end) {
#if defined(__SSE2__)
  const __m128i last_control = _mm_set1_epi8(0x1f), tab = _mm_set1_epi8('\t'), del = _mm_set1_epi8(0x7f);
  while (end - p >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i stop = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), low), _mm_cmpeq_epi8(bytes, del));
    const int mask = _mm_movemask_epi8(stop);
    if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
    p += 16;
  }
#endif
  for (; p < end; ++p) {
    const auto byte = static_cast<std::uint8_t>(*p);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) break;
  }
  return p;
}

}  // namespace sluice::lb::http
