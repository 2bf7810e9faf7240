// consistent-hash: the client's address chooses the member by a Maglev table; no state, and few clients move when
// members come and go.
//
// Follows: Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), §3.4. The seeds
// are fixed, so that every worker, and a second device with the same pool, choose alike. A full member's clients go to
// the next other one in the table.
#include <algorithm>

#include "dataplane/base/hash.h"
#include "lb/balance/state.h"

namespace sluice::lb::balance {
namespace {

constexpr HashSeed kOffsetSeed{0x51a1ce0000000001, 0x6d61676c65760001};
constexpr HashSeed kSkipSeed{0x51a1ce0000000002, 0x6d61676c65760002};
constexpr HashSeed kClientSeed{0x51a1ce0000000003, 0x6d61676c65760003};
constexpr unsigned kTriesMax = 256;  // table entries looked at for a member that is not full

struct MaglevState : BalanceState {
  std::vector<std::uint32_t> table;  // indexes into Pool::members
};

// A prime of at least 100 entries a member keeps the shares within a percent of each other.
std::uint32_t table_size(std::size_t members) {
  for (const std::uint32_t prime : {1021u, 10007u, 65537u, 655373u}) {
    if (prime >= members * 100) return prime;
  }
  return 6553577;
}

std::unique_ptr<BalanceState> make_state(const Pool& pool, const Tier& tier, unsigned) {
  auto state = std::make_unique<MaglevState>();
  const std::uint32_t size = table_size(tier.members.size());
  // The order of members must not depend on the order in which the user lists them.
  std::vector<std::uint32_t> members = tier.members;
  std::ranges::sort(members, {}, [&](std::uint32_t i) { return pool.members[i].endpoint; });
  struct Permutation {
    std::uint32_t position, skip;
  };
  std::vector<Permutation> permutations;
  for (const std::uint32_t i : members) {
    const Ipv4Endpoint endpoint = pool.members[i].endpoint;
    const std::uint64_t name = std::uint64_t{endpoint.address.value} << 16 | endpoint.port;
    permutations.push_back(
        {hash_to_range(hash_u64(kOffsetSeed, name), size), hash_to_range(hash_u64(kSkipSeed, name), size - 1) + 1});
  }
  state->table.assign(size, kNoMember);
  for (std::uint32_t filled = 0; filled < size;) {
    for (std::size_t m = 0; m < members.size() && filled < size; ++m) {
      Permutation& p = permutations[m];
      while (state->table[p.position] != kNoMember) p.position = (p.position + p.skip) % size;
      state->table[p.position] = members[m];
      ++filled;
    }
  }
  return state;
}

const Member* pick(const Pool& pool, const Tier& tier, const PickRequest& request) {
  const auto& table = static_cast<MaglevState&>(*tier.balance_state).table;
  const auto size = static_cast<std::uint32_t>(table.size());
  std::uint32_t at = hash_to_range(hash_address(kClientSeed, request.client), size);
  std::uint32_t last = kNoMember;
  const auto takes_it = [&](std::uint32_t i) {
    return pool.members[i].runtime->acquire(request.worker, pool.members[i].connection_limit);
  };
  for (unsigned tries = 0; tries < kTriesMax; ++tries, at = at + 1 < size ? at + 1 : 0) {
    if (table[at] == last) continue;
    last = table[at];
    if (takes_it(last)) return &pool.members[last];
  }
  for (const std::uint32_t i : tier.members) {
    if (takes_it(i)) return &pool.members[i];
  }
  return nullptr;
}

}  // namespace

const BalanceOps kMaglev{"consistent-hash", make_state, pick};

}  // namespace sluice::lb::balance
