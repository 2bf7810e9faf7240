// ObjectStore: the Kubernetes objects that matter here, from files (later: from list/watch), and the Config they mean.
//
//   store.apply("nginx.yaml", text);         // each object in it stands or falls alone
//   auto outcome = store.to_model(base);     // base: sluice.yaml's Config
//   install(outcome.config);  report(outcome.errors);  log(outcome.notices);
//
// One bad object rejects only itself: its last good version stays in force while the daemon runs, and the error names
// file, object, JSON path, value and what is valid. Objects: ConfigMap (label f5type: virtual-server), Service,
// Endpoints, EndpointSlice, Node, and Lists of them; other kinds are left alone; Ingress gets a notice.
// No sockets: a list/watch feeds the same store through upsert() and erase().
//
// Called by: control/daemon. Runs on: control thread. Follows: bigip.md "The ConfigMap", Kubernetes API v1 and
// discovery.k8s.io/v1. Tested by: tests/control/k8s/*, tests/fuzz/configmap_fuzz.cc
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/model.h"
#include "dataplane/base/result.h"

namespace sluice::k8s {

struct ModelOutcome {
  config::Config config;  // base + every good object, normalised
  Errors errors;          // every object that is not in force as written, now; the same ones until they are mended
  Errors notices;         // accepted, but worth knowing ("Service default/x has no ready endpoints")
};

class ObjectStore {
 public:
  ObjectStore();
  ~ObjectStore();
  ObjectStore(ObjectStore&&) noexcept;
  ObjectStore& operator=(ObjectStore&&) noexcept;

  // What takes time of apply(), and needs nothing of the store: reading a text. Any thread.
  struct Parsed;
  static std::shared_ptr<Parsed> parse(std::string_view file, std::string_view text);
  // As the other apply(); takes `parsed` apart.
  Errors apply(std::string_view file, Parsed& parsed);

  // Takes the whole text (YAML, several documents, or JSON) of one source: objects that it no longer holds are gone.
  // A source that cannot be read as YAML or JSON at all keeps all its last good objects. Returns this source's errors.
  Errors apply(std::string_view file, std::string_view text);
  ObjectStore clone() const;
  // The source is gone, and its objects with it.
  void remove(std::string_view file);
  // Names of the sources, sorted.
  std::vector<std::string> files() const;

  // The base with the objects merged in. An object that clashes with the base or with an accepted object is an error of
  // that object, and its last accepted version is used instead. Not const: it remembers what it accepted.
  ModelOutcome to_model(const config::Config& base);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::k8s
