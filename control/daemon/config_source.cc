// sluice.yaml and its manifests; see config_source.h.
#include "control/daemon/config_source.h"

#include <fmt/format.h>

#include <filesystem>

#include "control/config/parse.h"

namespace sluice::daemon {
namespace {

void append(Errors& to, Errors from) {
  to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
}

LoadedConfig with_manifests(config::ParseOutcome parsed, k8s::ObjectStore& store, io::ManifestFolder& folder) {
  LoadedConfig loaded;
  loaded.errors = std::move(parsed.errors);
  loaded.warnings = std::move(parsed.warnings);
  if (!parsed.config) return loaded;
  append(loaded.complaints, folder.sync(parsed.config->manifests, store));
  for (const io::ManifestText& waiting : folder.waiting()) {
    loaded.warnings.push_back(
        {waiting.file, fmt::format("{} bytes are read in the background, and take effect then", waiting.text.size())});
  }
  if (parsed.config->manifests.empty()) {
    loaded.config = std::move(parsed.config);
    return loaded;
  }
  k8s::ModelOutcome model = store.to_model(*parsed.config);
  append(loaded.complaints, std::move(model.errors));
  append(loaded.warnings, std::move(model.notices));
  loaded.config = std::move(model.config);
  return loaded;
}

config::ParseOutcome parse_as(const std::string& name, const std::string& text) {
  config::ParseOutcome parsed = config::parse(name, text);
  if (!parsed.config || parsed.config->manifests.empty()) return parsed;
  const std::filesystem::path manifests(parsed.config->manifests);
  if (manifests.is_relative()) {
    parsed.config->manifests = (std::filesystem::path(name).parent_path() / manifests).lexically_normal().string();
  }
  return parsed;
}

}  // namespace

LoadedConfig ConfigSource::load() { return with_manifests(config::load_file(path_), store_, folder_); }

LoadedConfig ConfigSource::load(const std::string& name, const std::string& text) {
  return with_manifests(parse_as(name, text), store_, folder_);
}

LoadedConfig ConfigSource::check(const std::string& path) {
  k8s::ObjectStore store;
  io::ManifestFolder folder;
  return with_manifests(config::load_file(path), store, folder);
}

LoadedConfig ConfigSource::preview() const {
  k8s::ObjectStore store = store_.clone();
  io::ManifestFolder folder = folder_;
  return with_manifests(config::load_file(path_), store, folder);
}

LoadedConfig ConfigSource::preview(const std::string& name, const std::string& text) const {
  k8s::ObjectStore store = store_.clone();
  io::ManifestFolder folder = folder_;
  return with_manifests(parse_as(name, text), store, folder);
}

std::vector<std::string> ConfigSource::watched_paths(const config::Config& running) const {
  std::vector<std::string> paths{path_};
  if (!running.manifests.empty()) paths.push_back(running.manifests);
  return paths;
}

}  // namespace sluice::daemon
