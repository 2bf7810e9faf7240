// Reader: the visitor of schema.h that fills an object from a tree and collects everything that is wrong with it.
//
// Called by: parse. Runs on: control thread. Tested by: tests/control/config/parse_test.cc
#pragma once

#include <fmt/format.h>

#include <map>
#include <string>
#include <vector>

#include "control/config/schema.h"
#include "control/config/tree.h"
#include "dataplane/base/result.h"

namespace sluice::config {

// What all Readers of one file share: its errors, and where each path stands (for checks that come later).
class ReadContext {
 public:
  explicit ReadContext(std::string_view file) : file_(file) {}

  void note(const std::string& path, Mark mark) { marks_.emplace(path, mark); }
  void error(Mark mark, const std::string& path, std::string message);
  // Where the path stands; the nearest enclosing path if it is not in the file itself.
  Mark locate(std::string_view path) const;
  Error located(const std::string& path, std::string message) const {
    return make(locate(path), path, std::move(message));
  }
  std::string_view file() const { return file_; }
  // All errors, in the order of the file.
  Errors take();
  bool full() const { return found_.size() >= kErrorsMax; }

 private:
  static constexpr std::size_t kErrorsMax = 200;
  struct Found {
    Mark mark;
    Error error;
  };
  Error make(Mark mark, const std::string& path, std::string message) const;

  std::string file_;
  std::map<std::string, Mark, std::less<>> marks_;
  std::vector<Found> found_;
};

class Reader {
 public:
  static constexpr bool kReads = true;

  Reader(ReadContext& context, const Node& node, std::string path)
      : context_(context), node_(node), path_(std::move(path)) {}

  // Reads the whole object, and reports keys that it does not have.
  template <typename T>
  static void read(ReadContext& context, const Node& node, const std::string& path, T& out) {
    Reader reader(context, node, path);
    if (!node.is_map()) {
      reader.error(node, path, fmt::format("{} stands where a map (key: value) is expected", node.describe()));
      return;
    }
    describe(reader, out);
    reader.report_unknown();
  }

  bool has(std::string_view key) const { return node_.find(key) != nullptr; }

  template <typename T, typename... Limits>
  void field(std::string_view key, T&& value, Limits... limits) {
    if (const Node* node = take(key)) read_scalar(*node, join(key), value, limits...);
  }
  template <typename T, typename... Limits>
  void field(std::string_view key, std::optional<T>& value, Limits... limits) {
    T inner{};
    if (const Node* node = take(key))
      if (read_scalar(*node, join(key), inner, limits...)) value = inner;
  }
  template <typename T, typename... Limits>
  void required(std::string_view key, T& value, Limits... limits) {
    if (const Node* node = take(key))
      read_scalar(*node, join(key), value, limits...);
    else
      error(node_, join(key), "is missing");
  }
  template <typename T, typename... Limits>
  void dependent(std::string_view key, T& value, Limits... limits) {
    field(key, value, limits...);
  }
  void secret(std::string_view key, std::string& value);

  template <typename T>
  void scalars(std::string_view key, std::vector<T>& out, std::size_t max) {
    read_scalars(key, out, max);
  }
  template <typename T>
  void scalars(std::string_view key, std::vector<T>& out, Range<T> range, std::size_t max) {
    read_scalars(key, out, max, range);
  }

  template <typename T>
  void object(std::string_view key, T& value) {
    const Node* node = take(key);
    if (node != nullptr && !node->is_null()) read(context_, *node, join(key), value);
  }

  // true (all defaults), false (absent) or a map.
  template <typename T>
  void switched(std::string_view key, std::optional<T>& value) {
    const Node* node = take(key);
    if (node == nullptr || node->is_null()) return;
    if (!node->is_scalar()) return read(context_, *node, join(key), value.emplace());
    bool on = false;
    if (!read_scalar(*node, join(key), on)) return;
    value.reset();
    if (on) value.emplace();
  }

