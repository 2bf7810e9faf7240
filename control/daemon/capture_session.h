// One running capture: starts it on the workers, writes it out, reports, ends it.
//
// Called by: control/daemon/backend. Runs on: control thread. Tested by: tests/lab
#pragma once

#include <memory>

#include "control/admin/backend.h"
#include "control/daemon/packet_engine.h"
#include "control/io/loop.h"
#include "dataplane/port/capture.h"

namespace sluice::daemon {

// At most one runs at a time: the engine's packets are copied once.
class CaptureSession {
 public:
  CaptureSession(io::Loop& loop, PacketEngine& engine) : loop_(loop), engine_(engine) {}
  ~CaptureSession() { stop("sluiced is shutting down"); }

  // Lines to the stream: {"event":"start","path"}, {"captured","lost"} now and then, the last with "done":true.
  Status start(const admin::CaptureRequest& request, std::shared_ptr<admin::Stream> stream);
  void stop(const std::string& why);
  bool running() const { return capture_ != nullptr; }

 private:
  void tick();
  void report(bool last, const std::string& fatal);

  io::Loop& loop_;
  PacketEngine& engine_;
  std::unique_ptr<port::Capture> capture_;
  std::shared_ptr<admin::Stream> stream_;
  std::unique_ptr<io::Ticker> ticker_;
  unsigned ticks_ = 0;
};

}  // namespace sluice::daemon
