// What lives longer than a snapshot: connection counts and traffic of every virtual server, pool, member and node.
//
// A Snapshot is replaced at each change; flows outlive it. What a flow must find again is here, at an address that
// stays: a flow keeps a MemberRuntime and a VirtualServerRuntime. How many connections are open is exact over all
// workers (one number that all change); everything else is counted per worker, in its Share, and summed by the reader.
// The Registry (control thread) makes them by name and frees them once no snapshot and no flow uses them.
//
// Called by: lb (count), control (reads). Runs on: see each member. Tested by: tests/lb/snapshot/runtime_test.cc
#pragma once

#include <array>
#include <atomic>
#include <cassert>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/counter.h"
#include "dataplane/base/time.h"
#include "lb/snapshot/http_statistics.h"
#include "lb/snapshot/words.h"

namespace sluice::lb {

// What one worker counts of an object, in a cache line of its own. "in" is from the client, "out" towards the client,
// as IP packets and their bytes.
struct alignas(64) Share {
  struct Way {
    Counter packets, bytes;
    void add(std::uint64_t length) {
      packets.add();
      bytes.add(length);
    }
  };
  Way ways[2];
  // For ConnectionCount: connections that this worker opened, and the most that it ever found open of all workers.
  Counter opened, most_open;
  // L4 flows of this worker in TIME_WAIT: they use the object, but are no connections of its any more.
  std::atomic<std::uint32_t> lingering{0};
  Way& in() { return ways[0]; }
  Way& out() { return ways[1]; }
  // With the last of them the object may go.
  void linger(bool on) {
    lingering.store(lingering.load(std::memory_order_relaxed) + (on ? 1u : ~0u), std::memory_order_release);
  }
};
static_assert(sizeof(Share) == 64);

// The traffic of all shares at one moment.
struct Traffic {
  std::uint64_t packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0;
  Traffic& operator+=(const Traffic& other);
  friend bool operator==(const Traffic&, const Traffic&) = default;
};

// The shares of all workers.
class Shares {
 public:
  explicit Shares(unsigned workers) : shares_(workers) {}
  Share& of(unsigned worker) {
    assert(worker < shares_.size());
    return shares_[worker];
  }
  unsigned workers() const { return static_cast<unsigned>(shares_.size()); }
  Traffic traffic() const;
  std::uint64_t opened() const;
  std::uint32_t most_open() const;
  std::uint32_t lingering() const;

 private:
  std::vector<Share> shares_;
};

// The counts of open connections of a pool's members (or of all nodes), side by side: 16 to a cache line. Beside them,
// per block of 64, how many connections ended there: whoever remembers the least of a block need not look again while
// that stands still (lb/balance/load_scan.h). Slots are given out and taken back by the control thread; references to
// counts stay good.
class LoadTable {
 public:
  static constexpr std::uint32_t kBlock = 64;
  static constexpr std::uint32_t kLine = 16;  // blocks whose Ended stand together
  struct alignas(64) Block {
    std::array<std::atomic<std::uint32_t>, kBlock> counts{};
  };
  struct alignas(64) Ended {
    std::array<std::atomic<std::uint32_t>, kLine> blocks{};
  };

  std::uint32_t allocate();  // the lowest free slot
  void release(std::uint32_t slot);
  std::atomic<std::uint32_t>& count(std::uint32_t slot) { return blocks_[slot / kBlock]->counts[slot % kBlock]; }
  Block& block(std::uint32_t number) { return *blocks_[number]; }
  Ended& ended(std::uint32_t block) { return *ended_[block / kLine]; }

 private:
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<std::unique_ptr<Ended>> ended_;
  std::vector<std::uint64_t> used_;  // a bit per slot, a word per block
};

// Open connections now, most ever, and all there were; exact over all workers, changed by any of them.
// How many are open is one number, for limits and balancing need it exactly: changed by locked instructions, but only
// where there is more than one worker; the only one's plain stores are as exact. The others are in the Shares.
class ConnectionCount {
 public:
  // `shares` outlives it, and so does `loads`, in a slot of which the second counts.
  explicit ConnectionCount(Shares& shares) : current_(own_), shares_(shares), alone_(shares.workers() == 1) {}
  ConnectionCount(Shares& shares, LoadTable& loads, std::uint32_t slot)
      : current_(loads.count(slot)),
        ended_(&loads.ended(slot / LoadTable::kBlock).blocks[slot / LoadTable::kBlock % LoadTable::kLine]),
        shares_(shares),
        alone_(shares.workers() == 1) {}
  ConnectionCount(const ConnectionCount&) = delete;
  ConnectionCount& operator=(const ConnectionCount&) = delete;

