// Writer: the visitor of schema.h that makes the tree of an object; to_tree(config) is what print and diff start from.
//
// Called by: print, diff. Runs on: control thread. Tested by: tests/control/config/print_test.cc
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "control/config/schema.h"
#include "control/config/tree.h"

namespace sluice::config {

struct WriteOptions {
  bool all = false;      // also values at their default
  bool secrets = false;  // passwords in the clear (for diff, which masks them itself)
};

class Writer {
 public:
  static constexpr bool kReads = false;
  explicit Writer(WriteOptions options) : options_(options) { tree_.kind = Node::Kind::map; }

  // The tree of `value`: without what a fresh T would have, unless options say all.
  template <typename T>
  static Node write(const T& value, WriteOptions options) {
    T copy = value;  // describe() takes it by reference for the Reader's sake
    Writer writer(options);
    describe(writer, copy);
    if (!options.all) {
      T fresh{};
      Writer defaults({.all = true, .secrets = true});
      describe(defaults, fresh);
      writer.drop_equal(defaults.tree_);
    }
    return std::move(writer.tree_);
  }

  bool has(std::string_view) const { return false; }

  template <typename T, typename... Limits>
  void field(std::string_view key, T&& value, Limits...) {
    add(key, scalar(value));
  }
  template <typename T, typename... Limits>
  void field(std::string_view key, std::optional<T>& value, Limits...) {
    if (value) add(key, scalar(*value));
  }
  template <typename T, typename... Limits>
  void required(std::string_view key, T& value, Limits...) {
    kept_.push_back(key);
    add(key, scalar(value));
  }
  template <typename T, typename... Limits>
  void dependent(std::string_view key, T& value, Limits...) {
    kept_.push_back(key);
    add(key, scalar(value));
  }
  void secret(std::string_view key, std::string& value);

  template <typename T>
  void scalars(std::string_view key, std::vector<T>& list, std::size_t) {
    // One value is written without brackets.
    if (list.size() == 1) {
      add(key, scalar(list[0]));
      return;
    }
    Node node{.kind = Node::Kind::sequence};
    for (auto& value : list) node.items.push_back(scalar(value));
    add(key, std::move(node));
  }
  template <typename T>
  void scalars(std::string_view key, std::vector<T>& list, Range<T>, std::size_t max) {
    scalars(key, list, max);
  }

  template <typename T>
  void object(std::string_view key, T& value) {
    if (options_.all || !(value == T{})) add(key, write(value, options_));
  }

  template <typename T>
  void switched(std::string_view key, std::optional<T>& value) {
    if (!value) return add(key, Node::plain_text("false"));
    Node node = write(*value, options_);
    add(key, node.keys.empty() ? Node::plain_text("true") : std::move(node));
  }

  template <typename T>
  void objects(std::string_view key, std::vector<T>& list, std::size_t) {
    Node node{.kind = Node::Kind::sequence};
    for (auto& value : list) {
      Node item = write(value, options_);
      if constexpr (requires { short_form(value); }) {
        if (item.keys.size() == 1) item = scalar(*short_form(value));
      }
      node.items.push_back(std::move(item));
    }
    if (options_.all || !list.empty()) add(key, std::move(node));
  }

  template <typename T>
  void named(std::string_view key, std::vector<T>& list, std::size_t) {
    Node node{.kind = Node::Kind::map};
    for (auto& value : list) {
      if constexpr (requires { value.name; })
        node.add(value.name, write(value, options_));
      else
        node.add(to_text(value.address), write(value, options_));
    }
    if (options_.all || !list.empty()) add(key, std::move(node));
  }

 private:
  template <typename T>
  static Node scalar(T& value) {
    if constexpr (std::is_same_v<std::remove_cv_t<T>, std::string>)
      return Node::quoted_text(value);
    else
      return Node::plain_text(to_text(value));
  }

  void add(std::string_view key, Node node) { tree_.add(std::string(key), std::move(node)); }
  void drop_equal(const Node& defaults);

  WriteOptions options_;
  Node tree_;
  std::vector<std::string_view> kept_;  // printed even at their default
};

Node to_tree(const Config& config, WriteOptions options);

}  // namespace sluice::config
