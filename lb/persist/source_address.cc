// The shared table of source-address persistence; see source_address.h.
#include "lb/persist/source_address.h"

#include <emmintrin.h>

#include <bit>

namespace sluice::lb {

class SourceAddressTable::Lock {
 public:
  explicit Lock(const Bucket& bucket) : locked_(bucket.locked) {
    while (locked_.exchange(true, std::memory_order_acquire)) {
      while (locked_.load(std::memory_order_relaxed)) _mm_pause();
    }
  }
  ~Lock() { locked_.store(false, std::memory_order_release); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  std::atomic<bool>& locked_;
};

SourceAddressTable::SourceAddressTable(std::uint32_t records_max, const HashSeed& seed)
    : seed_(seed),
      bucket_count_(std::bit_ceil(std::size_t{records_max} / kWays + 1)),
      buckets_(std::make_unique<Bucket[]>(bucket_count_)) {}

SourceAddressTable::Bucket& SourceAddressTable::bucket_of(std::uint32_t virtual_server_id, Ipv4Address client) const {
  return buckets_[hash_u64(seed_, std::uint64_t{virtual_server_id} << 32 | client.value) & (bucket_count_ - 1)];
}

std::uint32_t SourceAddressTable::use(Instant now, std::uint32_t virtual_server_id, Ipv4Address client,
                                      Duration timeout) {
  Bucket& bucket = bucket_of(virtual_server_id, client);
  const Lock lock(bucket);
  for (Slot& slot : bucket.slots) {
    if (slot.virtual_server_id != virtual_server_id || slot.client != client) continue;
    // Modulo 2^32 ticks of a millisecond: 26 days into the past, and a step back is no age.
    const auto age = static_cast<std::int32_t>(tick(now) - slot.last_used);
    if (age < -1 || (std::int64_t{age} << 20) > timeout.count()) {
      slot = {};
      return kNoPersistentMember;
    }
    slot.last_used = tick(now);
    return slot.member_id;
  }
  return kNoPersistentMember;
}

void SourceAddressTable::put(Instant now, std::uint32_t virtual_server_id, Ipv4Address client,
                             std::uint32_t member_id) {
  Bucket& bucket = bucket_of(virtual_server_id, client);
  const Lock lock(bucket);
  Slot* place = nullptr;
  for (Slot& slot : bucket.slots) {
    if (slot.virtual_server_id == virtual_server_id && slot.client == client) {
      place = &slot;
      break;
    }
    const auto unused = [&](const Slot& s) {
      return s.virtual_server_id == 0 ? ~std::uint32_t{0} : tick(now) - s.last_used;
    };
    if (place == nullptr || unused(slot) > unused(*place)) place = &slot;
  }
  if (place->virtual_server_id != 0 && (place->virtual_server_id != virtual_server_id || place->client != client)) {
    evicted_.fetch_add(1, std::memory_order_relaxed);
  }
  *place = {virtual_server_id, client, member_id, tick(now)};
}

std::vector<SourceAddressTable::Record> SourceAddressTable::list(Instant now) const {
  std::vector<Record> records;
  for (std::size_t b = 0; b < bucket_count_; ++b) {
    const Lock lock(buckets_[b]);
    for (const Slot& slot : buckets_[b].slots) {
      if (slot.virtual_server_id == 0) continue;
      const auto age = static_cast<std::int32_t>(tick(now) - slot.last_used);
      records.push_back({slot.virtual_server_id, slot.client, slot.member_id, Duration(std::int64_t{age} << 20)});
    }
  }
  return records;
}

}  // namespace sluice::lb
