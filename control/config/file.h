// read_file: a small text file as a string, or why not.
//
// Called by: load_file, io/manifest_folder. Runs on: control thread. Tested by: tests/control/config/parse_test.cc
#pragma once

#include <cstddef>
#include <string>

#include "dataplane/base/result.h"

namespace sluice::config {

inline constexpr std::size_t kFileBytesMax = 16 << 20;

// Regular files only (a pipe would block the control thread), at most `bytes_max` long.
Result<std::string> read_file(const std::string& path, std::size_t bytes_max = kFileBytesMax);

}  // namespace sluice::config
