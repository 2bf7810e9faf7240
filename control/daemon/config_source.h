// Where the configuration comes from: sluice.yaml and the manifests folder that it names, read together.
//
// An error in sluice.yaml leaves no configuration; a bad manifest rejects only itself (its last good version stays) and
// is a complaint. Nothing here changes the running daemon.
//
// Called by: control/daemon/daemon (start, reload, apply). Runs on: control thread.
// Tested by: tests/control/daemon/config_source_test.cc
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "control/config/model.h"
#include "control/io/manifest_folder.h"
#include "control/k8s/object_store.h"
#include "dataplane/base/result.h"

namespace sluice::daemon {

struct LoadedConfig {
  std::optional<config::Config> config;  // absent if there are errors
  Errors errors;
  Errors complaints;  // of manifests that are not in force as written
  Errors warnings;    // accepted, but worth knowing
};

class ConfigSource {
 public:
  explicit ConfigSource(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // Reads file and manifests anew.
  LoadedConfig load();
  // Takes `text` for the file's; `name` stands in messages and is what a relative `manifests:` is relative to.
  LoadedConfig load(const std::string& name, const std::string& text);
  // The same, but nothing of it is remembered: what load() would say.
  LoadedConfig preview() const;
  LoadedConfig preview(const std::string& name, const std::string& text) const;
  // A configuration that nobody runs: everything is read anew.
  static LoadedConfig check(const std::string& path);
  // From now on load() reads at most so much of manifests at once; the rest waits to be parsed elsewhere and offered,
  // and each load says that it does.
  void set_manifest_bytes_at_once(std::size_t bytes) { folder_.set_bytes_at_once(bytes); }
  std::vector<io::ManifestText> take_waiting_manifests() { return folder_.take_waiting(); }
  void offer(io::ParsedManifest parsed) { folder_.offer(std::move(parsed)); }
  // What a change of should lead to a reload: the file, and the folder of `running`.
  std::vector<std::string> watched_paths(const config::Config& running) const;

 private:
  std::string path_;
  k8s::ObjectStore store_;
  io::ManifestFolder folder_;
};

}  // namespace sluice::daemon
