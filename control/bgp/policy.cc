// Policy: the one-line syntax, and applying it.
#include "control/bgp/policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "control/bgp/attributes.h"

namespace sluice::bgp {
namespace {

class Words {
 public:
  explicit Words(std::string_view line) : line_(line) {}
  std::string_view next() {
    const auto start = std::min(line_.find_first_not_of(" \t"), line_.size());
    line_.remove_prefix(start);
    const auto word = line_.substr(0, line_.find_first_of(" \t"));
    line_.remove_prefix(word.size());
    return word;
  }
  bool done() const { return line_.find_first_not_of(" \t") == std::string_view::npos; }
  std::string_view peek() const { return Words(*this).next(); }

 private:
  std::string_view line_;
};

tl::unexpected<Error> bad(std::string_view word, std::string_view expected) {
  return fail("policy rule", word.empty() ? fmt::format("ends where {} should follow", expected)
                                          : fmt::format("\"{}\": expected {}", word, expected));
}

std::optional<std::uint32_t> number(std::string_view text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

Status parse_prefix(Words& words, PolicyRule& rule) {
  const auto word = words.next();
  const auto prefix = routing::IpPrefix::parse(word);
  if (!prefix) return bad(word, "a prefix such as 10.244.0.0/16 with host bits zero");
  PolicyRule::PrefixMatch match{*prefix, prefix->length, prefix->length};
  if (words.peek() == "length") {
    words.next();
    const auto range = words.next();
    const auto dots = range.find("..");
    const auto low = number(range.substr(0, dots));
    const auto high = dots == std::string_view::npos ? low : number(range.substr(dots + 2));
    if (!low || !high || *low < prefix->length || *high < *low || *high > prefix->address.bits()) {
      return bad(range, fmt::format("lengths such as {}..{}", prefix->length, prefix->address.bits()));
    }
    match.length_min = static_cast<std::uint8_t>(*low);
    match.length_max = static_cast<std::uint8_t>(*high);
  }
  rule.prefixes.push_back(match);
  return {};
}

Status parse_set(Words& words, PolicyRule& rule) {
  const auto what = words.next();
  if (what == "next-hop") {
    const auto word = words.next();
    rule.set_next_hop = IpAddress::parse(word);
    if (!rule.set_next_hop) return bad(word, "an address");
    return {};
  }
  if (what == "community") {
    const auto how = words.next();
    if (how == "none") {
      rule.clear_communities = true;
      return {};
    }
    if (how != "add" && how != "remove") return bad(how, "add, remove or none");
    const auto word = words.next();
    const auto community = parse_community(word);
    if (!community) return bad(word, "a community such as 64512:100 or graceful-shutdown");
    (how == "add" ? rule.add_communities : rule.remove_communities).push_back(*community);
    return {};
  }
  if (what != "local-pref" && what != "med" && what != "prepend") {
    return bad(what, "local-pref, med, prepend, next-hop or community");
  }
  const auto word = words.next();
  const auto value = number(word);
  if (!value) return bad(word, "a number");
  if (what == "local-pref") rule.set_local_pref = value;
  if (what == "med") rule.set_med = value;
  if (what == "prepend") {
    if (*value > 32) return bad(word, "at most 32");
    rule.prepend = *value;
  }
  return {};
}

bool matches(const PolicyRule& rule, const routing::IpPrefix& prefix, const PathAttributes& attributes) {
  const auto in = [&prefix](const PolicyRule::PrefixMatch& m) {
    return m.prefix.contains(prefix) && prefix.length >= m.length_min && prefix.length <= m.length_max;
  };
  if (!rule.prefixes.empty() && std::none_of(rule.prefixes.begin(), rule.prefixes.end(), in)) return false;
  if (rule.community && !attributes.has_community(*rule.community)) return false;
  if (rule.as_in_path && !attributes.as_path.contains(*rule.as_in_path)) return false;
  return !rule.next_hop || attributes.next_hop == *rule.next_hop;
}

void set(const PolicyRule& rule, PathAttributes& a, std::uint32_t prepend_as) {
  if (rule.set_local_pref) a.local_pref = rule.set_local_pref;
  if (rule.set_med) a.med = rule.set_med;
  if (rule.set_next_hop) a.next_hop = *rule.set_next_hop;
  a.as_path.prepend(prepend_as, rule.prepend);
  if (rule.clear_communities) a.communities.clear();
  for (const auto c : rule.remove_communities) std::erase(a.communities, c);
  for (const auto c : rule.add_communities) {
    if (!a.has_community(c)) a.communities.push_back(c);
  }
}

}  // namespace

Result<PolicyRule> parse_policy_rule(std::string_view line) {
  Words words(line);
  PolicyRule rule;
  bool any = false;
  while (!words.done()) {
    const auto word = words.next();
    Status status;
    if (word == "accept" || word == "reject" || word == "next") {
      rule.verdict = word == "accept" ? Verdict::accept : word == "reject" ? Verdict::reject : Verdict::next;
      if (!words.done()) return bad(words.next(), "nothing after accept, reject or next");
      if (!any) return bad(word, "a condition before it; write \"any\" for every route");
      return rule;
    }
    any = true;
    if (word == "any") {
    } else if (word == "prefix") {
      status = parse_prefix(words, rule);
    } else if (word == "set") {
      status = parse_set(words, rule);
    } else if (word == "community") {
      const auto value = words.next();
      rule.community = parse_community(value);
      if (!rule.community) return bad(value, "a community such as 64512:100 or graceful-shutdown");
    } else if (word == "as-path") {
      const auto value = words.next();
      rule.as_in_path = number(value);
      if (!rule.as_in_path) return bad(value, "an AS number");
    } else if (word == "next-hop") {
      const auto value = words.next();
      rule.next_hop = IpAddress::parse(value);
      if (!rule.next_hop) return bad(value, "an address");
    } else {
      return bad(word, "any, prefix, community, as-path, next-hop, set, accept, reject or next");
    }
    if (!status) return tl::unexpected(status.error());
  }
  return bad({}, "accept, reject or next");
}

tl::expected<Policy, Errors> parse_policy(const std::vector<std::string>& lines) {
  Policy policy;
  Errors errors;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto rule = parse_policy_rule(lines[i]);
    if (rule) {
      policy.rules.push_back(std::move(*rule));
    } else {
      errors.push_back({fmt::format("[{}]", i), rule.error().message});
    }
  }
  if (!errors.empty()) return tl::unexpected(std::move(errors));
  if (!policy.rules.empty()) policy.otherwise = Verdict::reject;  // what no rule names is not wanted
  return policy;
}

std::string text_of(const PolicyRule& rule) {
  std::string out;
  const auto add = [&out](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  for (const auto& m : rule.prefixes) {
    add("prefix " + m.prefix.text());
    if (m.length_min != m.prefix.length || m.length_max != m.prefix.length) {
      add(fmt::format("length {}..{}", m.length_min, m.length_max));
    }
  }
  if (rule.community) add("community " + community_text(*rule.community));
  if (rule.as_in_path) add(fmt::format("as-path {}", *rule.as_in_path));
  if (rule.next_hop) add("next-hop " + rule.next_hop->text());
  if (out.empty()) add("any");
  if (rule.set_local_pref) add(fmt::format("set local-pref {}", *rule.set_local_pref));
  if (rule.set_med) add(fmt::format("set med {}", *rule.set_med));
  if (rule.set_next_hop) add("set next-hop " + rule.set_next_hop->text());
  if (rule.prepend != 0) add(fmt::format("set prepend {}", rule.prepend));
  if (rule.clear_communities) add("set community none");
  for (const auto c : rule.remove_communities) add("set community remove " + community_text(c));
  for (const auto c : rule.add_communities) add("set community add " + community_text(c));
  add(rule.verdict == Verdict::accept ? "accept" : rule.verdict == Verdict::reject ? "reject" : "next");
  return out;
}

bool apply(const Policy& policy, const routing::IpPrefix& prefix, PathAttributes& attributes,
           std::uint32_t prepend_as) {
  for (const auto& rule : policy.rules) {
    if (!matches(rule, prefix, attributes)) continue;
    if (rule.verdict == Verdict::reject) return false;
    set(rule, attributes, prepend_as);
    if (rule.verdict == Verdict::accept) return true;
  }
  return policy.otherwise != Verdict::reject;
}

}  // namespace sluice::bgp
