// Result<T>: a value, or one Error that names the place and the mend. Nothing in Sluice throws across a folder's
// border.
//
// Called by: everybody. Runs on: any thread. Follows: tl::expected (libexpected-dev; std::expected is C++23).
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace sluice {

// What went wrong, where, and what would be right, in words for the person who can mend it.
struct Error {
  std::string place;    // "sluice.yaml:12:5 virtual-servers[0].destination", "port int_vlan", "peer 172.16.40.199"
  std::string message;  // "\"10.0.0.300:80\" is no address: write a.b.c.d:port"

  std::string text() const { return place.empty() ? message : place + ": " + message; }
  friend bool operator==(const Error&, const Error&) = default;
};

// Validation reports everything that is wrong at once.
using Errors = std::vector<Error>;

template <typename T>
using Result = tl::expected<T, Error>;
using Status = tl::expected<void, Error>;

inline tl::unexpected<Error> fail(std::string place, std::string message) {
  return tl::unexpected<Error>(Error{std::move(place), std::move(message)});
}

}  // namespace sluice
