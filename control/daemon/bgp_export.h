// What leaves sluiced about BGP: MRT files, a BMP station's feed, a recording of the speaker's inputs.
//
// Called by: control/daemon/daemon, control/daemon/backend. Runs on: control thread. Follows: RFC 6396, RFC 7854.
// Tested by: tests/interop/bgp_export.py; its parts in tests/control/bgp/{export,recording}_test.cc,
// tests/control/io/bmp_client_test.cc
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "control/bgp/recording.h"
#include "control/config/model.h"
#include "control/io/bmp_client.h"
#include "control/io/loop.h"

namespace sluice::daemon {

class BgpControl;

class BgpExport {
 public:
  BgpExport(io::Loop& loop, BgpControl& bgp);
  ~BgpExport();
  BgpExport(const BgpExport&) = delete;
  BgpExport& operator=(const BgpExport&) = delete;

  // Everything from now on goes into this file. Before the first configure() of BGP.
  Status record(const std::string& path);
  // What the recording has for the next change of BGP's settings.
  void note_configuration(const config::Config& config);
  // Files are opened, the station is called. What cannot be opened is logged; BGP goes on without.
  void configure(const config::Config& config);
  // SIGHUP: the log of updates goes on in a file of its name, which whoever rotates files has moved away.
  void reopen();
  // `sluicectl dump bgp rib`: the answer (routes written) comes when the file is whole.
  struct Dumped {
    std::uint64_t prefixes = 0, bytes = 0;
  };
  void dump_rib(const std::string& path, std::function<void(Result<Dumped>)> answer);
  // Every few ms: a slice of a dump, and what BMP has waiting.
  void poll(Instant now);
  // The end.
  void stop();

 private:
  class File;
  struct Dump;
  void start_bmp(const config::BgpBmp& bmp);
  void open_updates(Instant now);
  void slice(Instant now);
  void finish(Result<Dumped> result);

  io::Loop& loop_;
  BgpControl& bgp_;
  config::BgpMrt mrt_;
  config::BgpBmp bmp_;
  std::uint32_t router_id_ = 0;
  std::unique_ptr<File> updates_file_, recording_file_;
  std::unique_ptr<bgp::MrtLog> updates_;
  std::unique_ptr<bgp::Recorder> recorder_;
  std::unique_ptr<Dump> dump_;
  Instant next_rib_ = kInstantMax, next_updates_ = kInstantMax, next_statistics_ = kInstantMax, next_flush_{};
  std::unique_ptr<bgp::BmpFeed> feed_;
  std::unique_ptr<io::BmpClient> client_;
};

// `sluiced --replay-bgp FILE`: plays it, prints what came of it; the exit code.
int replay_bgp(const std::string& path);

}  // namespace sluice::daemon
