// ManifestFolder: brings an ObjectStore in line with the *.yaml, *.yml and *.json files of a folder.
//
// Called by: control/daemon, at start and after each FileWatch callback. Runs on: control thread.
// Tested by: tests/control/io/manifest_folder_test.cc
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "control/k8s/object_store.h"
#include "dataplane/base/result.h"

namespace sluice::io {

struct ManifestText {
  std::string file, text;
};
struct ParsedManifest : ManifestText {
  std::shared_ptr<k8s::ObjectStore::Parsed> parsed;
};

class ManifestFolder {
 public:
  // YAML is read at about a megabyte a second. One sync() reads at most so much; what is more waits in take_waiting(),
  // to be parsed elsewhere (ManifestReader) and given back by offer(): the next sync() takes it. Until then the file's
  // last good objects stay. By default all is read at once.
  void set_bytes_at_once(std::size_t bytes) { bytes_at_once_ = bytes; }
  std::vector<ManifestText> take_waiting() { return std::exchange(waiting_, {}); }
  const std::vector<ManifestText>& waiting() const { return waiting_; }
  void offer(ParsedManifest parsed) { offered_.insert_or_assign(parsed.file, std::move(parsed)); }

  // Applies files that are new or changed since the last call, removes those that are gone. Hidden files are skipped
  // (editors' drafts, `..data`). A file that cannot be read keeps its last good objects. `folder` empty: no manifests.
  // Returns what is wrong with the files as files; errors of objects come from ObjectStore::to_model.
  Errors sync(const std::string& folder, k8s::ObjectStore& store);

 private:
  std::string folder_;
  std::map<std::string, std::string> texts_;  // by file name, as last applied
  std::size_t bytes_at_once_ = std::string::npos;
  std::vector<ManifestText> waiting_;
  std::map<std::string, ParsedManifest> offered_;
};

}  // namespace sluice::io
