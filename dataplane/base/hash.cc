// The random seed of a process; see hash.h.
#include "dataplane/base/hash.h"

#include <sys/random.h>

#include <cstdlib>

namespace sluice {

HashSeed HashSeed::random() {
  HashSeed seed;
  // 16 bytes: getrandom gives them whole or, before the kernel's pool is ready, waits for them. It can only fail when
  // the system call is missing; going on with a seed that everybody knows would be worse than stopping.
  if (getrandom(&seed, sizeof seed, 0) != static_cast<ssize_t>(sizeof seed)) std::abort();
  return seed;
}

}  // namespace sluice
