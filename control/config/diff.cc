// The comparison of two Configs, on the trees that print makes of them; see diff.h.
#include "control/config/diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <type_traits>
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

// Whether self IPs stand on ports that the running engine does not have: then they, and the routes through them, wait
// for the restart that brings the ports.
bool self_ips_wait(const Config& before, const Config& after) {
  return std::any_of(after.self_ips.begin(), after.self_ips.end(), [&](const SelfIp& self) {
    return std::none_of(before.ports.begin(), before.ports.end(),
                        [&](const Port& port) { return port.name == self.port; });
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

// Lists whose order counts, or whose elements have no name of their own: an element is what stands at its place.
bool goes_by_place(std::string_view path) { return path.ends_with(".header-rules") || path.ends_with(".routes"); }

// Elements of a list by their identity.
std::unordered_map<std::string, const Node*> index(const Node* list) {
  std::unordered_map<std::string, const Node*> out;
  if (list == nullptr) return out;
  for (const auto& item : list->items) out.emplace(identity(item), &item);
  return out;
}

// Compares complete trees; `sparse` is the same place in the tree of `after` without defaults, from which what was
// added is shown.
class Comparison {
 public:
  std::vector<Change> changes;

  void compare(const std::string& path, const Node& before, const Node& after, const Node* sparse) {
    if (before == after) return;
    if (before.is_map() && after.is_map())
      compare_maps(path, before, after, sparse);
    else if (goes_by_place(path))
      compare_places(path, before, after, sparse);
    else if (is_list_of_maps(before) || is_list_of_maps(after))
      compare_lists(path, before, after, sparse);
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

  void compare_maps(const std::string& path, const Node& before, const Node& after, const Node* sparse) {
    std::unordered_map<std::string_view, const Node*> old, shown;
    for (std::size_t i = 0; i < before.keys.size(); ++i) old.emplace(before.keys[i], &before.items[i]);
    for (std::size_t i = 0; sparse != nullptr && i < sparse->keys.size(); ++i)
      shown.emplace(sparse->keys[i], &sparse->items[i]);
    for (std::size_t i = 0; i < after.keys.size(); ++i) {
      const auto found = old.find(after.keys[i]);
      const auto show = shown.find(after.keys[i]);
      const Node* below = show == shown.end() ? nullptr : show->second;
      if (found == old.end()) {
        add(Change::Kind::added, join(path, after.keys[i]), nullptr, below);
        continue;
      }
      compare(join(path, after.keys[i]), *found->second, after.items[i], below);
      old.erase(found);
    }
    for (std::size_t i = 0; i < before.keys.size(); ++i)
      if (old.contains(before.keys[i]))
        add(Change::Kind::removed, join(path, before.keys[i]), &before.items[i], nullptr);
  }

  void compare_places(const std::string& path, const Node& before, const Node& after, const Node* sparse) {
    for (std::size_t i = 0; i < std::max(before.items.size(), after.items.size()); ++i) {
      const std::string item_path = fmt::format("{}[{}]", path, i);
      const Node* below = sparse != nullptr && i < sparse->items.size() ? &sparse->items[i] : nullptr;
      if (i >= before.items.size())
        add(Change::Kind::added, item_path, nullptr, below);
      else if (i >= after.items.size())
        add(Change::Kind::removed, item_path, &before.items[i], nullptr);
      else
        compare(item_path, before.items[i], after.items[i], below);
    }
  }

  void compare_lists(const std::string& path, const Node& before, const Node& after, const Node* sparse) {
    auto old = index(&before);
    const auto shown = index(sparse);
    for (const auto& item : after.items) {
      const std::string name = identity(item);
      const std::string item_path = fmt::format("{}[{}]", path, name);
      const auto found = old.find(name);
      const auto show = shown.find(name);
      const Node* below = show == shown.end() ? nullptr : show->second;
      if (found == old.end()) {
        add(Change::Kind::added, item_path, nullptr, below);
        continue;
      }
      compare(item_path, *found->second, item, below);
      old.erase(found);
    }
    for (const auto& item : before.items)
      if (old.contains(identity(item)))
        add(Change::Kind::removed, fmt::format("{}[{}]", path, identity(item)), &item, nullptr);
  }
};

// Takes what is equal on both sides out of them: trees of a hundred thousand members take seconds to make, and a change
// is mostly of one.
template <typename T, typename Key>
void drop_equal(std::vector<T>& before, std::vector<T>& after, Key key) {
  std::map<std::decay_t<std::invoke_result_t<Key, const T&>>, const T*> old;
  for (const auto& item : before) old.emplace(key(item), &item);
  std::set<std::decay_t<std::invoke_result_t<Key, const T&>>> equal;
  for (const auto& item : after)
    if (const auto found = old.find(key(item)); found != old.end() && *found->second == item) equal.insert(key(item));
  const auto drop = [&](const T& item) { return equal.contains(key(item)); };
  std::erase_if(before, drop);
  std::erase_if(after, drop);
}

void drop_equal(Config& before, Config& after) {
  const auto name = [](const auto& item) { return item.name; };
  drop_equal(before.monitors, after.monitors, name);
  drop_equal(before.pools, after.pools, name);
  drop_equal(before.virtual_servers, after.virtual_servers, name);
  drop_equal(before.virtual_addresses, after.virtual_addresses, [](const VirtualAddress& a) { return a.address; });
  std::map<std::string_view, Pool*> old;
  for (auto& pool : before.pools) old.emplace(pool.name, &pool);
  for (auto& pool : after.pools)
    if (const auto found = old.find(pool.name); found != old.end())
      drop_equal(found->second->members, pool.members, [](const Member& member) { return member.endpoint; });
}

}  // namespace

std::string Change::text() const {
  const char* tail = needs_restart ? "   (needs a restart)" : "";
  switch (kind) {
    case Kind::added:
      return fmt::format("+ {}{}{}{}", path, after.empty() ? "" : ": ", after, tail);
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
  Config old = before, fresh = after;
  drop_equal(old, fresh);
  Comparison comparison;
  const WriteOptions complete{.all = true, .secrets = true};
  const Node sparse = to_tree(fresh, {.secrets = true});
  comparison.compare("", to_tree(old, complete), to_tree(fresh, complete), &sparse);
  Diff out{std::move(comparison.changes)};
  if (self_ips_wait(before, after))
    for (auto& change : out.changes)
      if (change.path.starts_with("self-ips[") || change.path.starts_with("routes[")) change.needs_restart = true;
  return out;
}

Config applicable(const Config& before, const Config& after) {
  Config out = after;
  out.engine = before.engine;
  out.ports = before.ports;
  out.admin = before.admin;
  if (self_ips_wait(before, after)) {
    out.self_ips = before.self_ips;
    out.routes = before.routes;
  }
  if (before.bgp.local_as != 0 && out.bgp.local_as != 0) out.bgp.listen_port = before.bgp.listen_port;
  return out;
}

}  // namespace sluice::config
