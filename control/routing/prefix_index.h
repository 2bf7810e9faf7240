// PrefixIndex and Slab: the two containers of a routing table of millions: records in chunks, found by prefix.
//
// Called by: control/routing, control/bgp. Runs on: control thread. Tested by:
// tests/control/routing/prefix_index_test.cc
#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "control/routing/ip_prefix.h"
#include "dataplane/base/prefetch.h"

namespace sluice::routing {

// Records with dense numbers 1..; never moved, so growth costs no copy; freed ones are used again. 0 means none.
template <typename T>
class Slab {
 public:
  static constexpr std::uint32_t kChunk = 4096;

  std::uint32_t create() {
    auto id = free_;
    if (id != 0) {
      std::memcpy(&free_, &(*this)[id], sizeof free_);
    } else {
      // Not touched before it is used: neither the time nor, of the last chunk, the memory is spent in advance.
      if (top_ % kChunk == 0) chunks_.push_back(std::make_unique_for_overwrite<Storage[]>(kChunk));
      id = ++top_;
    }
    ++used_;
    new (&chunks_[(id - 1) / kChunk][(id - 1) % kChunk]) T{};
    return id;
  }
  void destroy(std::uint32_t id) {
    static_assert(sizeof(T) >= sizeof(std::uint32_t) && std::is_trivially_destructible_v<T>);
    T& record = (*this)[id];
    std::memcpy(static_cast<void*>(&record), &free_, sizeof free_);
    free_ = id;
    --used_;
  }
  T& operator[](std::uint32_t id) {
    return *std::launder(reinterpret_cast<T*>(&chunks_[(id - 1) / kChunk][(id - 1) % kChunk]));
  }
  const T& operator[](std::uint32_t id) const {
    return *std::launder(reinterpret_cast<const T*>(&chunks_[(id - 1) / kChunk][(id - 1) % kChunk]));
  }
  std::uint32_t size() const { return used_; }
  std::uint32_t top() const { return top_; }  // no number is above it

 private:
  struct Storage {
    alignas(T) std::byte bytes[sizeof(T)];
  };
  std::vector<std::unique_ptr<Storage[]>> chunks_;
  std::uint32_t free_ = 0, used_ = 0, top_ = 0;
};

// A prefix in 8 or 17 bytes, as a key.
struct KeyV4 {
  std::uint32_t address = 0;
  std::uint8_t length = 0;
  bool used = false;
  static KeyV4 of(const IpPrefix& p) { return {p.address.v4().value, p.length, true}; }
  IpPrefix prefix() const { return Ipv4Prefix{Ipv4Address{address}, length}; }
  std::uint32_t hash() const {
    const std::uint64_t x = (std::uint64_t{address} << 8 | length) * 0x9e3779b97f4a7c15;
    return static_cast<std::uint32_t>(x >> 32);
  }
  friend bool operator==(const KeyV4&, const KeyV4&) = default;
};
struct KeyV6 {
  std::array<std::uint8_t, 16> address{};
  std::uint8_t length = 0;
  bool used = false;
  static KeyV6 of(const IpPrefix& p) { return {p.address.v6().bytes, p.length, true}; }
  IpPrefix prefix() const { return Ipv6Prefix{Ipv6Address{address}, length}; }
  std::uint32_t hash() const {
    std::uint64_t a = 0, b = 0;
    std::memcpy(&a, address.data(), 8);
    std::memcpy(&b, address.data() + 8, 8);
    const std::uint64_t x = (a ^ (b * 0xff51afd7ed558ccd) ^ length) * 0x9e3779b97f4a7c15;
    return static_cast<std::uint32_t>((x ^ x >> 29) >> 16);
  }
  friend bool operator==(const KeyV6&, const KeyV6&) = default;
};

struct ReleaseWords {
  void* mapped = nullptr;  // nullptr: from calloc
  std::size_t bytes = 0;
  void operator()(std::uint32_t* p) const;
};

// Words that are zero. Many of them are on huge pages where the kernel has some: a table is touched all over from its
// first insertions on, and 2,000 page faults in one turn would be felt.
class ZeroedWords {
 public:
  ZeroedWords() = default;
  explicit ZeroedWords(std::size_t count);
  std::uint32_t& operator[](std::size_t i) const { return words_[i]; }

