// What simulations share: which seeds run, by default and by --seed N or --seeds N, and the digest of a run.
//
// Called by: tests/sim. Follows: design.md ("Pure machines, one clock").
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sluice::sim {

struct Seeds {
  std::uint64_t first = 1;
  std::uint64_t count = 0;  // 0: as many as the test finds enough
  bool verbose = false;     // each seed and its digest, before and after
  bool trace = false;       // every segment
};
inline Seeds& seeds() {
  static Seeds seeds;
  return seeds;
}

// Takes our arguments out of what GoogleTest will see; false when one is wrong.
inline bool read_arguments(int& argc, char** argv) {
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    const bool one = argument == "--seed";
    if (argument == "--verbose") {
      seeds().verbose = true;
    } else if (argument == "--trace") {
      seeds().trace = true;
    } else if (one || argument == "--seeds" || argument == "--first") {
      char* end = nullptr;
      const std::uint64_t n = i + 1 < argc ? std::strtoull(argv[++i], &end, 10) : 0;
      if (end == nullptr || *end != '\0') return false;
      if (one) {
        seeds().first = n;
        seeds().count = 1;
        seeds().verbose = true;
      } else if (argument == "--first") {
        seeds().first = n;
      } else {
        seeds().count = n;
      }
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return true;
}

// Runs `run(seed) -> digest` for each seed; the first of them twice: the same seed must do the same.
template <typename Run>
void for_each_seed(std::uint64_t by_default, Run run) {
  const std::uint64_t count = seeds().count == 0 ? by_default : seeds().count;
  for (std::uint64_t seed = seeds().first; seed < seeds().first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    if (seeds().verbose) {
      std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
      std::fflush(stdout);
    }
    const std::uint64_t digest = run(seed);
    if (seeds().verbose) std::printf("digest %016llx\n", static_cast<unsigned long long>(digest));
    if (seed == seeds().first && !seeds().trace) {
      EXPECT_EQ(run(seed), digest) << "the same seed did something else";
    }
    if (::testing::Test::HasFailure()) {
      std::printf("repeat with: --seed %llu\n", static_cast<unsigned long long>(seed));
      return;
    }
  }
}

}  // namespace sluice::sim

#define SLUICE_SIM_MAIN()                                                                                \
  int main(int argc, char** argv) {                                                                      \
    if (!sluice::sim::read_arguments(argc, argv)) {                                                      \
      std::fputs("usage: [--seed N | --first N --seeds N] [--verbose] [--trace] [--gtest_…]\n", stderr); \
      return 2;                                                                                          \
    }                                                                                                    \
    ::testing::InitGoogleTest(&argc, argv);                                                              \
    return RUN_ALL_TESTS();                                                                              \
  }
