// Node: YAML or JSON text as a tree of plain values that remember where they stand.
//
// Both readers are strict where their formats are loose: duplicate keys, keys that are no words, custom tags, aliases
// that multiply, deep nesting and huge documents are errors with line and column.
//
// Called by: parse (sluice.yaml), k8s (manifests and the JSON inside ConfigMaps), print (the other way).
// Runs on: control thread. Follows: YAML 1.2 (yaml-cpp), RFC 8259. Tested by: tests/control/config/tree_test.cc
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/result.h"

namespace sluice::config {

// 1-based; line 0: not known.
struct Mark {
  unsigned line = 0;
  unsigned column = 0;
};

struct Node {
  // plain: a scalar without quotes, so a number, a boolean or a word; quoted: always a string.
  enum class Kind : unsigned char { null, plain, quoted, sequence, map };

  Kind kind = Kind::null;
  Mark mark;
  std::string text;               // of a scalar
  std::vector<std::string> keys;  // of a map; keys[i] belongs to items[i]
  std::vector<Mark> key_marks;    // likewise
  std::vector<Node> items;        // of a sequence or map

  static Node plain_text(std::string text) { return {.kind = Kind::plain, .text = std::move(text)}; }
  static Node quoted_text(std::string text) { return {.kind = Kind::quoted, .text = std::move(text)}; }

  bool is_null() const { return kind == Kind::null; }
  bool is_scalar() const { return kind == Kind::plain || kind == Kind::quoted; }
  bool is_sequence() const { return kind == Kind::sequence; }
  bool is_map() const { return kind == Kind::map; }
  // What the scalar is by the rules of JSON and of YAML's core schema.
  bool is_boolean() const;
  bool is_integer() const;
  bool is_number() const;
  bool is_string() const;

  // The value of a key of a map, or null pointer.
  const Node* find(std::string_view key) const;
  void add(std::string key, Node value);
  std::size_t count() const;  // nodes in this tree

  // For messages: "\"abc\"", "80", "a list", "a map", "nothing". Long text is cut.
  std::string describe() const;
  // Same values, wherever they stand.
  friend bool operator==(const Node& a, const Node& b);
};

// `text` in quotes for a message: control bytes escaped, cut after 80 bytes.
std::string in_quotes(std::string_view text);

struct TreeLimits {
  std::size_t bytes_max = 16 << 20;
  std::size_t depth_max = 64;
  std::size_t nodes_max = 1'000'000;     // in one text, aliases expanded
  std::size_t alias_nodes_max = 20'000;  // of them made by aliases
  std::size_t documents_max = 20'000;
};

struct Document {
  Node root;
  Mark start;
  Errors errors;  // empty: `root` is the whole document
};

// Every document of the text; one that cannot be read does not take the others along. Documents without content are
// left out. Places are "file:line:column". A text that is too large gives one document with one error.
std::vector<Document> parse_yaml(std::string_view file, std::string_view text, const TreeLimits& limits = {});

// One JSON value. Places are `place` itself, then the path of a duplicate key; syntax errors say line and column.
Document parse_json(std::string_view place, std::string_view text, const TreeLimits& limits = {});

// Block-style YAML of a map; ends with a newline.
std::string emit_yaml(const Node& node);

}  // namespace sluice::config