 private:
  std::unique_ptr<std::uint32_t[], ReleaseWords> words_;
};

// Open addressing over a slab of records {key, payload}. A slot is 4 bytes: a record's number and 6 bits of its hash,
// so that a search touches hardly any record but the one it looks for. A table that grows is moved a few slots with
// each insertion: moving a million at once would hold up the thread for tens of milliseconds.
template <typename Key, typename Payload>
class KeyTable {
 public:
  struct Record {
    Key key;
    Payload payload;
  };
  static constexpr std::uint32_t kRecordsMax = (1u << 26) - 2;

  std::uint32_t find(const Key& key) const {
    const auto hash = key.hash();
    if (const auto id = find_in(slots_, key, hash)) return id;
    return old_.size == 0 ? 0 : find_in(old_, key, hash);
  }
  // Has the processor fetch what find() and insert() read first: the slots of a table of a million are in no cache.
  void prefetch(const Key& key) const {
    const auto hash = key.hash();
    if (slots_.size != 0) prefetch_line(&slots_.slots[hash & slots_.mask()]);
    if (old_.size != 0) prefetch_line(&old_.slots[hash & old_.mask()]);
  }
  // Precondition: not there.
  std::uint32_t insert(const Key& key) {
    if ((records_.size() + 1) * 5 > slots_.size * 4) grow();
    move_some(kMovedPerInsert);
    const auto id = records_.create();
    assert(id <= kRecordsMax);
    records_[id].key = key;
    place(id);
    return id;
  }
  void erase(std::uint32_t id) {
    std::size_t hole = slot_of(slots_, id);
    if (hole == kNone) {
      old_.slots[slot_of(old_, id)] = kMoved;
    } else {
      // Closes the gap, so that no tombstones slow later searches.
      for (std::size_t i = (hole + 1) & slots_.mask(); slots_.slots[i] != 0; i = (i + 1) & slots_.mask()) {
        const std::size_t home = records_[slots_.slots[i] & kNumber].key.hash() & slots_.mask();
        if (((i - home) & slots_.mask()) >= ((i - hole) & slots_.mask())) {
          slots_.slots[hole] = slots_.slots[i];
          hole = i;
        }
      }
      slots_.slots[hole] = 0;
    }
    records_[id].key.used = false;
    records_.destroy(id);
  }
  Record& operator[](std::uint32_t id) { return records_[id]; }
  const Record& operator[](std::uint32_t id) const { return records_[id]; }
  std::uint32_t size() const { return records_.size(); }
  std::uint32_t top() const { return records_.top(); }

 private:
  static constexpr std::size_t kSlotsMin = 16;
  static constexpr unsigned kMovedPerInsert = 8;  // done long before the next growth, which is 0.8 sizes away
  static constexpr std::uint32_t kNumber = (1u << 26) - 1;
  static constexpr std::uint32_t kMoved = ~0u;  // of the old table: searches go on behind it
  static constexpr std::size_t kNone = ~std::size_t{0};

  struct Slots {
    ZeroedWords slots;
    std::size_t size = 0;
    std::size_t mask() const { return size - 1; }
  };

