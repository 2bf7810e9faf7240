// HugeArray<T>: an array of fixed size on huge pages where the system gives them, for tables that are read at random.
//
// A table of 128 MB has 32,768 ordinary pages: nearly every look-up in it then waits for the page's address as well.
// Arrays of 2 MB and more are mapped on transparent huge pages, or where the system has switched these off on reserved
// ones (hugetlbfs) if any are free; failing both, on ordinary pages. All elements are made at the start, so that
// nothing faults later.
//
// Called by: flow. Runs on: the thread that owns it. Tested by: tests/dataplane/base/huge_array_test.cc
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

namespace sluice {

// Zeroed memory, aligned to 64 bytes at least. Throws std::bad_alloc.
struct Pages {
  void* data = nullptr;
  std::size_t bytes = 0;  // as mapped
};
Pages allocate_pages(std::size_t bytes);
void free_pages(Pages pages);

template <typename T>
class HugeArray {
 public:
  explicit HugeArray(std::size_t size) : size_(size), pages_(allocate_pages(size * sizeof(T))) {
    std::uninitialized_value_construct_n(data(), size_);
  }
  ~HugeArray() {
    std::destroy_n(data(), size_);
    free_pages(pages_);
  }
  HugeArray(const HugeArray&) = delete;
  HugeArray& operator=(const HugeArray&) = delete;

  // Constness is not passed on, as with a pointer.
  T* data() const { return static_cast<T*>(pages_.data); }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) const { return data()[i]; }

 private:
  std::size_t size_;
  Pages pages_;
};

}  // namespace sluice
