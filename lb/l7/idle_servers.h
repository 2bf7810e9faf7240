// IdleServers: server-side conns that wait for a request, by member and virtual server (OneConnect).
//
// The one used last is taken first: it is the warmest, and the others grow old and go. Bounded; the longest unused one
// makes room. A member with idle conns keeps its MemberRuntime (idle_conns), but they are no connections of it.
//
// Called by: lb/l7/proxy. Runs on: the worker that owns it. Follows: F5 OneConnect. Tested by:
// tests/lb/l7/oneconnect_test.cc
#pragma once

#include <memory>
#include <vector>

#include "dataplane/base/slab.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/tcp/conn.h"
#include "lb/snapshot/runtime.h"

namespace sluice::lb {

struct IdleServer : Timer {
  tcp::Conn* conn = nullptr;
  MemberRuntime* member = nullptr;
  std::uint32_t virtual_server_id = 0;
  std::uint32_t requests = 0;  // served so far
  Instant opened_at{};
  SlabHandle self;
  IdleServer* bucket_next = nullptr;
  IdleServer* bucket_previous = nullptr;
  IdleServer* older = nullptr;
  IdleServer* newer = nullptr;
};

class IdleServers {
 public:
  IdleServers(Instant start, std::uint32_t capacity)
      : slab_(capacity), wheel_(start, 10ms), buckets_(std::bit_ceil(std::size_t{capacity})) {}
  ~IdleServers() {
    while (oldest_) remove(*oldest_);
  }

  // Null: full.
  IdleServer* add(const IdleServer& like, Instant expires_at);
  // The one used last, or null; it stays in until remove().
  IdleServer* find(const MemberRuntime& member, std::uint32_t virtual_server_id);
  void remove(IdleServer& idle);
  IdleServer* oldest() { return oldest_; }
  std::uint32_t size() const { return slab_.size(); }

  // Calls fn(IdleServer&), which removes it, for those whose time is over.
  template <typename Fn>
  void expire(Instant now, std::size_t work_max, Fn fn) {
    wheel_.expire(now, work_max, [&](Timer& timer) { fn(static_cast<IdleServer&>(timer)); });
  }
  Instant next_timer() const { return wheel_.next_deadline(); }

 private:
  std::size_t bucket_of(std::uint32_t member_id, std::uint32_t virtual_server_id) const {
    return (member_id * 0x9e3779b9u ^ virtual_server_id * 0x85ebca6bu) & (buckets_.size() - 1);
  }

  Slab<IdleServer> slab_;
  TimerWheel wheel_;
  std::vector<IdleServer*> buckets_;
  IdleServer* oldest_ = nullptr;
  IdleServer* newest_ = nullptr;
};

}  // namespace sluice::lb
