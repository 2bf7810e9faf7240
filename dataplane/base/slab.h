// Slab<T>: a fixed number of places for T, handed out by index, with a generation so that a stale handle is noticed.
//
// Called by: lb, ip, tcp tables. Runs on: the thread that owns it. Follows: -. Tested by:
// tests/dataplane/base/slab_test.cc
#pragma once

#include <cassert>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>
#include <vector>

namespace sluice {

// Names one life of one place.
struct SlabHandle {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;

  friend bool operator==(const SlabHandle&, const SlabHandle&) = default;
};

template <typename T>
class Slab {
 public:
  // All memory is taken here; nothing allocates afterwards.
  explicit Slab(std::uint32_t capacity)
      : storage_(std::make_unique_for_overwrite<Place[]>(capacity)), generations_(capacity, 0), free_(capacity) {
    for (std::uint32_t i = 0; i < capacity; ++i) free_[i] = capacity - 1 - i;
  }
  Slab(const Slab&) = delete;
  Slab& operator=(const Slab&) = delete;
  ~Slab() {
    for (std::uint32_t i = 0; i < capacity(); ++i) {
      if (is_live(i)) (*this)[i].~T();
    }
  }

  // Nothing when it is full.
  template <typename... Args>
  std::optional<SlabHandle> emplace(Args&&... args) {
    if (free_.empty()) return std::nullopt;
    const std::uint32_t index = free_.back();
    free_.pop_back();
    new (storage_[index].bytes) T(std::forward<Args>(args)...);
    return SlabHandle{index, ++generations_[index]};  // odd while live
  }

  // Precondition: is_live(index).
  void erase(std::uint32_t index) {
    assert(is_live(index));
    (*this)[index].~T();
    ++generations_[index];
    free_.push_back(index);
  }

  // nullptr when that life is over.
  T* get(SlabHandle handle) {
    if (handle.index >= capacity() || generations_[handle.index] != handle.generation || !is_live(handle.index)) {
      return nullptr;
    }
    return &(*this)[handle.index];
  }

  // Precondition: is_live(index).
  T& operator[](std::uint32_t index) { return *std::launder(reinterpret_cast<T*>(storage_[index].bytes)); }
  const T& operator[](std::uint32_t index) const {
    return *std::launder(reinterpret_cast<const T*>(storage_[index].bytes));
  }

  bool is_live(std::uint32_t index) const { return (generations_[index] & 1) != 0; }
  SlabHandle handle_of(std::uint32_t index) const { return {index, generations_[index]}; }
  std::uint32_t capacity() const { return static_cast<std::uint32_t>(generations_.size()); }
  std::uint32_t size() const { return capacity() - static_cast<std::uint32_t>(free_.size()); }
  bool full() const { return free_.empty(); }

 private:
  struct Place {
    alignas(T) unsigned char bytes[sizeof(T)];
  };
  std::unique_ptr<Place[]> storage_;
  std::vector<std::uint32_t> generations_;
  std::vector<std::uint32_t> free_;  // a stack; capacity reserved once
};

}  // namespace sluice
