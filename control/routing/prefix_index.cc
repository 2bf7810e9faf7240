// ZeroedWords: small ones from the heap, large ones mapped.
//
// Tested by: tests/control/routing/prefix_index_test.cc
#include "control/routing/prefix_index.h"

#include <sys/mman.h>

#include <cstdlib>

namespace sluice::routing {
namespace {
constexpr std::size_t kHugePage = 2u << 20;
}  // namespace

ZeroedWords::ZeroedWords(std::size_t count) {
  const auto bytes = count * sizeof(std::uint32_t);
  if (bytes < kHugePage) {
    auto* p = static_cast<std::uint32_t*>(std::calloc(count, sizeof(std::uint32_t)));
    if (p == nullptr) throw std::bad_alloc();
    words_ = {p, ReleaseWords{}};
    return;
  }
  // A huge page begins at its own size's multiple; what lies before it is never touched.
  const auto mapped_bytes = bytes + kHugePage;
  void* mapped = mmap(nullptr, mapped_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) throw std::bad_alloc();
  const auto start = (reinterpret_cast<std::uintptr_t>(mapped) + kHugePage - 1) / kHugePage * kHugePage;
  auto* p = reinterpret_cast<std::uint32_t*>(start);
  (void)madvise(p, bytes, MADV_HUGEPAGE);  // without, it is only slower
  words_ = {p, ReleaseWords{mapped, mapped_bytes}};
}

void ReleaseWords::operator()(std::uint32_t* p) const {
  if (mapped == nullptr) {
    std::free(p);
  } else {
    munmap(mapped, bytes);
  }
}

}  // namespace sluice::routing
