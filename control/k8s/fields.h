// Fields: reads one JSON object field by field as a schema says, and notes every breach with its path and value.
//
// Called by: configmap, objects. Runs on: control thread. Follows: JSON Schema (type, minimum, minLength, enum,
// required, additionalProperties). Tested by: tests/control/k8s/configmap_test.cc
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "control/config/tree.h"

namespace sluice::k8s {

// One breach: where in the object, and what is wrong with what is there.
struct Breach {
  std::string path;  // "virtualServer.backend.servicePort"
  config::Mark mark;
  std::string message;  // "70000 is out of range: write 1 to 65535"
};

enum class Need { required, optional };

class Fields {
 public:
  // A node that is no object is a breach itself; all fields are absent then, and nothing more is said.
  Fields(const config::Node& node, std::string path, std::vector<Breach>& breaches);

  bool has(std::string_view key) const;
  // Non-empty text.
  std::optional<std::string> text(std::string_view key, Need need);
  std::optional<std::string> one_of(std::string_view key, Need need, std::initializer_list<std::string_view> words);
  std::optional<unsigned> integer(std::string_view key, Need need, unsigned min, unsigned max);
  std::optional<bool> boolean(std::string_view key);
  // Null counts as absent where Kubernetes writes it so.
  std::optional<Fields> object(std::string_view key, Need need);
  std::vector<Fields> objects(std::string_view key);
  std::vector<std::string> texts(std::string_view key);
  const config::Node* get(std::string_view key, Need need);

  // additionalProperties: false: every key that nobody asked for is a breach.
  void no_others();
  void breach(std::string_view key, std::string message);
  const std::string& path() const { return path_; }

 private:
  std::string join(std::string_view key) const;

  const config::Node* node_;
  std::string path_;
  std::vector<Breach>* breaches_;
  std::vector<std::string_view> known_;
  bool valid_ = true;
};

}  // namespace sluice::k8s