  std::uint32_t find_in(const Slots& in, const Key& key, std::uint32_t hash) const {
    if (in.size == 0) return 0;
    for (std::size_t i = hash & in.mask(); in.slots[i] != 0; i = (i + 1) & in.mask()) {
      const auto slot = in.slots[i];
      if (slot >> 26 == hash >> 26 && slot != kMoved && records_[slot & kNumber].key == key) return slot & kNumber;
    }
    return 0;
  }
  std::size_t slot_of(const Slots& in, std::uint32_t id) const {
    if (in.size == 0) return kNone;
    std::size_t i = records_[id].key.hash() & in.mask();
    for (; in.slots[i] != 0; i = (i + 1) & in.mask()) {
      if (in.slots[i] != kMoved && (in.slots[i] & kNumber) == id) return i;
    }
    return kNone;
  }
  void place(std::uint32_t id) {
    const auto hash = records_[id].key.hash();
    std::size_t i = hash & slots_.mask();
    while (slots_.slots[i] != 0) i = (i + 1) & slots_.mask();
    slots_.slots[i] = hash >> 26 << 26 | id;
  }
  void grow() {
    move_some(old_.size);  // nothing in practice
    old_ = std::exchange(slots_, {});
    moved_ = 0;
    const auto size = old_.size == 0 ? kSlotsMin : old_.size * 2;
    slots_.slots = ZeroedWords(size);
    slots_.size = size;
    if (size <= kSmall) move_some(old_.size);
  }
  void move_some(std::size_t n) {
    if (old_.size == 0) return;
    for (; n > 0 && moved_ < old_.size; --n, ++moved_) {
      const auto slot = std::exchange(old_.slots[moved_], old_.slots[moved_] == 0 ? 0 : kMoved);
      if (slot != 0 && slot != kMoved) place(slot & kNumber);
    }
    if (moved_ == old_.size) old_ = {};
  }
  static constexpr std::size_t kSmall = 4096;

  Slab<Record> records_;
  Slots slots_, old_;
  std::size_t moved_ = 0;  // of old_
};

// Both families in one: numbers of IPv6 records have the top bit set. 0: none.
template <typename Payload>
class PrefixIndex {
 public:
  static constexpr std::uint32_t kV6 = 0x80000000;

  std::uint32_t find(const IpPrefix& prefix) const {
    if (prefix.is_v4()) return v4_.find(KeyV4::of(prefix));
    const auto id = v6_.find(KeyV6::of(prefix));
    return id == 0 ? 0 : id | kV6;
  }
  // Some prefixes before they are looked for.
  void prefetch(const IpPrefix& prefix) const {
    prefix.is_v4() ? v4_.prefetch(KeyV4::of(prefix)) : v6_.prefetch(KeyV6::of(prefix));
  }
  std::uint32_t find_or_insert(const IpPrefix& prefix) {
    if (const auto id = find(prefix)) return id;
    return insert(prefix);
  }
  // Precondition: not there.
  std::uint32_t insert(const IpPrefix& prefix) {
    return prefix.is_v4() ? v4_.insert(KeyV4::of(prefix)) : v6_.insert(KeyV6::of(prefix)) | kV6;
  }
  void erase(std::uint32_t id) { (id & kV6) != 0 ? v6_.erase(id & ~kV6) : v4_.erase(id); }
  Payload& operator[](std::uint32_t id) { return (id & kV6) != 0 ? v6_[id & ~kV6].payload : v4_[id].payload; }
  const Payload& operator[](std::uint32_t id) const {
    return (id & kV6) != 0 ? v6_[id & ~kV6].payload : v4_[id].payload;
  }
  IpPrefix prefix(std::uint32_t id) const {
    return (id & kV6) != 0 ? v6_[id & ~kV6].key.prefix() : v4_[id].key.prefix();
  }
  std::size_t size() const { return std::size_t{v4_.size()} + v6_.size(); }
  // Walks in slices: the next number in use after `after` (0: from the start); 0: the end. Numbers freed or made
  // meanwhile are met or not; none in use all the time is missed.
  std::uint32_t next(std::uint32_t after) const {
    if ((after & kV6) == 0) {
      for (auto id = after + 1; id <= v4_.top(); ++id) {
        if (v4_[id].key.used) return id;
      }
      after = kV6;
    }
    for (auto id = (after & ~kV6) + 1; id <= v6_.top(); ++id) {
      if (v6_[id].key.used) return id | kV6;
    }
    return 0;
  }

 private:
  KeyTable<KeyV4, Payload> v4_;
  KeyTable<KeyV6, Payload> v6_;
};

}  // namespace sluice::routing
