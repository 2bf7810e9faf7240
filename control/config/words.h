// The words of the configuration, both ways: enum values and the names that users write and read.
//
//   name_of(Balance::maglev)            -> "consistent-hash"
//   value_of<Balance>("ratio-member")   -> Balance::ratio_member
//   names<Balance>()                    -> "round-robin, ratio-member, ..." for messages
//
// Called by: parse, print, k8s, admin, cli. Runs on: any thread. Tested by: tests/control/config/words_test.cc
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "control/config/model.h"

namespace sluice::config {

template <typename E>
struct Word {
  E value;
  std::string_view name;
};

// One table per enum (words.cc); the first name of a value is the one that is printed.
template <typename E>
std::span<const Word<E>> words();

template <>
std::span<const Word<Balance>> words<Balance>();
template <>
std::span<const Word<MemberState>> words<MemberState>();
template <>
std::span<const Word<ServiceDownAction>> words<ServiceDownAction>();
template <>
std::span<const Word<Protocol>> words<Protocol>();
template <>
std::span<const Word<Mode>> words<Mode>();
template <>
std::span<const Word<SnatKind>> words<SnatKind>();
template <>
std::span<const Word<PersistKind>> words<PersistKind>();
template <>
std::span<const Word<IcmpEcho>> words<IcmpEcho>();
template <>
std::span<const Word<RouteAdvertisement>> words<RouteAdvertisement>();
template <>
std::span<const Word<MonitorType>> words<MonitorType>();
template <>
std::span<const Word<PoolMemberType>> words<PoolMemberType>();
template <>
std::span<const Word<AddPath>> words<AddPath>();
template <>
std::span<const Word<BgpRole>> words<BgpRole>();

template <>
std::span<const Word<CookiePersistKind>> words<CookiePersistKind>();
template <>
std::span<const Word<HeaderRuleAction>> words<HeaderRuleAction>();
template <>
std::span<const Word<HeaderRuleSide>> words<HeaderRuleSide>();
template <>
std::span<const Word<ProxyProtocolIn>> words<ProxyProtocolIn>();
template <>
std::span<const Word<ProxyProtocolOut>> words<ProxyProtocolOut>();
template <>
std::span<const Word<FallbackAction>> words<FallbackAction>();
template <>
std::span<const Word<AccessLog>> words<AccessLog>();

template <typename E>
std::string_view name_of(E value) {
  for (const auto& word : words<E>())
    if (word.value == value) return word.name;
  return "?";
}

template <typename E>
std::optional<E> value_of(std::string_view name) {
  for (const auto& word : words<E>())
    if (word.name == name) return word.value;
  return std::nullopt;
}

// "a, b or c": every name, for messages.
template <typename E>
std::string names() {
  std::string out;
  const auto table = words<E>();
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (i > 0) out += i + 1 == table.size() ? " or " : ", ";
    out += table[i].name;
  }
  return out;
}

// What to say about a balance name that is not ours: whether BIG-IP has it, and which are valid.
std::string explain_balance(std::string_view name);

// The nearest of `candidates` to a mistyped name, if one is near enough; "" if none.
std::string_view nearest(std::string_view name, std::span<const std::string_view> candidates);

// ": did you mean \"web\"?" or "".
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace sluice::config
