// Parses device texts; see device.h.
#include "dataplane/port/device.h"

#include <algorithm>
#include <cctype>

namespace sluice::port {
namespace {

constexpr std::size_t kNameMax = 63;  // RTE_DEV_NAME_MAX_LEN less its end
constexpr std::size_t kTextMax = 1024;
constexpr const char* kShape =
    " is no device: write a PCI address (0000:03:00.0) or a vdev with its arguments (net_af_packet0,iface=eth1)";

bool all_hex(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isxdigit(c) != 0; });
}

// [dddd:]bb:dd.f
bool is_pci_address(std::string_view text) {
  if (text.size() == 12 && text[4] == ':' && all_hex(text.substr(0, 4))) text.remove_prefix(5);
  return text.size() == 7 && text[2] == ':' && text[5] == '.' && all_hex(text.substr(0, 2)) &&
         all_hex(text.substr(3, 2)) && text[6] >= '0' && text[6] <= '7';
}

bool is_vdev_name(std::string_view text) {
  const auto plain = [](unsigned char c) { return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '_'; };
  return text.size() <= kNameMax && std::ranges::all_of(text, plain) &&
         (text.starts_with("net_") || text.starts_with("eth_") || text.starts_with("virtio_user"));
}

}  // namespace

Result<Device> Device::parse(std::string_view text) {
  const std::string quoted = "\"" + std::string(text.substr(0, kTextMax)) + "\"";
  if (text.size() > kTextMax) return fail("", quoted + "... is longer than " + std::to_string(kTextMax) + " bytes");
  Device device;
  const auto comma = text.find(',');
  const auto name = text.substr(0, comma);
  device.name_ = name;
  device.pci_ = is_pci_address(name);
  if (device.pci_ && name.size() == 7) device.name_ = "0000:" + device.name_;
  if (!device.pci_ && !is_vdev_name(name)) return fail("", quoted + kShape);
  while (comma != std::string_view::npos) {
    text.remove_prefix(std::min(text.find(',') + 1, text.size()));
    const auto argument = text.substr(0, text.find(','));
    const auto equals = argument.find('=');
    if (argument.empty() || equals == 0 || equals == std::string_view::npos) {
      return fail("", quoted + ": \"" + std::string(argument) + "\" is no argument: write key=value");
    }
    device.arguments_.emplace_back(argument.substr(0, equals), argument.substr(equals + 1));
    if (text.find(',') == std::string_view::npos) break;
  }
  return device;
}

std::string Device::driver() const {
  if (pci_) return "";
  auto end = name_.find_last_not_of("0123456789");
  return name_.substr(0, end + 1);
}

std::optional<std::string> Device::argument(std::string_view key) const {
  for (const auto& [name, value] : arguments_) {
    if (name == key) return value;
  }
  return std::nullopt;
}

void Device::set_default(std::string_view key, std::string value) {
  if (!argument(key)) arguments_.emplace_back(key, std::move(value));
}

std::string Device::arguments() const {
  std::string out;
  for (const auto& [key, value] : arguments_) out += (out.empty() ? "" : ",") + key + "=" + value;
  return out;
}

std::string Device::text() const { return arguments_.empty() ? name_ : name_ + "," + arguments(); }

}  // namespace sluice::port
