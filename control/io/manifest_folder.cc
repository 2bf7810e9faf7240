// Files of a folder to objects of the store, with what changed since the last time; see manifest_folder.h.
#include "control/io/manifest_folder.h"

#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "control/config/file.h"

namespace sluice::io {
namespace {

namespace fs = std::filesystem;

bool is_manifest(const fs::path& path) {
  const std::string name = path.filename().string();
  return !name.starts_with('.') && (name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json"));
}

}  // namespace

Errors ManifestFolder::sync(const std::string& folder, k8s::ObjectStore& store) {
  Errors errors;
  if (folder != folder_) {
    for (const auto& [file, text] : texts_) store.remove(file);
    texts_.clear();
    folder_ = folder;
  }
  if (folder.empty()) return errors;

  std::error_code failed;
  std::set<std::string> present;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end; entry.increment(failed)) {
    std::error_code ignored;
    if (is_manifest(entry->path()) && !entry->is_directory(ignored)) present.insert(entry->path().string());
  }
  if (failed) {
    errors.push_back({folder, fmt::format("cannot be read: {}{}", failed.message(),
                                          texts_.empty() ? "" : "; its last good objects stay in force")});
    return errors;
  }
  for (auto known = texts_.begin(); known != texts_.end();) {
    if (present.contains(known->first)) {
      ++known;
      continue;
    }
    store.remove(known->first);
    known = texts_.erase(known);
  }
  waiting_.clear();
  std::size_t left = bytes_at_once_;
  for (const auto& file : present) {
    auto text = config::read_file(file);
    if (!text) {
      // Gone since it was listed, or not readable: what it last said stays, if it said anything.
      errors.push_back(text.error());
      continue;
    }
    const auto known = texts_.find(file);
    if (known != texts_.end() && known->second == *text) continue;
    const auto offer = offered_.find(file);
    if (offer != offered_.end() && offer->second.text == *text) {
      store.apply(file, *offer->second.parsed);
    } else if (text->size() > left) {
      waiting_.push_back({file, std::move(*text)});
      continue;
    } else {
      left -= text->size();
      store.apply(file, *text);
    }
    texts_.insert_or_assign(file, std::move(*text));
  }
  offered_.clear();
  return errors;
}

}  // namespace sluice::io
