// DatapathCounters: what a worker's packet path did, beside what it dropped.
//
// Called by: lb/l4, lb/datapath (count), control/admin (reads). Runs on: the worker writes, any thread reads.
#pragma once

#include "dataplane/base/counter.h"

namespace sluice::lb {

struct DatapathCounters {
  Counter flows_open;                                                // now: a level, not a count
  Counter flows_created, flows_ended, flows_expired, flows_evicted;  // evicted: embryonic ones that made room
  Counter resets_sent;                                               // TCP RST of our own making
  Counter unreachables_sent;                                         // ICMP errors of our own making, any type
  Counter icmp_errors_translated;
  Counter echo_replies;
  Counter host_packets_in, host_packets_out;  // from and to the kernel side
  Counter handed_over;                        // packets of flows that another worker owns
  // With several workers: reassembled packets to a virtual server of which no worker knew the flow. Whole ones of the
  // same client may arrive at another worker and have a flow of their own there.
  Counter fragments_without_flow;
  Counter service_down_flows;  // ended or moved because their member went down
};

}  // namespace sluice::lb
