// Neighbor entries that one worker learned, passed on to the others: with RSS only one of them hears an ARP answer.
//
// Called by: control/daemon/daemon, ten times a second. Runs on: control thread; pieces on each worker.
// Tested by: tests/lab (several workers)
#pragma once

#include "control/daemon/packet_engine.h"

namespace sluice::daemon {

class Neighbors {
 public:
  explicit Neighbors(PacketEngine& engine) : engine_(engine) {}
  // Asks every worker what it learned, and tells the others; nothing to do with one worker.
  void exchange();

 private:
  PacketEngine& engine_;
  bool asking_ = false;
};

}  // namespace sluice::daemon
