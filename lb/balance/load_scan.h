// LoadScan: the slot of a LoadTable with the least (connections + 1) x weight, without reading every count each time.
//
//   LoadScan scan(loads, workers);
//   scan.add(member.runtime->slot, weight, limit);           // control thread: for each one that may be picked
//   const auto found = scan.search(worker);                  // worker; found.slot == kNoSlot: all are at their limit
//   if (take(found.slot, from found.count)) scan.took(worker, found.slot);  // else somebody was faster: search again
//
// Every worker remembers for each block of 64 counts a bound that no count of it lies below. Connections that open only
// raise counts, so the bound stays true; connections that end are counted per block beside the LoadTable, 16 blocks to
// a cache line, and a block whose number moved is read anew. So a search compares a few cache lines, reads the blocks
// in which something ended since, and the block it finds. Exact: whoever takes the slot does so by compare-and-swap
// from the very count that won, so that with open connections only the spread is never more than 1, whatever the
// workers do. Ties rotate: a search begins behind the last slot taken.
//
// Called by: lb/balance/least_connections*. Runs on: workers (search …), control thread (add).
// Tested by: tests/lb/balance/least_connections_test.cc, threads_test.cc. Cost: bench/micro/balance_bench.cc
#pragma once

#include <vector>

#include "lb/balance/state.h"

namespace sluice::lb::balance {

class LoadScan {
 public:
  static constexpr std::uint32_t kNoSlot = 0xffffffff;

  // `loads` outlives it.
  LoadScan(LoadTable& loads, unsigned workers) : loads_(loads), looks_(workers) {}

  // ---- control thread, before any search
  // `limit`: open connections from which on it takes no more; 0: none. Adding a slot again replaces it.
  void add(std::uint32_t slot, float weight, std::uint32_t limit);

  // ---- workers
  struct Found {
    std::uint32_t slot = kNoSlot;
    std::uint32_t count = 0;  // its open connections
  };
  Found search(unsigned worker);
  void took(unsigned worker, std::uint32_t slot);
  // Every worker does it for itself; all write the same.
  void set_weight(unsigned worker, std::uint32_t slot, float weight);

 private:
  static constexpr std::uint32_t kBlock = LoadTable::kBlock;
  static constexpr std::uint32_t kLine = LoadTable::kLine;
  static constexpr std::uint32_t kNoView = 0xffffffff;
  static constexpr std::uint32_t kNoPlace = 0xffffffff;

  // One block of the table as its user sees it.
  struct alignas(64) View {
    std::array<float, kBlock> weights;        // kOut: not for us
    std::array<std::int32_t, kBlock> limits;  // open connections from which on it takes no more
    const LoadTable::Block* block;
    std::uint32_t first_slot, place;
    std::uint32_t used;  // slots up to here may be ours; a multiple of 4
  };
  // 16 neighbouring blocks: what counts the connections that ended in them, and which of them we look at.
  struct Line {
    const LoadTable::Ended* ended;
    std::uint32_t number;   // of 16 blocks each, in the table
    std::uint32_t watched;  // a bit per block
  };
  // What a worker knows. A place is a block's: index in lines_ x 16 + block in the line.
  struct Look {
    std::vector<std::uint32_t> ended;   // by place: the number seen before its counts were read
    std::vector<std::int32_t> least;    // by place: no score there is below
    std::uint32_t place = 0, slot = 0;  // where the next search begins; slot: in the block
    std::uint32_t fresh = kNoPlace;     // the place read last in this search, if it was, and
    std::uint64_t fresh_slots = 0;      // which slots have its least score
  };
  // The least score of a block (scores are the bits of positive floats: they order alike), and which slots have it.
  struct Scan {
    std::int32_t least;
    std::uint64_t slots;
  };

  std::uint32_t line_of(std::uint32_t number);
  std::uint32_t place_of(std::uint32_t slot) const;
  static std::int32_t score_of(const View& view, std::uint32_t slot, std::uint32_t count);
  static Scan scan(const View& view);
  Found found_in(const View& view, std::uint64_t slots, std::int32_t wanted) const;
  void note_ended(Look& look) const;
  Scan read(Look& look, std::uint32_t place) const;

  LoadTable& loads_;
  std::vector<Line> lines_;
  std::vector<std::uint32_t> view_of_;  // by place: index in views_
  std::vector<View> views_;
  PerWorker<Look> looks_;
};

}  // namespace sluice::lb::balance
