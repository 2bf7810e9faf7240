// ManifestFolder: brings an ObjectStore in line with the *.yaml, *.yml and *.json files of a folder.
//
// Called by: control/daemon, at start and after each FileWatch callback. Runs on: control thread.
// Tested by: tests/control/io/manifest_folder_test.cc
#pragma once

#include <map>
#include <string>

#include "control/k8s/object_store.h"
#include "dataplane/base/result.h"

namespace sluice::io {

class ManifestFolder {
 public:
  // Applies files that are new or changed since the last call, removes those that are gone. Hidden files are skipped
  // (editors' drafts, `..data`). A file that cannot be read keeps its last good objects. `folder` empty: no manifests.
  // Returns what is wrong with the files as files; errors of objects come from ObjectStore::to_model.
  Errors sync(const std::string& folder, k8s::ObjectStore& store);

 private:
  std::string folder_;
  std::map<std::string, std::string> texts_;  // by file name, as last applied
};

}  // namespace sluice::io
