// Fuzzes the PROXY protocol's reader: the same answer for any prefix that is long enough, and what is read can be
// written.
//
// Runs on: libFuzzer, or the seeds as a unit test. Covers: lb/l7/proxy_protocol.
#include <array>
#include <cstdlib>

#include "lb/l7/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::lb::http;
  const auto require = [](bool condition) {
    if (!condition) std::abort();
  };
  if (size > 4096) return 0;
  const std::span<const char> bytes{reinterpret_cast<const char*>(data), size};
  const ProxyDecode whole = decode_proxy(bytes);
  require(whole.consumed <= size);
  require(whole.status != ProxyStatus::need_bytes || size < kProxyV2BytesMax);
  // More bytes never change an answer that was given.
  for (std::size_t n = 0; n < size; ++n) {
    const ProxyDecode part = decode_proxy(bytes.first(n));
    if (part.status == ProxyStatus::need_bytes) continue;
    require(part.status == whole.status && part.consumed == whole.consumed && part.header == whole.header);
    break;
  }
  if (whole.status != ProxyStatus::done || whole.header.local || whole.header.v6) return 0;
  std::array<char, kProxyV1BytesMax> out{};
  for (const auto write : {write_proxy_v1, write_proxy_v2}) {
    const std::uint32_t n = write(whole.header, out);
    const ProxyDecode again = decode_proxy(std::span<const char>(out).first(n));
    require(again.status == ProxyStatus::done && again.consumed == n && again.header == whole.header);
  }
  return 0;
}
