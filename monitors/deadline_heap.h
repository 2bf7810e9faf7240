// A binary heap of deadlines by small dense ids, each of which can be moved or taken out: O(log n), no allocation once
// it has grown.
//
// Called by: monitors/engine. Runs on: control thread. Follows: -. Tested by: tests/monitors/deadline_heap_test.cc
#pragma once

#include <cassert>
#include <cstdint>
#include <utility>
#include <vector>

#include "dataplane/base/time.h"

namespace sluice::monitors {

class DeadlineHeap {
 public:
  bool empty() const { return heap_.empty(); }
  std::size_t size() const { return heap_.size(); }
  // kInstantMax: empty.
  Instant first() const { return heap_.empty() ? kInstantMax : heap_.front().at; }
  // Precondition: not empty.
  std::uint32_t first_id() const { return heap_.front().id; }

  // Inserts or moves; kInstantMax takes the id out.
  void set(std::uint32_t id, Instant at) {
    if (at == kInstantMax) return erase(id);
    if (id >= place_.size()) place_.resize(id + 1, kNowhere);
    if (place_[id] == kNowhere) {
      place_[id] = static_cast<std::uint32_t>(heap_.size());
      heap_.push_back({at, id});
      return up(place_[id]);
    }
    const std::uint32_t i = place_[id];
    const Instant old = std::exchange(heap_[i].at, at);
    at < old ? up(i) : down(i);
  }

  void erase(std::uint32_t id) {
    if (id >= place_.size() || place_[id] == kNowhere) return;
    const std::uint32_t i = std::exchange(place_[id], kNowhere);
    const Entry last = heap_.back();
    heap_.pop_back();
    if (last.id == id) return;
    heap_[i] = last;
    place_[last.id] = i;
    up(i);
    down(place_[last.id]);
  }

 private:
  static constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
  struct Entry {
    Instant at;
    std::uint32_t id;
  };

  void put(std::uint32_t i, Entry entry) { heap_[i] = entry, place_[entry.id] = i; }

  void up(std::uint32_t i) {
    const Entry entry = heap_[i];
    while (i > 0 && entry.at < heap_[(i - 1) / 2].at) {
      put(i, heap_[(i - 1) / 2]);
      i = (i - 1) / 2;
    }
    put(i, entry);
  }

  void down(std::uint32_t i) {
    const Entry entry = heap_[i];
    const auto size = static_cast<std::uint32_t>(heap_.size());
    for (;;) {
      std::uint32_t child = 2 * i + 1;
      if (child >= size) break;
      if (child + 1 < size && heap_[child + 1].at < heap_[child].at) ++child;
      if (heap_[child].at >= entry.at) break;
      put(i, heap_[child]);
      i = child;
    }
    put(i, entry);
  }

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> place_;  // of an id in heap_
};

}  // namespace sluice::monitors
