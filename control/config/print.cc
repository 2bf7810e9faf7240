// Config to canonical YAML; see print.h and writer.h.
#include "control/config/print.h"

#include "control/config/writer.h"

namespace sluice::config {

void Writer::secret(std::string_view key, std::string& value) {
  if (value.empty()) return;
  add(key, Node::quoted_text(options_.secrets ? value : std::string(kMaskedSecret)));
}

void Writer::drop_equal(const Node& defaults) {
  Node left{.kind = Node::Kind::map};
  for (std::size_t i = 0; i < tree_.keys.size(); ++i) {
    const Node* fresh = defaults.find(tree_.keys[i]);
    const bool keep = std::find(kept_.begin(), kept_.end(), tree_.keys[i]) != kept_.end();
    if (keep || fresh == nullptr || !(*fresh == tree_.items[i])) left.add(tree_.keys[i], std::move(tree_.items[i]));
  }
  tree_ = std::move(left);
}

Node to_tree(const Config& config, WriteOptions options) { return Writer::write(config, options); }

std::string print(const Config& config, PrintOptions options) {
  return emit_yaml(to_tree(config, {.all = options.all}));
}

}  // namespace sluice::config
