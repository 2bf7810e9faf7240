// SavedFlow: an L4 flow as one process leaves it to the next: values only, no pointer and no number of this process.
//
// Called by: lb/datapath (makes and restores), control/daemon/restart_state (carries). Runs on: any thread: plain
// values. Tested by: tests/lb/datapath/handover_test.cc
#pragma once

#include <string>
#include <type_traits>

#include "lb/l4/flow.h"

namespace sluice::lb {

// The part that is copied as bytes, between two processes of one program.
struct SavedFlowFacts {
  flow::FlowKey keys[2];
  TcpSide sides[2];
  std::uint64_t bytes[2]{};
  std::uint32_t packets[2]{};
  FlowState state = FlowState::syn_sent;
  std::uint8_t flags = 0;
  std::uint8_t scale[2]{};
  Ipv4Endpoint member;
};
static_assert(std::is_trivially_copyable_v<SavedFlowFacts>);

struct SavedFlow {
  SavedFlowFacts facts;
  std::string virtual_server;  // by name: numbers begin anew
  std::string pool;
};

}  // namespace sluice::lb
