// Which worker owns the flows of a client that members see by its own address (snat none), whoever receives the
// packets.
//
// With SNAT a reply's destination port is one of ours and tells its worker (snat_ports.h). Without, a reply carries
// only what the client chose, so the client's address and port decide: its packets and the replies to them arrive at
// any worker and are handed over to this one. The hash has no secret, for a restarted process must find the same
// owners.
//
// Called by: lb/datapath. Runs on: workers. Follows: -. Tested by: tests/lb/datapath/workers_test.cc
#pragma once

#include "dataplane/base/hash.h"

namespace sluice::lb {

inline unsigned owner_of_client(Ipv4Address address, std::uint16_t port, unsigned workers) {
  return hash_to_range(hash_u64({}, std::uint64_t{address.value} << 16 | port), workers);
}

}  // namespace sluice::lb