  // Takes one unless `limit` (0: none) are open; false then.
  bool acquire(unsigned worker, std::uint32_t limit) {
    std::uint32_t seen = current_.load(std::memory_order_relaxed);
    if (limit == 0 && !alone_) {
      seen = current_.fetch_add(1, std::memory_order_acq_rel);
    } else {
      do {
        if (limit != 0 && seen >= limit) return false;
      } while (!raise(seen));
    }
    note(worker, seen + 1);
    return true;
  }
  // Takes one only if exactly `expected` are open; else false and `expected` is what there is.
  bool acquire_from(unsigned worker, std::uint32_t& expected) {
    if (!raise(expected)) return false;
    note(worker, expected + 1);
    return true;
  }
  void release() {
    // The object may go with its last connection: what is needed behind it is read first.
    std::atomic<std::uint32_t>* const ended = ended_;
    const bool alone = alone_;
    add(alone, current_, ~0u);
    if (ended != nullptr) add(alone, *ended, 1);
  }
  // Takes an acquire() of the same worker back as if it had not been.
  void cancel(unsigned worker) {
    shares_.of(worker).opened.add(~std::uint64_t{0});
    release();
  }
  std::uint32_t current() const { return current_.load(std::memory_order_acquire); }
  std::uint32_t max() const { return shares_.most_open(); }
  std::uint64_t total() const { return shares_.opened(); }

 private:
  static void add(bool alone, std::atomic<std::uint32_t>& number, std::uint32_t n) {
    if (alone) {
      number.store(number.load(std::memory_order_relaxed) + n, std::memory_order_release);
    } else {
      number.fetch_add(n, std::memory_order_acq_rel);
    }
  }
  // From `expected` to one more; else false and `expected` is what there is.
  bool raise(std::uint32_t& expected) {
    if (!alone_) {
      return current_.compare_exchange_strong(expected, expected + 1, std::memory_order_acq_rel,
                                              std::memory_order_relaxed);
    }
    const std::uint32_t seen = current_.load(std::memory_order_relaxed);
    if (seen == expected) {
      current_.store(seen + 1, std::memory_order_release);
      return true;
    }
    expected = seen;
    return false;
  }
  // Somebody saw every number that there was, and this worker saw this one.
  void note(unsigned worker, std::uint32_t now_open) {
    Share& share = shares_.of(worker);
    share.opened.add();
    if (share.most_open.get() < now_open) share.most_open.set(now_open);
  }

  std::atomic<std::uint32_t>& current_;
  std::atomic<std::uint32_t>* ended_ = nullptr;
  Shares& shares_;
  const bool alone_;
  std::atomic<std::uint32_t> own_{0};
};

// One address over all pools.
struct NodeRuntime {
  NodeRuntime(Ipv4Address a, std::shared_ptr<LoadTable> table, unsigned workers)
      : address(a),
        loads(std::move(table)),
        slot(loads->allocate()),
        shares(workers),
        connections(shares, *loads, slot) {}
  ~NodeRuntime() { loads->release(slot); }
  NodeRuntime(const NodeRuntime&) = delete;
  NodeRuntime& operator=(const NodeRuntime&) = delete;
  const Ipv4Address address;
  const std::shared_ptr<LoadTable> loads;  // of all nodes
  const std::uint32_t slot;                // in it
  Shares shares;                           // no traffic: members count that
  ConnectionCount connections;
};

struct PoolRuntime {
  PoolRuntime(std::string n, unsigned workers) : name(std::move(n)), shares(workers), connections(shares) {}
  const std::string name;
  Shares shares;  // no traffic: members count that
  ConnectionCount connections;
  Traffic retired;  // of members that are freed; control thread only (see Registry::pool_traffic)
  LoadTable loads;
};

// What happens to a member's flows now; set by the Builder when the member goes down or comes back.
enum class FlowsOnDown : std::uint8_t { keep, reject, drop, reselect };

struct MemberRuntime {
  MemberRuntime(std::uint32_t i, Ipv4Endpoint e, std::shared_ptr<PoolRuntime> p, std::shared_ptr<NodeRuntime> n,
                unsigned workers)
      : id(i),
        endpoint(e),
        pool(std::move(p)),
        node(std::move(n)),
        slot(pool->loads.allocate()),
        shares(workers),
        connections(shares, pool->loads, slot) {}
  ~MemberRuntime() { pool->loads.release(slot); }
  MemberRuntime(const MemberRuntime&) = delete;
  MemberRuntime& operator=(const MemberRuntime&) = delete;
  // Never used again for another member while the process runs.
  const std::uint32_t id;
  const Ipv4Endpoint endpoint;
  const std::shared_ptr<PoolRuntime> pool;
  const std::shared_ptr<NodeRuntime> node;
  const std::uint32_t slot;  // in pool->loads
  Shares shares;
  ConnectionCount connections;
  std::atomic<FlowsOnDown> flows_on_down{FlowsOnDown::keep};
  // Open server-side conns that wait for a request (OneConnect): they use the object, but are no connections of its.
  std::atomic<std::uint32_t> idle_conns{0};

