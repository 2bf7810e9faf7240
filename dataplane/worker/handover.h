// Handover: gives a packet to the worker that owns its flow, through a bounded ring for each pair of workers.
//
// Called by: lb/datapath (a reply that arrived at the wrong worker, an ICMP error that may be anybody's). Runs on:
// workers. Tested by: tests/dataplane/worker/engine_test.cc
#pragma once

#include "dataplane/packet/packet.h"

namespace sluice::worker {

class Handover {
 public:
  virtual ~Handover() = default;
  // Takes the packet over. It comes out of the other's Application::on_handover; a full ring drops it as
  // steer_ring_full. `worker` is another worker than the caller's own.
  virtual void push(unsigned worker, packet::Packet packet) = 0;
};

// How many workers have looked at a packet that goes round among them: kept in the packet itself.
inline std::uint32_t workers_passed(packet::Packet packet) { return packet.mbuf()->hash.usr; }
inline void set_workers_passed(packet::Packet packet, std::uint32_t count) { packet.mbuf()->hash.usr = count; }

}  // namespace sluice::worker
