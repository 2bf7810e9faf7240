// The policy language, word by word; see bgp_policy.h.
#include "control/config/bgp_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace sluice::config {
namespace {

constexpr unsigned kPrependMax = 32;
constexpr unsigned kPathLengthMax = 1000;

constexpr std::pair<std::uint32_t, std::string_view> kNamedCommunities[] = {
    {0xffff0000, "graceful-shutdown"}, {0xffff0006, "llgr-stale"},   {0xffff0007, "no-llgr"}, {0xffff029a, "blackhole"},
    {0xffffff01, "no-export"},         {0xffffff02, "no-advertise"}, {0xffffff03, "local-as"}};

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
  // Whether the next word is this one; then it is taken.
  bool take(std::string_view word) {
    if (peek() != word) return false;
    next();
    return true;
  }

 private:
  std::string_view line_;
};

tl::unexpected<Error> bad(std::string_view word, std::string_view expected) {
  return fail("policy rule", word.empty() ? fmt::format("ends where {} should follow", expected)
                                          : fmt::format("\"{}\": expected {}", word, expected));
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

struct Span {
  unsigned low, high;
};

// "3" or "1..3" within the limits.
std::optional<Span> parse_span(std::string_view text, unsigned min, unsigned max) {
  const auto dots = text.find("..");
  const auto low = number<unsigned>(text.substr(0, dots));
  const auto high = dots == std::string_view::npos ? low : number<unsigned>(text.substr(dots + 2));
  if (!low || !high || *low < min || *high < *low || *high > max) return std::nullopt;
  return Span{*low, *high};
}

// What stands behind a prefix: "length A..B", "ge A", "le B", "ge A le B", or nothing.
Status parse_lengths(Words& words, PrefixMatch& match) {
  const unsigned own = match.prefix.length, bits = match.prefix.address.bits();
  if (words.take("length")) {
    const auto word = words.next();
    const auto span = parse_span(word, own, bits);
    if (!span) return bad(word, fmt::format("lengths such as {}..{}", own, bits));
    match.length_min = static_cast<std::uint8_t>(span->low);
    match.length_max = static_cast<std::uint8_t>(span->high);
    return {};
  }
  const auto bound = [&](std::string_view what, unsigned low, std::uint8_t& out) -> Status {
    const auto word = words.next();
    const auto span = parse_span(word, low, bits);
    if (!span || span->low != span->high)
      return bad(word, fmt::format("a length of {} to {} behind {}", low, bits, what));
    out = static_cast<std::uint8_t>(span->low);
    return {};
  };
  const bool ge = words.take("ge");
  if (ge) {
    match.length_max = static_cast<std::uint8_t>(bits);
    if (auto ok = bound("ge", own, match.length_min); !ok) return ok;
  }
  if (words.take("le")) return bound("le", ge ? match.length_min : own, match.length_max);
  return {};
}

Result<PrefixMatch> parse_prefix(Words& words) {
  const auto word = words.next();
  const auto prefix = word == "default" ? std::optional(IpPrefix(Ipv4Prefix{})) : IpPrefix::parse(word);
  if (!prefix) return bad(word, "a prefix such as 10.244.0.0/16 with host bits zero");
  PrefixMatch match{*prefix, prefix->length, prefix->length};
  if (auto ok = parse_lengths(words, match); !ok) return tl::unexpected(ok.error());
  return match;
}

Status add_list(std::string_view name, const PrefixLists& lists, PolicyRule& rule) {
  const auto list = lists.find(name);
  if (list == lists.end()) return bad(name, "the name of one of bgp.prefix-lists behind prefix-list");
  rule.prefixes.insert(rule.prefixes.end(), list->second.begin(), list->second.end());
  return {};
}

// Puts the community into the list of its kind.
Status parse_community_word(Words& words, std::vector<std::uint32_t>& plain, std::vector<LargeCommunity>& large) {
  const auto word = words.next();
  if (const auto community = parse_community(word))
    plain.push_back(*community);
  else if (const auto big = parse_large_community(word))
    large.push_back(*big);
  else
    return bad(word, "a community such as 64512:100, 64512:1:2 or graceful-shutdown");
  return {};
}

Status parse_as_path(Words& words, PolicyRule& rule) {
  if (words.take("length")) {
    const auto word = words.next();
    const auto span = parse_span(word, 0, kPathLengthMax);
    if (!span) return bad(word, "a number of AS numbers such as 2 or 0..3");
    rule.as_path_min = span->low;
    rule.as_path_max = span->high;
    return {};
  }
  words.take("contains");
  const auto word = words.next();
  rule.as_in_path = number<std::uint32_t>(word);
  if (!rule.as_in_path) return bad(word, "an AS number, contains or length");
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
    if (how == "add") return parse_community_word(words, rule.add_communities, rule.add_large_communities);
    if (how == "remove") return parse_community_word(words, rule.remove_communities, rule.remove_large_communities);
    return bad(how, "add, remove or none");
  }
  if (what != "local-pref" && what != "med" && what != "prepend") {
    return bad(what, "local-pref, med, prepend, next-hop or community");
  }
  const auto word = words.next();
  const auto value = number<std::uint32_t>(word);
  if (!value) return bad(word, "a number");
  if (what == "local-pref") rule.set_local_pref = value;
  if (what == "med") rule.set_med = value;
  if (what == "prepend") {
    if (*value == 0 || *value > kPrependMax) return bad(word, fmt::format("1 to {}", kPrependMax));
    rule.prepend = *value;
  }
  return {};
}

