// Fuzz target: any request to the admin API is answered exactly once, with JSON (or lines of it).
//
// Input: method, newline, target, newline, body.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "control/admin/api.h"
#include "tests/support/admin_fake.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const auto first = input.find('\n');
  const auto second = first == std::string::npos ? first : input.find('\n', first + 1);
  if (second == std::string::npos) return 0;
  sluice::admin::FakeBackend backend;
  auto exchange = std::make_shared<sluice::admin::FakeExchange>(
      input.substr(0, first), input.substr(first + 1, second - first - 1), input.substr(second + 1));
  sluice::admin::Api(backend).handle(exchange);
  if (exchange->answers != 1 || !exchange->finished) std::abort();
  return 0;
}
