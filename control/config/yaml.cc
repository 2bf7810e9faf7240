// YAML text to trees, by yaml-cpp's events, with limits; see tree.h.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <unordered_set>

#include "control/config/tree.h"

namespace sluice::config {
namespace {

// What our event handler throws through yaml-cpp; never leaves this file.
struct TreeError {
  Mark mark;
  std::string message;
};

Mark to_mark(const YAML::Mark& mark, unsigned line_offset) {
  if (mark.is_null()) return {};
  return {static_cast<unsigned>(mark.line) + 1 + line_offset, static_cast<unsigned>(mark.column) + 1};
}

// Budgets that all documents of one text share.
struct Budget {
  std::size_t nodes = 0;
  std::size_t alias_nodes = 0;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(std::string_view file, const TreeLimits& limits, Budget& budget, unsigned line_offset)
      : file_(file), limits_(limits), budget_(budget), line_offset_(line_offset) {}

  Node root;
  Errors errors;  // duplicate keys
  bool seen = false;
  Mark start;

  void OnDocumentStart(const YAML::Mark& mark) override {
    root = Node{};
    seen = true;
    start = to_mark(mark, line_offset_);
    anchors_.clear();
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    complete({.mark = to_mark(mark, line_offset_)}, anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const Mark here = to_mark(mark, line_offset_);
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw TreeError{here, "an alias inside of its own anchor"};
    budget_.alias_nodes += found->second.count();
    if (budget_.alias_nodes > limits_.alias_nodes_max)
      throw TreeError{here,
                      fmt::format("aliases expand to more than {} values: write them out", limits_.alias_nodes_max)};
    Node copy = found->second;
    copy.mark = here;
    budget_.nodes += copy.count();
    complete(std::move(copy), 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const bool plain = is_plain_tag(check_tag(mark, tag));
    complete(
        {.kind = plain ? Node::Kind::plain : Node::Kind::quoted, .mark = to_mark(mark, line_offset_), .text = value},
        anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(Node::Kind::sequence, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(Node::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    bool have_key = false;
    bool skip_value = false;  // of a duplicate key
    std::unordered_set<std::string> seen_keys;
  };

  static bool is_plain_tag(std::string_view tag) {
    constexpr std::string_view kPlain[] = {"", "?", "int", "float", "bool", "null"};
    return std::find(std::begin(kPlain), std::end(kPlain), tag) != std::end(kPlain);
  }

  // The tag without the prefix of YAML's own ("!!str" is "tag:yaml.org,2002:str"); others are refused.
  std::string_view check_tag(const YAML::Mark& mark, std::string_view tag) const {
    constexpr std::string_view kOwn = "tag:yaml.org,2002:";
    const std::string_view name = tag.starts_with(kOwn) ? tag.substr(kOwn.size()) : tag;
    if (is_plain_tag(name) || name == "!" || name == "str" || name == "seq" || name == "map") return name;
    throw TreeError{to_mark(mark, line_offset_), fmt::format("the tag {} is not supported", in_quotes(tag))};
  }

  void open(Node::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    const Mark here = to_mark(mark, line_offset_);
    if (stack_.size() >= limits_.depth_max)
      throw TreeError{here, fmt::format("nested deeper than {} levels", limits_.depth_max)};
    if (kind == Node::Kind::map || kind == Node::Kind::sequence) refuse_as_key(here);
    stack_.push_back({.node = {.kind = kind, .mark = here}, .anchor = anchor});
  }

  void close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    complete(std::move(frame.node), frame.anchor);
  }

  void refuse_as_key(Mark here) const {
    if (stack_.empty()) return;
    const Frame& frame = stack_.back();
    if (frame.node.is_map() && !frame.have_key)
      throw TreeError{here, "a list or map stands where a key is expected: write a word, or close the bracket"};
  }

  void complete(Node node, YAML::anchor_t anchor) {
    if (++budget_.nodes > limits_.nodes_max)
      throw TreeError{node.mark, fmt::format("more than {} values in one file", limits_.nodes_max)};
    if (anchor != 0) {
      budget_.alias_nodes += node.count();  // its copy is kept
      if (budget_.alias_nodes > limits_.alias_nodes_max)
        throw TreeError{node.mark,
                        fmt::format("anchors hold more than {} values: write them out", limits_.alias_nodes_max)};
      anchors_[anchor] = node;
    }
    if (stack_.empty()) {
      root = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node.is_sequence()) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.have_key) {
      take_key(frame, node);
    } else {
      frame.have_key = false;
      if (frame.skip_value) return;
      frame.node.items.push_back(std::move(node));
    }
  }

  void take_key(Frame& frame, const Node& node) {
    if (!node.is_scalar()) throw TreeError{node.mark, "a key must be a word"};
    frame.have_key = true;
    frame.skip_value = !frame.seen_keys.insert(node.text).second;
    if (frame.skip_value) {
      if (errors.size() < 100)
        errors.push_back({fmt::format("{}:{}:{}", file_, node.mark.line, node.mark.column),
                          fmt::format("the key {} is there twice: keep one of them", in_quotes(node.text))});
      return;
    }
    frame.node.keys.push_back(node.text);
    frame.node.key_marks.push_back(node.mark);
  }

  std::string_view file_;
  const TreeLimits& limits_;
  Budget& budget_;
  unsigned line_offset_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Node> anchors_;
};

struct Chunk {
  std::string_view text;
  unsigned line_offset;
};

bool is_document_marker(std::string_view row) {
  return row.starts_with("---") && (row.size() == 3 || row[3] == ' ' || row[3] == '\t' || row[3] == '\r');
}

// A line that starts with "---" starts a document, whatever stands before it: so each can be read alone.
std::vector<Chunk> split_documents(std::string_view text) {
  std::vector<Chunk> chunks;
  Chunk open{{}, 0};
  std::size_t start = 0;
  bool content = false;     // since `start`: anything but comments, directives and blank lines
  bool directives = false;  // since `start`: %YAML, which belongs to the document that the next marker opens
  unsigned line = 0;
  for (std::size_t at = 0; at < text.size(); ++line) {
    const auto end = std::min(text.find('\n', at), text.size());
    const auto row = text.substr(at, end - at);
    if (is_document_marker(row)) {
      if (content) chunks.push_back({text.substr(start, at - start), open.line_offset});
      if (content || !directives) start = at, open.line_offset = line, directives = false;
      content = row.find_first_not_of(" \t\r", 3) != std::string_view::npos;
    } else if (!content && row.starts_with('%')) {
      directives = true;
    } else if (const auto first = row.find_first_not_of(" \t\r");
               first != std::string_view::npos && row[first] != '#') {
      content = true;
    }
    at = end + 1;
  }
  if (content) chunks.push_back({text.substr(start), open.line_offset});
  return chunks;
}

std::string place(std::string_view file, Mark mark) {
  return mark.line == 0 ? std::string(file) : fmt::format("{}:{}:{}", file, mark.line, mark.column);
}

void parse_chunk(std::string_view file, const Chunk& chunk, const TreeLimits& limits, Budget& budget,
                 std::vector<Document>& out) {
  Document failed;
  failed.start = {chunk.line_offset + 1, 1};
  try {
    std::istringstream stream{std::string(chunk.text)};
    YAML::Parser parser(stream);
    for (;;) {
      TreeBuilder builder(file, limits, budget, chunk.line_offset);
      if (!parser.HandleNextDocument(builder) || !builder.seen) return;
      if (builder.start.line == 0) builder.start = failed.start;
      if (builder.root.is_null() && builder.errors.empty()) continue;
      Document document{.root = std::move(builder.root), .start = builder.start, .errors = std::move(builder.errors)};
      if (document.root.mark.line != 0) document.start = document.root.mark;
      out.push_back(std::move(document));
      if (out.size() > limits.documents_max) {
        failed.errors.push_back({std::string(file), fmt::format("more than {} documents", limits.documents_max)});
        break;
      }
    }
  } catch (const TreeError& error) {
    failed.errors.push_back({place(file, error.mark), error.message});
  } catch (const YAML::Exception& error) {
    failed.errors.push_back({place(file, to_mark(error.mark, chunk.line_offset)), "not YAML: " + error.msg});
  } catch (const std::exception& error) {
    failed.errors.push_back({place(file, failed.start), fmt::format("not YAML: {}", error.what())});
  }
  out.push_back(std::move(failed));
}

}  // namespace

std::vector<Document> parse_yaml(std::string_view file, std::string_view text, const TreeLimits& limits) {
  std::vector<Document> out;
  if (text.size() > limits.bytes_max) {
    out.push_back({.errors = {{std::string(file),
                               fmt::format("{} bytes long: at most {} are read", text.size(), limits.bytes_max)}}});
    return out;
  }
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  Budget budget;
  for (const auto& chunk : split_documents(text)) {
    parse_chunk(file, chunk, limits, budget, out);
    if (out.size() > limits.documents_max) break;
  }
  return out;
}

}  // namespace sluice::config
