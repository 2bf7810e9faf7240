// Cookie persistence: the cookie that keeps a client with its member, as BIG-IP writes it, and a hashed kind.
//
// Called by: lb/l7 sessions. Runs on: workers. Follows: F5 K6917 (encoding of the BIGipServer cookie), RFC 6265.
// Tested by: tests/lb/l7/http_policy_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dataplane/base/address.h"
#include "dataplane/base/hash.h"
#include "lb/l7/http_head.h"

namespace sluice::lb::http {

// "BIGipServer<pool>", or the name that the options give.
std::string cookie_name(const CookiePersistence& options, std::string_view pool);

// 10.1.1.100:8080 is "1677787402.36895.0000".
std::uint32_t write_bigip_value(Ipv4Endpoint member, std::span<char> out);
// Nothing when the text is not exactly such a value.
std::optional<Ipv4Endpoint> parse_bigip_value(std::string_view value);

// 16 hex digits of a keyed hash of the member; `seed` must be the same on all workers and over restarts (derived from
// the pool's name: hashed_seed).
HashSeed hashed_seed(std::string_view pool);
std::uint32_t write_hashed_value(const HashSeed& seed, Ipv4Endpoint member, std::span<char> out);
std::optional<std::uint64_t> parse_hashed_value(std::string_view value);
std::uint64_t hashed_value(const HashSeed& seed, Ipv4Endpoint member);

// The value of the first cookie of this name (names are compared exactly) in the request's Cookie fields; nothing:
// none.
std::optional<std::string_view> find_cookie(const Head& request, std::string_view name);

// "name=value; path=/; Httponly"; 0: `out` is too small.
std::uint32_t write_set_cookie(const CookiePersistence& options, std::string_view name, std::string_view value,
                               std::span<char> out);

}  // namespace sluice::lb::http
