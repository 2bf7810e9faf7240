// JSON text to a tree, by nlohmann's SAX events, with limits; see tree.h.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "control/config/tree.h"

namespace sluice::config {
namespace {

class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  Builder(std::string_view place, const TreeLimits& limits) : place_(place), limits_(limits) {}

  Node root;
  Errors errors;

  bool null() override { return complete({}); }
  bool boolean(bool value) override { return complete(Node::plain_text(value ? "true" : "false")); }
  bool number_integer(number_integer_t value) override { return complete(Node::plain_text(std::to_string(value))); }
  bool number_unsigned(number_unsigned_t value) override { return complete(Node::plain_text(std::to_string(value))); }
  bool number_float(number_float_t, const string_t& written) override { return complete(Node::plain_text(written)); }
  bool string(string_t& value) override { return complete(Node::quoted_text(std::move(value))); }
  bool binary(binary_t&) override { return fail("binary values are not JSON"); }
  bool start_object(std::size_t) override { return open(Node::Kind::map); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t) override { return open(Node::Kind::sequence); }
  bool end_array() override { return close(); }

  bool key(string_t& value) override {
    Frame& frame = stack_.back();
    frame.duplicate = !frame.seen.insert(value).second;
    if (frame.duplicate) {
      if (errors.size() < 100)
        errors.push_back({std::string(place_),
                          fmt::format("the key {} is there twice in {}: keep one of them", in_quotes(value), path())});
    } else {
      frame.node.keys.push_back(value);
      frame.node.key_marks.push_back({});
    }
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ...": what follows the id.
    std::string_view text = error.what();
    if (const auto end = text.find("] "); end != std::string_view::npos) text.remove_prefix(end + 2);
    return fail("not JSON: " + std::string(text.substr(0, 300)));
  }

 private:
  struct Frame {
    Node node;
    bool duplicate = false;
    std::unordered_set<std::string> seen;
  };

  bool fail(std::string message) {
    errors.push_back({std::string(place_), std::move(message)});
    return false;
  }

  // "virtualServer.backend", or "the top" for messages.
  std::string path() const {
    std::string out;
    for (std::size_t i = 0; i + 1 < stack_.size(); ++i) {
      const Node& node = stack_[i].node;
      if (node.is_map()) {
        if (!out.empty()) out += '.';
        out += node.keys.empty() ? "" : node.keys.back();
      } else {
        out += fmt::format("[{}]", node.items.size());
      }
    }
    return out.empty() ? "the outermost object" : out;
  }

  bool open(Node::Kind kind) {
    if (stack_.size() >= limits_.depth_max) return fail(fmt::format("nested deeper than {} levels", limits_.depth_max));
    stack_.push_back({});
    stack_.back().node.kind = kind;
    return true;
  }

  bool close() {
    Node node = std::move(stack_.back().node);
    stack_.pop_back();
    return complete(std::move(node));
  }

  bool complete(Node node) {
    if (++nodes_ > limits_.nodes_max) return fail(fmt::format("more than {} values", limits_.nodes_max));
    if (stack_.empty()) {
      root = std::move(node);
      return true;
    }
    Frame& frame = stack_.back();
    if (!frame.duplicate) frame.node.items.push_back(std::move(node));
    frame.duplicate = false;
    return true;
  }

  std::string_view place_;
  const TreeLimits& limits_;
  std::size_t nodes_ = 0;
  std::vector<Frame> stack_;
};

}  // namespace

Document parse_json(std::string_view place, std::string_view text, const TreeLimits& limits) {
  Document out;
  if (text.size() > limits.bytes_max) {
    out.errors.push_back(
        {std::string(place), fmt::format("{} bytes long: at most {} are read", text.size(), limits.bytes_max)});
    return out;
  }
  Builder builder(place, limits);
  const bool read = nlohmann::json::sax_parse(text, &builder);
  out.errors = std::move(builder.errors);
  if (read) out.root = std::move(builder.root);
  if (!read && out.errors.empty()) out.errors.push_back({std::string(place), "not JSON"});
  return out;
}

}  // namespace sluice::config
