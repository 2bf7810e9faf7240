// Uint128: the compiler's 128-bit integer under a name that -Wpedantic accepts.
//
// Called by: base/hash, base/rng. Runs on: any thread. Follows: a GNU extension. Tested by: the tests of its users.
#pragma once

namespace sluice {

__extension__ typedef unsigned __int128 Uint128;  // NOLINT: `using` cannot carry __extension__

}  // namespace sluice
