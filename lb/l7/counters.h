// ProxyCounters: what a worker's proxy did, over all virtual servers.
//
// Called by: lb/l7 (counts), control (reads). Runs on: the worker writes, any thread reads.
#pragma once

#include "dataplane/base/counter.h"

namespace sluice::lb {

struct ProxyCounters {
  Counter sessions_open;     // now: a level
  Counter conns, half_open;  // now: levels; of the TCP stack
  Counter idle_servers;      // now: a level; OneConnect
  Counter sessions_created;  // client connections whose handshake completed and that were let in
  Counter refused_limit;     // at the virtual server's connection limit or rate
  Counter refused_memory;    // no session or conn was free
  Counter relieved;          // conns reset because packet buffers ran out and they held most of them
  Counter service_down;      // ended or moved because their member went down
  Counter idle_closed;       // idle server conns closed: age, limit, or by the member
};

}  // namespace sluice::lb
