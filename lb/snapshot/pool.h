// Pool and its Members as a worker reads them: immutable, except for the balancing state that workers share.
//
// Called by: lb/balance, lb/datapath, control/admin (show). Runs on: control thread builds, workers read.
// Tested by: tests/lb/snapshot/builder_test.cc
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/time.h"
#include "lb/snapshot/runtime.h"
#include "lb/snapshot/status.h"
#include "lb/snapshot/words.h"

namespace sluice::lb {

struct MemberSpec {
  Ipv4Endpoint endpoint;
  std::uint32_t ratio = 1;             // 1..65535
  std::uint32_t connection_limit = 0;  // 0: none
  std::uint32_t priority_group = 0;    // higher is preferred
  MemberState state = MemberState::enabled;
  MonitorVerdict verdict;
  // It serves, as far as anybody knows: `checking` is no such knowledge.
  bool is_known_fit() const {
    return verdict.status == MonitorStatus::up || verdict.status == MonitorStatus::unchecked;
  }
  // Equal for balancing: the monitor's words do not count.
  friend bool operator==(const MemberSpec& a, const MemberSpec& b) {
    return a.endpoint == b.endpoint && a.ratio == b.ratio && a.connection_limit == b.connection_limit &&
           a.priority_group == b.priority_group && a.state == b.state && a.verdict.status == b.verdict.status &&
           a.verdict.session_disabled == b.verdict.session_disabled;
  }
};

struct PoolSpec {
  std::string name;
  std::string partition = "Common";
  Balance balance = Balance::round_robin;
  std::vector<MemberSpec> members;
  std::uint32_t min_active_members = 0;  // 0: priority groups are off
  Duration slow_ramp = 10s;              // 0: off
  ServiceDownAction service_down = ServiceDownAction::none;
  friend bool operator==(const PoolSpec&, const PoolSpec&) = default;
};

inline constexpr std::uint32_t kNoMember = 0xffffffff;

struct Member {
  MemberRuntime* runtime = nullptr;  // owned by the pool's `runtimes`
  Ipv4Endpoint endpoint;
  std::uint32_t ratio = 1;
  std::uint32_t connection_limit = 0;
  bool takes_new = false;         // new connections of anybody
  bool takes_persistent = false;  // new connections of clients with a persistence record
  Instant ramp_start{Instant::min()};
  Instant ramp_end{Instant::min()};  // before it the member takes less than its share

  bool ramping(Instant now) const { return now < ramp_end; }
};

// What an algorithm keeps for one tier of a pool; each algorithm derives its own (lb/balance).
class BalanceState {
 public:
  virtual ~BalanceState() = default;
};

// Members that are tried together. A lower tier is tried when no member of the higher ones can take a connection.
struct Tier {
  std::vector<std::uint32_t> members;  // indexes into Pool::members
  std::unique_ptr<BalanceState> balance_state;
};

struct Pool {
  PoolSpec spec;
  std::vector<Member> members;  // in the order of spec.members
  std::vector<Tier> tiers;      // the members that take new connections, best first
  std::shared_ptr<PoolRuntime> runtime;
  std::vector<std::shared_ptr<MemberRuntime>> runtimes;
  std::unordered_map<std::uint32_t, std::uint32_t> index_of_id;  // MemberRuntime::id -> index into members

  const Member* member_by_id(std::uint32_t id) const {
    const auto found = index_of_id.find(id);
    return found == index_of_id.end() ? nullptr : &members[found->second];
  }
};

}  // namespace sluice::lb
