// ManifestReader: parses long manifests on a thread of its own, so that the control thread's timers keep their time.
//
//   ManifestReader reader(loop, [&](std::vector<ParsedManifest> parsed) { ...offer them, reload... });
//   reader.read(folder.take_waiting());
//
// One batch at a time; what comes meanwhile waits, and a newer text of a file replaces an older one that waits.
//
// Called by: control/daemon. Runs on: control thread; the parsing on its own. Tested by:
// tests/control/io/manifest_reader_test.cc
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "control/io/loop.h"
#include "control/io/manifest_folder.h"

namespace sluice::io {

class ManifestReader {
 public:
  ManifestReader(Loop& loop, std::function<void(std::vector<ParsedManifest>)> done);
  // Waits for the batch that is being read; nothing is called any more.
  ~ManifestReader();
  ManifestReader(const ManifestReader&) = delete;
  ManifestReader& operator=(const ManifestReader&) = delete;

  void read(std::vector<ManifestText> texts);
  bool busy() const { return thread_.joinable(); }

 private:
  void start();
  void finish(std::vector<ParsedManifest> parsed);

  Loop& loop_;
  std::function<void(std::vector<ParsedManifest>)> done_;
  std::map<std::string, std::string> waiting_;  // by file
  std::map<std::string, std::string> running_;
  std::thread thread_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // control thread
};

}  // namespace sluice::io