Status parse_clause(std::string_view word, Words& words, const PrefixLists& lists, PolicyRule& rule) {
  if (word == "any") return {};
  if (word == "prefix") {
    auto match = parse_prefix(words);
    if (!match) return tl::unexpected(match.error());
    rule.prefixes.push_back(*match);
    return {};
  }
  if (word == "prefix-list") return add_list(words.next(), lists, rule);
  if (word == "set") return parse_set(words, rule);
  if (word == "community") return parse_community_word(words, rule.communities, rule.large_communities);
  if (word == "as-path") return parse_as_path(words, rule);
  if (word == "next-hop") {
    const auto value = words.next();
    rule.next_hop = IpAddress::parse(value);
    if (!rule.next_hop) return bad(value, "an address");
    return {};
  }
  return bad(word, "any, prefix, prefix-list, community, as-path, next-hop, set, accept, reject or next");
}

}  // namespace

// ---- communities

std::string community_text(std::uint32_t community) {
  for (const auto& [value, name] : kNamedCommunities) {
    if (value == community) return std::string(name);
  }
  return fmt::format("{}:{}", community >> 16, community & 0xffff);
}

std::optional<std::uint32_t> parse_community(std::string_view text) {
  for (const auto& [value, name] : kNamedCommunities) {
    if (name == text) return value;
  }
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto high = number<std::uint16_t>(text.substr(0, colon)), low = number<std::uint16_t>(text.substr(colon + 1));
  if (!high || !low) return std::nullopt;
  return std::uint32_t{*high} << 16 | *low;
}

std::string community_text(const LargeCommunity& c) { return fmt::format("{}:{}:{}", c.global, c.local1, c.local2); }

std::optional<LargeCommunity> parse_large_community(std::string_view text) {
  std::array<std::uint32_t, 3> parts{};
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto colon = text.find(':');
    if ((colon == std::string_view::npos) != (i + 1 == parts.size())) return std::nullopt;
    const auto part = number<std::uint32_t>(text.substr(0, colon));
    if (!part) return std::nullopt;
    parts[i] = *part;
    text = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  }
  return LargeCommunity{parts[0], parts[1], parts[2]};
}

// ---- rules

Result<PrefixMatch> parse_prefix_match(std::string_view text) {
  Words words(text);
  auto match = parse_prefix(words);
  if (match && !words.done()) return bad(words.next(), "length A..B, ge A, le B or nothing behind the prefix");
  return match;
}

Result<PolicyRule> parse_policy_rule(std::string_view line, const PrefixLists& lists) {
  Words words(line);
  PolicyRule rule;
  bool any = false, sets = false;
  while (!words.done()) {
    const auto word = words.next();
    if (word == "accept" || word == "reject" || word == "next") {
      rule.verdict = word == "accept" ? Verdict::accept : word == "reject" ? Verdict::reject : Verdict::next;
      if (!words.done()) return bad(words.next(), "nothing after accept, reject or next");
      if (!any) return bad(word, "a condition before it; write \"any\" for every route");
      if (sets && rule.verdict == Verdict::reject) return bad(word, "accept or next: what is rejected cannot be set");
      return rule;
    }
    any = true;
    sets = sets || word == "set";
    if (auto ok = parse_clause(word, words, lists, rule); !ok) return tl::unexpected(ok.error());
  }
  return bad({}, "accept, reject or next");
}

tl::expected<Policy, Errors> parse_policy(const std::vector<std::string>& lines, const PrefixLists& lists) {
  Policy policy;
  Errors errors;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto rule = parse_policy_rule(lines[i], lists);
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

std::string text_of(const PrefixMatch& m) {
  if (m.length_min == m.prefix.length && m.length_max == m.prefix.length) return m.prefix.text();
  return fmt::format("{} length {}..{}", m.prefix.text(), m.length_min, m.length_max);
}

std::string text_of(const PolicyRule& rule) {
  std::string out;
  const auto add = [&out](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  const auto add_all = [&add](const std::string& what, const auto& plain, const auto& large) {
    for (const auto& c : plain) add(what + community_text(c));
    for (const auto& c : large) add(what + community_text(c));
  };
  for (const auto& m : rule.prefixes) add("prefix " + text_of(m));
  add_all("community ", rule.communities, rule.large_communities);
  if (rule.as_in_path) add(fmt::format("as-path {}", *rule.as_in_path));
  if (rule.as_path_min) add(fmt::format("as-path length {}..{}", *rule.as_path_min, *rule.as_path_max));
  if (rule.next_hop) add("next-hop " + rule.next_hop->text());
  if (out.empty()) add("any");
  if (rule.set_local_pref) add(fmt::format("set local-pref {}", *rule.set_local_pref));
  if (rule.set_med) add(fmt::format("set med {}", *rule.set_med));
  if (rule.set_next_hop) add("set next-hop " + rule.set_next_hop->text());
  if (rule.prepend != 0) add(fmt::format("set prepend {}", rule.prepend));
  if (rule.clear_communities) add("set community none");
  add_all("set community remove ", rule.remove_communities, rule.remove_large_communities);
  add_all("set community add ", rule.add_communities, rule.add_large_communities);
  add(rule.verdict == Verdict::accept ? "accept" : rule.verdict == Verdict::reject ? "reject" : "next");
  return out;
}

}  // namespace sluice::config