  template <typename T>
  void objects(std::string_view key, std::vector<T>& out, std::size_t max) {
    const Node* list = take(key);
    if (list == nullptr || list->is_null()) return;
    const std::string path = join(key);
    if (!list->is_sequence()) {
      error(*list, path, fmt::format("{} stands where a list (- ...) is expected", list->describe()));
      return;
    }
    if (!check_count(*list, path, max)) return;
    out.reserve(list->items.size());
    for (std::size_t i = 0; i < list->items.size() && !context_.full(); ++i)
      read_item(list->items[i], fmt::format("{}[{}]", path, i), out.emplace_back());
  }

  template <typename T>
  void named(std::string_view key, std::vector<T>& out, std::size_t max) {
    const Node* map = take(key);
    if (map == nullptr || map->is_null()) return;
    const std::string path = join(key);
    if (!map->is_map()) {
      error(*map, path, fmt::format("{} stands where a map of names is expected", map->describe()));
      return;
    }
    if (!check_count(*map, path, max)) return;
    out.reserve(map->items.size());
    for (std::size_t i = 0; i < map->items.size() && !context_.full(); ++i) {
      const std::string item_path = path + '.' + map->keys[i];
      context_.note(item_path, map->key_marks[i]);
      T& item = out.emplace_back();
      if (auto problem = set_name(item, map->keys[i]))
        context_.error(map->key_marks[i], path, in_quotes(map->keys[i]) + ' ' + *problem);
      // A name with nothing behind it has all defaults.
      const Node empty{.kind = Node::Kind::map, .mark = map->key_marks[i]};
      read(context_, map->items[i].is_null() ? empty : map->items[i], item_path, item);
      set_origin(item, item_path);
    }
  }

 private:
  template <typename T>
  static Problem set_name(T& item, const std::string& key) {
    if constexpr (requires { item.name; }) {
      item.name = key;
      return check_name(key);
    } else {
      return from_text(key, item.address);
    }
  }
  template <typename T>
  void set_origin(T& item, const std::string& path) {
    if constexpr (requires { item.origin; }) item.origin.text = std::string(context_.file()) + ' ' + path;
  }

  template <typename T>
  void read_item(const Node& node, const std::string& path, T& item) {
    context_.note(path, node.mark);
    if constexpr (requires { short_form(item); }) {
      if (node.is_scalar()) {
        read_scalar(node, path, *short_form(item));
        return;
      }
    }
    read(context_, node, path, item);
  }

  template <typename T, typename... Limits>
  bool read_scalar(const Node& node, const std::string& path, T& value, Limits... limits) {
    if (!node.is_scalar()) {
      error(node, path,
            node.is_null() ? "has no value" : fmt::format("{} stands where one value is expected", node.describe()));
      return false;
    }
    if (auto problem = from_text(node.text, value, limits...)) {
      error(node, path, in_quotes(node.text) + ' ' + *problem);
      return false;
    }
    return true;
  }

  template <typename T, typename... Limits>
  void read_scalars(std::string_view key, std::vector<T>& out, std::size_t max, Limits... limits) {
    const Node* list = take(key);
    if (list == nullptr || list->is_null()) return;
    const std::string path = join(key);
    if (!list->is_sequence()) {
      T value{};
      if (read_scalar(*list, path, value, limits...)) out.push_back(std::move(value));
      return;
    }
    if (!check_count(*list, path, max)) return;
    for (std::size_t i = 0; i < list->items.size(); ++i) {
      const std::string item_path = fmt::format("{}[{}]", path, i);
      context_.note(item_path, list->items[i].mark);
      T value{};
      if (read_scalar(list->items[i], item_path, value, limits...)) out.push_back(std::move(value));
    }
  }

  const Node* take(std::string_view key);
  void report_unknown();
  bool check_count(const Node& list, const std::string& path, std::size_t max);
  std::string join(std::string_view key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }
  void error(const Node& node, const std::string& path, std::string message) {
    context_.error(node.mark, path, std::move(message));
  }

  ReadContext& context_;
  const Node& node_;
  std::string path_;
  std::vector<std::string_view> known_;  // keys that describe() asked for
};

}  // namespace sluice::config
