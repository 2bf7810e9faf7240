// Blocks of a pcapng file; see pcapng.h.
#include "dataplane/port/pcapng.h"

#include <type_traits>

namespace sluice::port {
namespace {

enum BlockType : std::uint32_t { kSectionHeader = 0x0a0d0d0a, kInterface = 1, kEnhancedPacket = 6 };
enum OptionCode : std::uint16_t { kEnd = 0, kName = 2, kPacketFlags = 2, kUserApplication = 4, kResolution = 9 };

constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint16_t kLinkEthernet = 1;
constexpr std::uint8_t kNanoseconds = 9;
constexpr std::uint32_t kPacketBlockSize = 32 + 8 + 4;  // without the frame: fields, flags option, end of options

template <typename T>
void put(std::string& out, T value) {
  static_assert(std::is_integral_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof value);  // in our byte order: the magic tells which
}

std::uint32_t padding(std::size_t length) { return static_cast<std::uint32_t>((4 - length % 4) % 4); }

void put_option(std::string& out, OptionCode code, std::string_view value) {
  put<std::uint16_t>(out, code);
  put(out, static_cast<std::uint16_t>(value.size()));
  out.append(value);
  out.append(padding(value.size()), '\0');
}

void put_block(std::string& out, BlockType type, const std::string& body) {
  const auto length = static_cast<std::uint32_t>(body.size() + 12);
  put<std::uint32_t>(out, type);
  put(out, length);
  out += body;
  put(out, length);
}

}  // namespace

void append_pcapng_header(std::string& out, std::span<const packet::PortInfo> ports, std::uint32_t snaplen) {
  std::string body;
  put(body, kByteOrderMagic);
  put<std::uint16_t>(body, 1);
  put<std::uint16_t>(body, 0);
  put<std::int64_t>(body, -1);  // the section's length is not known
  put_option(body, kUserApplication, "sluice");
  put_option(body, kEnd, "");
  put_block(out, kSectionHeader, body);
  for (const auto& port : ports) {
    body.clear();
    put(body, kLinkEthernet);
    put<std::uint16_t>(body, 0);
    put(body, snaplen);
    put_option(body, kName, port.name);
    put_option(body, kResolution, std::string_view(reinterpret_cast<const char*>(&kNanoseconds), 1));
    put_option(body, kEnd, "");
    put_block(out, kInterface, body);
  }
}

void begin_pcapng_frame(std::string& out, const CapturedFrame& frame, std::uint32_t length) {
  put<std::uint32_t>(out, kEnhancedPacket);
  put(out, kPacketBlockSize + length + padding(length));
  put(out, frame.interface);
  put(out, static_cast<std::uint32_t>(frame.time_ns >> 32));
  put(out, static_cast<std::uint32_t>(frame.time_ns));
  put(out, length);
  put(out, frame.original_length);
}

void end_pcapng_frame(std::string& out, const CapturedFrame& frame, std::uint32_t length) {
  out.append(padding(length), '\0');
  const std::uint32_t direction = frame.inbound ? 1 : 2;
  put_option(out, kPacketFlags, std::string_view(reinterpret_cast<const char*>(&direction), sizeof direction));
  put_option(out, kEnd, "");
  put(out, kPacketBlockSize + length + padding(length));
}

}  // namespace sluice::port
