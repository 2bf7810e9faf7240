// The files and their objects; what is last good in each; see object_store.h. What they mean is in model.cc.
#include "control/k8s/object_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "control/config/tree.h"
#include "control/k8s/model.h"
#include "control/k8s/objects.h"

namespace sluice::k8s {
namespace {

constexpr std::size_t kFilesMax = 4096;
constexpr std::size_t kObjectsMax = 100'000;

struct Source {
  std::map<ObjectKey, Object> objects;  // each at its last good version
  std::set<ObjectKey> broken;           // in the file, but not readable as they stand there now
  Errors errors;
  Errors notices;
};

// At the value's own line where it is known: inside the JSON of a ConfigMap it is not.
Error to_error(std::string_view file, const ReadObject& read, const Breach& breach) {
  const config::Mark mark = breach.mark.line != 0 ? breach.mark : read.mark;
  std::string place(file);
  if (mark.line != 0) place += fmt::format(":{}:{}", mark.line, mark.column);
  if (!read.key.kind.empty()) place += ' ' + read.key.text();
  if (!breach.path.empty()) place += ' ' + breach.path;
  return {std::move(place), breach.message};
}

// Whether a file is JSON: by its name, or because it starts as only JSON does.
bool is_json(std::string_view file, std::string_view text) {
  if (file.ends_with(".json")) return true;
  const auto first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' && !file.ends_with(".yaml") && !file.ends_with(".yml");
}

std::vector<config::Document> parse_documents(std::string_view file, std::string_view text) {
  if (!is_json(file, text)) return config::parse_yaml(file, text);
  std::vector<config::Document> out;
  out.push_back(config::parse_json(file, text));
  return out;
}

}  // namespace

struct ObjectStore::State {
  std::map<std::string, Source, std::less<>> sources;
  Accepted accepted;  // ConfigMaps that to_model() last accepted

  std::size_t object_count() const {
    std::size_t sum = 0;
    for (const auto& [name, source] : sources) sum += source.objects.size();
    return sum;
  }
};

struct ObjectStore::Parsed {
  std::vector<ReadObject> objects;
  Errors errors;  // of documents that could not be read at all
};

ObjectStore::ObjectStore() : state_(std::make_unique<State>()) {}
ObjectStore::~ObjectStore() = default;
ObjectStore::ObjectStore(ObjectStore&&) noexcept = default;
ObjectStore& ObjectStore::operator=(ObjectStore&&) noexcept = default;

std::shared_ptr<ObjectStore::Parsed> ObjectStore::parse(std::string_view file, std::string_view text) {
  auto out = std::make_shared<Parsed>();
  for (const auto& document : parse_documents(file, text)) {
    out->errors.insert(out->errors.end(), document.errors.begin(), document.errors.end());
    if (!document.errors.empty()) continue;
    auto objects = read_objects(file, document);
    std::move(objects.begin(), objects.end(), std::back_inserter(out->objects));
  }
  return out;
}

ObjectStore ObjectStore::clone() const {
  ObjectStore out;
  *out.state_ = *state_;
  return out;
}

Errors ObjectStore::apply(std::string_view file, std::string_view text) { return apply(file, *parse(file, text)); }

Errors ObjectStore::apply(std::string_view file, Parsed& parsed) {
  const auto known = state_->sources.find(file);
  if (known == state_->sources.end() && state_->sources.size() >= kFilesMax)
    return {{std::string(file), fmt::format("more than {} files of manifests: it is left out", kFilesMax)}};
  Source old;
  if (known != state_->sources.end()) old = std::move(known->second);
  Source fresh;
  fresh.errors = std::move(parsed.errors);
  const bool unreadable = !fresh.errors.empty();
  const std::size_t room = kObjectsMax - std::min(kObjectsMax, state_->object_count());

  for (ReadObject& read : parsed.objects) {
    if (!read.notice.empty()) fresh.notices.push_back({read.place, read.notice});
    for (const auto& breach : read.breaches) fresh.errors.push_back(to_error(file, read, breach));
    if (!read.breaches.empty()) {
      fresh.broken.insert(read.key);
    } else if (read.object) {
      if (fresh.objects.size() >= room)
        fresh.errors.push_back({read.place, fmt::format("more than {} objects: it is left out", kObjectsMax)});
      else if (auto* spec = std::get_if<VirtualServerSpec>(&*read.object))
        spec->origin = fmt::format("{} {}", file, read.key.text());
      if (fresh.objects.size() < room && !fresh.objects.emplace(read.key, std::move(*read.object)).second)
        fresh.errors.push_back({read.place, "is in this file twice: keep one of them"});
    }
  }
  // What cannot be read now stays as it was: the broken objects, or all that might be behind an unreadable part.
  for (auto& [key, object] : old.objects)
    if (unreadable || fresh.broken.contains(key)) fresh.objects.emplace(key, std::move(object));
  const Errors errors = fresh.errors;
  state_->sources.insert_or_assign(std::string(file), std::move(fresh));
  return errors;
}

void ObjectStore::remove(std::string_view file) {
  if (const auto found = state_->sources.find(file); found != state_->sources.end()) state_->sources.erase(found);
}

std::vector<std::string> ObjectStore::files() const {
  std::vector<std::string> out;
  for (const auto& [name, source] : state_->sources) out.push_back(name);
  return out;
}

ModelOutcome ObjectStore::to_model(const config::Config& base) {
  ModelOutcome out;
  Cluster cluster;
  std::map<ObjectKey, std::string_view> owner;
  for (const auto& [file, source] : state_->sources) {
    out.errors.insert(out.errors.end(), source.errors.begin(), source.errors.end());
    out.notices.insert(out.notices.end(), source.notices.begin(), source.notices.end());
    for (const auto& [key, object] : source.objects) {
      const auto [other, first] = owner.emplace(key, file);
      if (first)
        cluster.add(key, object);
      else
        out.errors.push_back(
            {fmt::format("{} {}", file, key.text()), fmt::format("is also in {}: that one is used", other->second)});
    }
    // An object that moved to this file and broke on the way: what was accepted of it stays.
    for (const auto& key : source.broken)
      if (const auto good = state_->accepted.find(key); good != state_->accepted.end() && !owner.contains(key))
        cluster.keep(key, good->second);
  }
  build_model(base, cluster, state_->accepted, out);
  return out;
}

}  // namespace sluice::k8s
