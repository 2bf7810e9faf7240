// Fuzz: any bytes as sluice.yaml. What is accepted must print and read back as itself; nothing may crash or take long.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "control/config/diff.h"
#include "control/config/parse.h"
#include "control/config/print.h"
#include "control/config/validate.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::config;
  const auto outcome = parse("fuzz.yaml", {reinterpret_cast<const char*>(data), size});
  require(outcome.config.has_value() == outcome.errors.empty());
  for (const auto& error : outcome.errors) require(error.place.starts_with("fuzz.yaml") && !error.message.empty());
  if (!outcome.config) return 0;

  Config config = *outcome.config;
  require(validate(config).errors.empty());
  require(diff(config, config).empty());
  // Passwords are never printed.
  for (auto& neighbor : config.bgp.neighbors) neighbor.session.password.clear();
  for (auto& group : config.bgp.peer_groups) group.session.password.clear();
  for (auto& range : config.bgp.listen_ranges) range.session.password.clear();
  for (const bool all : {false, true}) {
    const auto again = parse("fuzz.yaml", print(config, {.all = all}));
    require(again.config && *again.config == config);
  }
  const Config nothing;
  require(applicable(nothing, config).engine == nothing.engine);
  require(!diff(nothing, config).text().empty() && !diff(config, nothing).text().empty());
  return 0;
}
