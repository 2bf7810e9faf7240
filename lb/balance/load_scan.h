// LoadScan: the member with the least (connections + 1) x weight, found by reading all counts side by side.
//
// The least-connections algorithms differ only in the weight. Counts stand in the pool's LoadTable, 16 to a cache line,
// weights and limits in the same order beside them; a scan is a few instructions for four members. Whoever is picked is
// taken by compare-and-swap from the very count that won: had another worker taken it meanwhile, the scan starts
// again. So when connections only open, the spread over the members is never more than 1, whatever the workers do.
// Ties rotate: the search begins behind the last one picked.
//
// Called by: lb/balance/*_connections_*. Runs on: workers (pick), control thread (constructor).
// Tested by: tests/lb/balance/least_connections_test.cc, least_connections_threads_test.cc
#pragma once

#include <vector>

#include "lb/balance/state.h"

namespace sluice::lb::balance {

class LoadScan : public BalanceState {
 public:
  using Weight = float (*)(const Member& member);
  LoadScan(const Pool& pool, const Tier& tier, unsigned workers, Weight weight);
  const Member* pick(const Pool& pool, const PickRequest& request);

 private:
  static constexpr std::uint32_t kBlock = LoadTable::kBlock;
  // One block of the LoadTable as this tier sees it.
  struct alignas(64) View {
    std::array<float, kBlock> weights;          // kOut: not in this tier
    std::array<std::int32_t, kBlock> limits;    // open connections from which on it takes no more
    std::array<std::uint32_t, kBlock> members;  // indexes into Pool::members
    LoadTable::Block* block;
  };
  struct Cursor {
    std::uint32_t view = 0, slot = 0;  // where the next search begins
    Instant ramp_refresh{Instant::min()};
  };
  struct Best {
    std::int32_t score;  // bits of a positive float: they order as the floats do
    std::uint32_t view, slot, count;
  };

  static std::int32_t score_of(const View& view, std::uint32_t slot, std::uint32_t& count);
  static std::int32_t least_in(const View& view);
  Best search(const Cursor& cursor) const;
  void refresh_ramps(const Pool& pool, Instant now);

  Weight weight_;
  std::vector<View> views_;
  struct Ramping {
    std::uint32_t view, slot;
  };
  std::vector<Ramping> ramping_;
  Instant ramps_end_{Instant::min()};
  PerWorker<Cursor> cursors_;
};

}  // namespace sluice::lb::balance
