// Where the memory of a HugeArray comes from; see huge_array.h.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include "dataplane/base/huge_array.h"

namespace sluice {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::align_val_t kAlignment{64};

void* map(std::size_t bytes, int flags) {
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

bool has_transparent_huge_pages() {
  const int file = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char text[64];  // "always [madvise] never"
  const ssize_t length = read(file, text, sizeof text);
  close(file);
  return length > 0 && std::string_view(text, static_cast<std::size_t>(length)).find("[never]") == std::string::npos;
}

// A mapping that begins where a huge page can: what lies before and behind is given back.
void* map_aligned(std::size_t bytes) {
  void* const raw = map(bytes + kHugePage, 0);
  if (raw == nullptr) return nullptr;
  const auto begin = reinterpret_cast<std::uintptr_t>(raw);
  const std::size_t before = (kHugePage - begin % kHugePage) % kHugePage;
  auto* const at = static_cast<std::byte*>(raw) + before;
  if (before > 0) munmap(raw, before);
  munmap(at + bytes, kHugePage - before);
  return at;
}

}  // namespace

Pages allocate_pages(std::size_t bytes) {
  if (bytes < kHugePage) {
    void* const data = ::operator new(bytes, kAlignment);
    std::memset(data, 0, bytes);
    return {data, bytes};
  }
  const std::size_t whole = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  const bool transparent = has_transparent_huge_pages();
  if (!transparent) {
    if (void* const reserved = map(whole, MAP_HUGETLB)) return {reserved, whole};
  }
  void* const data = map_aligned(whole);
  if (data == nullptr) throw std::bad_alloc();
  if (transparent) madvise(data, whole, MADV_HUGEPAGE);  // a wish: refused, the pages are ordinary ones
  return {data, whole};
}

void free_pages(Pages pages) {
  if (pages.bytes < kHugePage) {
    ::operator delete(pages.data, kAlignment);
  } else {
    munmap(pages.data, pages.bytes);
  }
}

}  // namespace sluice
