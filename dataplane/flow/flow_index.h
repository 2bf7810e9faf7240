// FlowIndex: from the hash of a key to candidate entries, in buckets of one cache line.
//
// A bucket holds 12 slots: an 8-bit tag of the hash and a 32-bit reference each. A key that finds its home bucket full
// goes to the next one with room, and every full bucket it passes counts it, so that a search stops at the first bucket
// that nothing has passed: nearly always at home. Sized so that buckets are at most two thirds full. No resizing, no
// moving of others.
// The index does not know keys: the caller compares the key of each candidate.
//
// Called by: flow/flow_table. Runs on: the worker that owns it. Follows: F14 (Facebook's hash tables).
// Tested by: tests/dataplane/flow/flow_index_test.cc
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cassert>
#include <cstdint>

#include "dataplane/base/huge_array.h"
#include "dataplane/base/prefetch.h"

namespace sluice::flow {

class FlowIndex {
 public:
  static constexpr unsigned kSlots = 12;

  // Room for `keys_max` keys.
  explicit FlowIndex(std::size_t keys_max)
      : mask_(std::bit_ceil(keys_max / 8 + 1) - 1), keys_max_(keys_max), buckets_(mask_ + 1) {}

  void prefetch(std::uint64_t hash) const { prefetch_line(&buckets_[home(hash)]); }

  // The first entry whose tag fits, without comparing keys: what to prefetch. kNone: there is none in the home bucket.
  static constexpr std::uint32_t kNone = 0xffffffff;
  std::uint32_t first_candidate(std::uint64_t hash) const {
    const Bucket& bucket = buckets_[home(hash)];
    const unsigned matches = match(bucket, tag_of(hash));
    return matches == 0 ? kNone : bucket.references[std::countr_zero(matches)];
  }

  // The reference for which equal(reference) holds; kNone: there is none.
  template <typename Equal>
  std::uint32_t find(std::uint64_t hash, Equal&& equal) const {
    const std::uint8_t tag = tag_of(hash);
    for (std::size_t at = home(hash), step = 0; step <= mask_; at = (at + 1) & mask_, ++step) {
      const Bucket& bucket = buckets_[at];
      for (unsigned matches = match(bucket, tag); matches != 0; matches &= matches - 1) {
        const std::uint32_t reference = bucket.references[std::countr_zero(matches)];
        if (equal(reference)) return reference;
      }
      if (bucket.passed == 0) return kNone;
    }
    return kNone;
  }

  // Precondition: size() < keys_max, and the key is not there yet.
  void insert(std::uint64_t hash, std::uint32_t reference);
  // Precondition: it was inserted with this hash.
  void erase(std::uint64_t hash, std::uint32_t reference);

  std::size_t size() const { return size_; }
  std::size_t bucket_count() const { return mask_ + 1; }

 private:
  struct alignas(64) Bucket {
    std::uint8_t tags[kSlots] = {};  // 0: free
    std::uint32_t passed = 0;        // keys at home before or here that found this bucket full
    std::uint32_t references[kSlots] = {};
  };
  static_assert(sizeof(Bucket) == 64);

  std::size_t home(std::uint64_t hash) const { return hash & mask_; }
  // Never 0; from bits that choose no bucket.
  static std::uint8_t tag_of(std::uint64_t hash) { return static_cast<std::uint8_t>(hash >> 56 | 1); }
  // Bit i: tags[i] fits.
  static unsigned match(const Bucket& bucket, std::uint8_t tag) {
    const __m128i tags = _mm_load_si128(reinterpret_cast<const __m128i*>(bucket.tags));
    const auto fits =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)))));
    return fits & ((1u << kSlots) - 1);
  }

  std::size_t mask_;
  std::size_t keys_max_;
  std::size_t size_ = 0;
  HugeArray<Bucket> buckets_;
};

}  // namespace sluice::flow
