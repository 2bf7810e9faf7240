// The decision: which of a prefix's paths are used, step by step as RFC 4271 9.1 numbers them.
//
// Called by: rib. Runs on: control thread. Follows: RFC 4271 9.1.1, 9.1.2, 9.1.2.2; RFC 4456 9; RFC 9494 4.3.
// Tested by: tests/control/bgp/decide_test.cc
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "control/bgp/attributes.h"
#include "control/routing/next_hop_resolver.h"
#include "dataplane/base/address.h"

namespace sluice::bgp {

struct DecisionSettings {
  unsigned multipath_max = 8;
  bool multipath_relax = true;
  bool always_compare_med = false;
  std::uint32_t local_as = 0;
};

// The step at which a path lost.
enum class Step : std::uint8_t {
  best,
  next_hop_unreachable,  // 9.1.2
  long_lived_stale,      // RFC 9494 4.3: only if nothing else is there
  local_pref,            // 9.1.1
  as_path_length,        // 9.1.2.2 a
  origin,                // 9.1.2.2 b
  med,                   // 9.1.2.2 c
  external,              // 9.1.2.2 d
  interior_cost,         // 9.1.2.2 e
  owner,                 // ours: the node that owns the pod block (README.md, fact 8)
  router_id,             // 9.1.2.2 f, RFC 4456: ORIGINATOR_ID in its place
  cluster_list,          // RFC 4456 9
  peer_address,          // 9.1.2.2 g
  path_id,               // ours: several paths of one neighbour (RFC 7911)
};
std::string_view text_of(Step step);  // "longer AS_PATH (9.1.2.2 a)"

struct Candidate {
  const PathAttributes* attributes = nullptr;
  unsigned as_path_length = 0;
  routing::NextHopState next_hop;
  bool internal = true;
  bool long_lived_stale = false;
  bool owner = false;
  std::uint32_t router_id = 0;
  IpAddress peer;
  std::uint32_t path_id = 0;
  std::uint32_t handle = 0;  // the caller's
  // the outcome
  Step lost_at = Step::best;
  bool multipath = false;  // used beside the best
};

// Fills in the outcome of every candidate; returns the best one's index, -1: none is valid.
int decide(std::vector<Candidate>& candidates, const DecisionSettings& settings);

}  // namespace sluice::bgp
