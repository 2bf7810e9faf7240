// Feature bits by ioctl; see ethtool.h.
#include "dataplane/port/ethtool.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::port {
namespace {

class Ioctl {
 public:
  explicit Ioctl(const std::string& interface)
      : interface_(interface), socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
  ~Ioctl() {
    if (socket_ >= 0) close(socket_);
  }
  Ioctl(const Ioctl&) = delete;
  Ioctl& operator=(const Ioctl&) = delete;

  bool operator()(void* command) {
    ifreq request{};
    interface_.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_data = static_cast<char*>(command);
    return ioctl(socket_, SIOCETHTOOL, &request) == 0;
  }

 private:
  std::string interface_;
  int socket_;
};

// ethtool's structures end in arrays of a length that is only known at run time.
template <typename T>
class Sized {
 public:
  Sized(std::uint32_t command, std::size_t tail) : storage_(((sizeof(T) + tail) + 7) / 8) { get()->cmd = command; }
  T* get() { return reinterpret_cast<T*>(storage_.data()); }
  T* operator->() { return get(); }

 private:
  std::vector<std::uint64_t> storage_;
};

std::vector<std::string> feature_names(Ioctl& ethtool) {
  Sized<ethtool_sset_info> info(ETHTOOL_GSSET_INFO, sizeof(std::uint32_t));
  info->sset_mask = std::uint64_t{1} << ETH_SS_FEATURES;
  if (!ethtool(info.get()) || info->sset_mask == 0) return {};
  const std::uint32_t count = info->data[0];
  Sized<ethtool_gstrings> strings(ETHTOOL_GSTRINGS, std::size_t{count} * ETH_GSTRING_LEN);
  strings->string_set = ETH_SS_FEATURES;
  strings->len = count;
  if (!ethtool(strings.get())) return {};
  std::vector<std::string> names;
  for (std::uint32_t i = 0; i < strings->len; ++i) {
    const char* name = reinterpret_cast<const char*>(strings->data) + std::size_t{i} * ETH_GSTRING_LEN;
    names.emplace_back(name, strnlen(name, ETH_GSTRING_LEN));
  }
  return names;
}

}  // namespace

Result<std::vector<std::string>> set_features(const std::string& interface, std::span<const std::string> names,
                                              bool on) {
  Ioctl ethtool(interface);
  const auto all = feature_names(ethtool);
  const std::size_t blocks = (all.size() + 31) / 32;
  Sized<ethtool_gfeatures> now(ETHTOOL_GFEATURES, blocks * sizeof(ethtool_get_features_block));
  now->size = static_cast<std::uint32_t>(blocks);
  if (blocks == 0 || !ethtool(now.get())) {
    return fail("interface " + interface, std::string("cannot read its offload features: ") + std::strerror(errno));
  }
  Sized<ethtool_sfeatures> wanted(ETHTOOL_SFEATURES, blocks * sizeof(ethtool_set_features_block));
  wanted->size = static_cast<std::uint32_t>(blocks);
  std::vector<std::string> changed;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::uint32_t bit = std::uint32_t{1} << i % 32;
    const auto& block = now->features[i / 32];
    const bool is_on = (block.active & bit) != 0;
    const bool may_change = (block.available & bit) != 0 && (block.never_changed & bit) == 0;
    if (std::ranges::find(names, all[i]) == names.end() || is_on == on || !may_change) continue;
    wanted->features[i / 32].valid |= bit;
    if (on) wanted->features[i / 32].requested |= bit;
    changed.push_back(all[i]);
  }
  if (!changed.empty() && !ethtool(wanted.get())) {
    return fail("interface " + interface, std::string("cannot change its offload features: ") + std::strerror(errno));
  }
  return changed;
}

}  // namespace sluice::port
