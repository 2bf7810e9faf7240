// The comparison of two Configs, on the trees that print makes of them; see diff.h.
#include "control/config/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "control/config/print.h"
#include "control/config/writer.h"

namespace sluice::config {
namespace {

// Fixed when the engine starts: DPDK's memory, ports and threads, and the sockets that everybody already knows.
constexpr std::array<std::string_view, 4> kRestartSections{"engine", "ports", "admin", "bgp.listen-port"};

bool needs_restart(std::string_view path) {
  return std::any_of(kRestartSections.begin(), kRestartSections.end(), [&](std::string_view section) {
    return path.starts_with(section) && (path.size() == section.size() || path[section.size()] == '.');
  });
}

// A value on one line, for the right side of a change.
std::string brief(const Node& node) {
  if (node.is_scalar())
    return node.text.find_first_of(" \r\n\t\"") == std::string::npos && !node.text.empty() ? node.text
                                                                                           : in_quotes(node.text);
  if (node.is_null()) return "null";
  constexpr std::size_t kShown = 4;
  std::string out;
  for (std::size_t i = 0; i < node.items.size() && i < kShown; ++i) {
    if (!out.empty()) out += ", ";
    if (node.is_map()) out += node.keys[i] + ": ";
    const Node& item = node.items[i];
    if (node.is_map() && node.keys[i] == "password")
      out += kMaskedSecret;
    else if (item.is_scalar() || item.is_null())
      out += brief(item);
    else
      out += fmt::format("{} {}", item.items.size(), item.is_map() ? "settings" : "entries");
  }
  if (node.items.size() > kShown) out += fmt::format(", ... ({} more)", node.items.size() - kShown);
  return node.is_map() ? out : '[' + out + ']';
}

// What makes an element of a list the same element in both lists.
std::string identity(const Node& item) {
  if (!item.is_map() || item.items.empty()) return item.text;
  for (const auto* key : {"address", "prefix"})
    if (const Node* value = item.find(key)) return value->text;
  return item.items[0].text;
}

class Comparison {
 public:
  std::vector<Change> changes;

  void compare(const std::string& path, const Node& before, const Node& after) {
    if (before == after) return;
    if (before.is_map() && after.is_map())
      compare_maps(path, before, after);
    else if (is_list_of_maps(before) || is_list_of_maps(after))
      compare_lists(path, before, after);
    else
      add(Change::Kind::changed, path, &before, &after);
  }

 private:
  static bool is_list_of_maps(const Node& node) {
    return node.is_sequence() && !node.items.empty() && node.items[0].is_map();
  }

  void add(Change::Kind kind, const std::string& path, const Node* before, const Node* after) {
    const bool secret = path.ends_with(".password");
    const auto show = [&](const Node* node) {
      return node == nullptr ? "" : secret ? std::string(kMaskedSecret) : brief(*node);
    };
    changes.push_back({kind, path, show(before), show(after), needs_restart(path)});
  }

  static std::string join(const std::string& path, const std::string& key) {
    return path.empty() ? key : path + '.' + key;
  }

  void compare_maps(const std::string& path, const Node& before, const Node& after) {
    std::unordered_map<std::string_view, const Node*> old;
    for (std::size_t i = 0; i < before.keys.size(); ++i) old.emplace(before.keys[i], &before.items[i]);
    for (std::size_t i = 0; i < after.keys.size(); ++i) {
      const auto found = old.find(after.keys[i]);
      if (found == old.end()) {
        add(Change::Kind::added, join(path, after.keys[i]), nullptr, &after.items[i]);
        continue;
      }
      compare(join(path, after.keys[i]), *found->second, after.items[i]);
      old.erase(found);
    }
    for (std::size_t i = 0; i < before.keys.size(); ++i)
      if (old.contains(before.keys[i]))
        add(Change::Kind::removed, join(path, before.keys[i]), &before.items[i], nullptr);
  }

  void compare_lists(const std::string& path, const Node& before, const Node& after) {
    std::unordered_map<std::string, const Node*> old;
    for (const auto& item : before.items) old.emplace(identity(item), &item);
    for (const auto& item : after.items) {
      const std::string name = identity(item);
      const std::string item_path = fmt::format("{}[{}]", path, name);
      const auto found = old.find(name);
      if (found == old.end()) {
        add(Change::Kind::added, item_path, nullptr, &item);
        continue;
      }
      compare(item_path, *found->second, item);
      old.erase(found);
    }
    for (const auto& item : before.items)
      if (old.contains(identity(item)))
        add(Change::Kind::removed, fmt::format("{}[{}]", path, identity(item)), &item, nullptr);
  }
};

}  // namespace

std::string Change::text() const {
  const char* tail = needs_restart ? "   (needs a restart)" : "";
  switch (kind) {
    case Kind::added:
      return fmt::format("+ {}: {}{}", path, after, tail);
    case Kind::removed:
      return fmt::format("- {}{}", path, tail);
    case Kind::changed:
      return fmt::format("~ {}: {} -> {}{}", path, before, after, tail);
  }
  return "?";
}

bool Diff::needs_restart() const {
  return std::any_of(changes.begin(), changes.end(), [](const Change& change) { return change.needs_restart; });
}

bool Diff::touches(std::string_view section) const {
  return std::any_of(changes.begin(), changes.end(), [&](const Change& change) {
    const std::string_view path = change.path;
    return path.starts_with(section) &&
           (path.size() == section.size() || path[section.size()] == '.' || path[section.size()] == '[');
  });
}

std::string Diff::text() const {
  if (changes.empty()) return "nothing changes\n";
  std::string out;
  for (const auto& change : changes) out += change.text() + '\n';
  return out;
}

Diff diff(const Config& before, const Config& after) {
  if (before == after) return {};
  Comparison comparison;
  const WriteOptions options{.all = true, .secrets = true};
  comparison.compare("", to_tree(before, options), to_tree(after, options));
  return {std::move(comparison.changes)};
}

Config applicable(const Config& before, const Config& after) {
  Config out = after;
  out.engine = before.engine;
  out.ports = before.ports;
  out.admin = before.admin;
  if (before.bgp.local_as != 0 && out.bgp.local_as != 0) out.bgp.listen_port = before.bgp.listen_port;
  return out;
}

}  // namespace sluice::config
