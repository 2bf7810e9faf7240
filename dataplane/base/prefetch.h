// Prefetches: ask the CPU for a cache line that will be needed soon, and go on.
//
// Not __builtin_prefetch: gcc holds a function that does nothing but that for pure, and leaves out calls to it, so that
// whole stages of a burst were gone without a word.
//
// Called by: flow, packet, tcp, lb. Runs on: any thread. Follows: -. Tested by: tests/tidy (nobody uses the builtin),
// bench/path
#pragma once

#include <cstddef>

namespace sluice {

// Any address may be given; one that is not mapped does nothing.
inline void prefetch_line(const void* p) {
#if defined(__x86_64__)
  asm volatile("prefetcht0 (%0)" : : "r"(p));
#else
  asm volatile("" : : "r"(p));
  __builtin_prefetch(p);
#endif
}

// All lines of an object that begins on one.
template <typename T>
inline void prefetch_object(const T* object) {
  const char* const p = reinterpret_cast<const char*>(object);
  for (std::size_t offset = 0; offset < sizeof(T); offset += 64) prefetch_line(p + offset);
}

}  // namespace sluice
