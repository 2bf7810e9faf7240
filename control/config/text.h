// How single values are written in sluice.yaml, both ways: numbers, durations, addresses, words.
//
// from_text() sets `out`, or returns what is wrong with the text as the rest of a sentence that starts with the text:
// "is no IPv4 address: write a.b.c.d". to_text() prints what from_text() reads.
//
// Called by: reader, writer, k8s. Runs on: control thread. Tested by: tests/control/config/text_test.cc
#pragma once

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "control/config/model.h"
#include "control/config/words.h"

namespace sluice::config {

using Problem = std::optional<std::string>;

template <typename T>
struct Range {
  T min;
  T max;
};

// "512MB" (also GB, or plain megabytes).
struct Megabytes {
  unsigned& value;
};

// "10.0.0.1:8080", "10.0.0.1", "*:8080": where a monitor probes instead of the member.
struct MonitorDestination {
  std::optional<Ipv4Address>& address;
  std::optional<std::uint16_t>& port;
};

Problem from_text(std::string_view text, std::string& out);
Problem from_text(std::string_view text, bool& out);
Problem from_text(std::string_view text, Duration& out);
Problem from_text(std::string_view text, Ipv4Address& out);
Problem from_text(std::string_view text, Ipv4Interface& out);
Problem from_text(std::string_view text, Ipv4Prefix& out);  // also "default"
Problem from_text(std::string_view text, Ipv4Endpoint& out);
Problem from_text(std::string_view text, Megabytes out);
Problem from_text(std::string_view text, MonitorDestination out);
Problem number_from_text(std::string_view text, std::uint64_t min, std::uint64_t max, std::uint64_t& out);

std::string to_text(const std::string& value);
std::string to_text(bool value);
std::string to_text(Duration value);
std::string to_text(Ipv4Address value);
std::string to_text(Ipv4Interface value);
std::string to_text(Ipv4Prefix value);
std::string to_text(Ipv4Endpoint value);
std::string to_text(Megabytes value);
std::string to_text(MonitorDestination value);

template <std::unsigned_integral T>
requires(!std::same_as<T, bool>) std::string to_text(T value) { return std::to_string(value); }

template <typename E>
requires std::is_enum_v<E> std::string to_text(E value) { return std::string(name_of(value)); }

template <typename E>
requires std::is_enum_v<E> Problem from_text(std::string_view text, E& out) {
  if (const auto value = value_of<E>(text)) {
    out = *value;
    return std::nullopt;
  }
  if constexpr (std::is_same_v<E, Balance>) return explain_balance(text);
  return "is not valid here: write " + names<E>();
}

template <std::unsigned_integral T>
requires(!std::same_as<T, bool>) Problem from_text(std::string_view text, T& out, Range<T> range) {
  std::uint64_t value = 0;
  if (auto problem = number_from_text(text, range.min, range.max, value)) return problem;
  out = static_cast<T>(value);
  return std::nullopt;
}

Problem from_text(std::string_view text, Duration& out, Range<Duration> range);

// A name as objects carry them: 1..500 visible ASCII characters without quotes, commas, braces or brackets.
Problem check_name(std::string_view text);

}  // namespace sluice::config
