// Source-address persistence: which member a client last used, per virtual server, for all workers together.
//
// A client's connections reach several workers, so the records are shared: a table of fixed size in buckets of eight,
// each guarded by a spin lock that is held for nanoseconds and only when a connection opens. A record ages from its
// last use; a full bucket gives up its longest unused one.
//
// Called by: lb/l4. Runs on: workers (any of them), control thread (list, clear). Follows: F5 BIG-IP source_addr.
// Tested by: tests/lb/persist/source_address_test.cc
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/hash.h"
#include "dataplane/base/time.h"

namespace sluice::lb {

inline constexpr std::uint32_t kNoPersistentMember = 0;  // MemberRuntime ids begin at 1

class SourceAddressTable {
 public:
  // Room for at least `records_max`.
  SourceAddressTable(std::uint32_t records_max, const HashSeed& seed);

  // The member's id, and the record is used now; kNoPersistentMember when there is none younger than `timeout`.
  std::uint32_t use(Instant now, std::uint32_t virtual_server_id, Ipv4Address client, Duration timeout);
  // Remembers, in place of what was remembered.
  void put(Instant now, std::uint32_t virtual_server_id, Ipv4Address client, std::uint32_t member_id);

  struct Record {
    std::uint32_t virtual_server_id = 0;
    Ipv4Address client;
    std::uint32_t member_id = kNoPersistentMember;
    Duration age{};
  };
  // All records, whatever their virtual server's timeout.
  std::vector<Record> list(Instant now) const;
  std::size_t capacity() const { return bucket_count_ * kWays; }
  std::uint64_t evicted() const { return evicted_.load(std::memory_order_relaxed); }  // unexpired or not

 private:
  static constexpr unsigned kWays = 8;
  struct Slot {
    std::uint32_t virtual_server_id = 0;  // 0: free
    Ipv4Address client;
    std::uint32_t member_id = kNoPersistentMember;
    std::uint32_t last_used = 0;  // ticks
  };
  struct alignas(64) Bucket {
    Slot slots[kWays];
    mutable std::atomic<bool> locked{false};
  };
  class Lock;

  Bucket& bucket_of(std::uint32_t virtual_server_id, Ipv4Address client) const;
  static std::uint32_t tick(Instant now) { return static_cast<std::uint32_t>(to_ns(now) >> 20); }

  HashSeed seed_;
  std::size_t bucket_count_;
  std::unique_ptr<Bucket[]> buckets_;
  std::atomic<std::uint64_t> evicted_{0};
};

}  // namespace sluice::lb
