// The one's-complement sum over a run of bytes; see checksum.h.
//
// Short runs (headers, small packets) add 8 bytes at a time with carry; long ones use AVX2 where the machine has it.
#include "dataplane/wire/checksum.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace sluice::wire {
namespace {

inline std::uint64_t add_carry(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum;
  return __builtin_add_overflow(a, b, &sum) ? sum + 1 : sum;
}

// The last 0..7 bytes, padded with zeros.
inline std::uint64_t load_tail(const std::uint8_t* p, std::size_t n) {
  std::uint64_t value = 0;
  if (n & 4) {
    value = load_raw<std::uint32_t>(p);
    p += 4;
  }
  if (n & 2) {
    value += load_raw<std::uint16_t>(p);
    p += 2;
  }
  return n & 1 ? value + *p : value;
}

std::uint64_t sum_scalar(const std::uint8_t* p, std::size_t n) {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  for (; n >= 16; p += 16, n -= 16) {
    a = add_carry(a, load_raw<std::uint64_t>(p));
    b = add_carry(b, load_raw<std::uint64_t>(p + 8));
  }
  a = add_carry(a, b);
  if (n >= 8) {
    a = add_carry(a, load_raw<std::uint64_t>(p));
    p += 8;
    n -= 8;
  }
  return add_carry(a, load_tail(p, n));
}

#if defined(__x86_64__)
// Widens 32-bit words into 64-bit lanes: no carry is lost below 2^32 words.
__attribute__((target("avx2"))) std::uint64_t sum_avx2(const std::uint8_t* p, std::size_t n) {
  const __m256i low = _mm256_set1_epi64x(0xffffffff);
  __m256i a = _mm256_setzero_si256();
  __m256i b = _mm256_setzero_si256();
  for (; n >= 64; p += 64, n -= 64) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    const __m256i y = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32));
    a = _mm256_add_epi64(a, _mm256_add_epi64(_mm256_and_si256(x, low), _mm256_srli_epi64(x, 32)));
    b = _mm256_add_epi64(b, _mm256_add_epi64(_mm256_and_si256(y, low), _mm256_srli_epi64(y, 32)));
  }
  alignas(32) std::uint64_t lanes[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), _mm256_add_epi64(a, b));
  const std::uint64_t head = lanes[0] + lanes[1] + lanes[2] + lanes[3];
  return add_carry(head, sum_scalar(p, n));
}

const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;
#endif

inline constexpr std::size_t kLongRun = 192;

}  // namespace

std::uint16_t raw_sum(const std::uint8_t* data, std::size_t length) {
#if defined(__x86_64__)
  if (length >= kLongRun && kHasAvx2) return fold_checksum(sum_avx2(data, length));
#endif
  return fold_checksum(sum_scalar(data, length));
}

}  // namespace sluice::wire