  // Takes one connection of member, node and pool; false (and nothing taken) at `limit` (0: none).
  bool acquire(unsigned worker, std::uint32_t limit) {
    if (!connections.acquire(worker, limit)) return false;
    acquire_parents(worker);
    return true;
  }
  // What every acquire() ends with. With its last connection the object may go, and node and pool with theirs: the
  // pool, whose table has our count, comes last.
  void release() {
    NodeRuntime& our_node = *node;
    PoolRuntime& our_pool = *pool;
    connections.release();
    our_node.connections.release();
    our_pool.connections.release();
  }
  void acquire_parents(unsigned worker) {
    node->connections.acquire(worker, 0);
    pool->connections.acquire(worker, 0);
  }

  // Control thread only: since when the member takes new connections (kInstantMax: it does not), and how it ramps up.
  Instant ready_since = kInstantMax;
  Instant ramp_end{Instant::min()};
};

// Something immutable of a snapshot that connections go on using when the snapshot is gone; `users` are those.
struct Retained : std::enable_shared_from_this<Retained> {
  virtual ~Retained() = default;
  mutable std::atomic<std::uint32_t> users{0};
};

struct VirtualServerRuntime {
  VirtualServerRuntime(std::uint32_t i, std::string n, unsigned workers)
      : id(i), name(std::move(n)), shares(workers), connections(shares), http(workers) {}
  const std::uint32_t id;  // never used again
  const std::string name;
  Shares shares;
  ConnectionCount connections;
  // Its clients' flows are where owner_of_client() says (lb/l4): it has no SNAT, or had none and may have flows from
  // then.
  std::atomic<bool> owned_by_client{false};
  // Client-side handshakes of mode http that are not complete: they use the object, but are no connections yet.
  std::atomic<std::uint32_t> half_open{0};
  HttpTable http;

  // The timeouts of today's configuration, for flows of any age.
  struct Idle {
    std::atomic<Duration> established{300s}, half_open{10s}, closing{5s}, time_wait{2s}, udp{60s};
  } idle;
};

// All of them by name. Control thread only.
class Registry {
 public:
  explicit Registry(unsigned workers) : workers_(workers) {}
  unsigned workers() const { return workers_; }

  std::shared_ptr<VirtualServerRuntime> virtual_server(const std::string& name);
  std::shared_ptr<PoolRuntime> pool(const std::string& name);
  std::shared_ptr<NodeRuntime> node(Ipv4Address address);
  std::shared_ptr<MemberRuntime> member(const std::string& pool_name, Ipv4Endpoint endpoint);

  // Keeps it until no snapshot refers to it and it has no users.
  void retain(std::shared_ptr<const Retained> object);

  // Frees what no snapshot refers to any more and no flow is open on; call after a snapshot was freed, and now and
  // then while flows of removed members end. Returns how many it freed.
  std::size_t collect();
  // Of all members that the pool has and had.
  Traffic pool_traffic(const std::string& pool_name) const;
  std::size_t size() const;

 private:
  struct MemberKey {
    std::string pool;
    Ipv4Endpoint endpoint;
    friend auto operator<=>(const MemberKey&, const MemberKey&) = default;
  };
  unsigned workers_;
  std::uint32_t next_id_ = 1;
  std::map<std::string, std::shared_ptr<VirtualServerRuntime>> virtual_servers_;
  std::vector<std::shared_ptr<const Retained>> retained_;
  std::map<std::string, std::shared_ptr<PoolRuntime>> pools_;
  std::shared_ptr<LoadTable> node_loads_ = std::make_shared<LoadTable>();
  std::map<Ipv4Address, std::shared_ptr<NodeRuntime>> nodes_;
  std::map<MemberKey, std::shared_ptr<MemberRuntime>> members_;
};

}  // namespace sluice::lb
