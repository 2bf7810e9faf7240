// Device: the `device` text of a configured port, taken apart: a PCI address, or a vdev with its arguments.
//
//   0000:03:00.0                      a NIC
//   net_af_packet0,iface=eth1         a vdev: driver name, a number that makes it unique, arguments
//
// Called by: port/eal, port/ethdev_port. Runs on: control thread. Tested by: tests/dataplane/port/device_test.cc
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/base/result.h"

namespace sluice::port {

class Device {
 public:
  // Errors say what a device looks like; `place` is left empty for the caller to fill in.
  static Result<Device> parse(std::string_view text);

  bool is_pci() const { return pci_; }
  const std::string& name() const { return name_; }  // "0000:03:00.0", "net_af_packet0"
  std::string driver() const;                        // "net_af_packet"; of a NIC: ""
  std::optional<std::string> argument(std::string_view key) const;
  // Adds the argument unless it is there.
  void set_default(std::string_view key, std::string value);
  std::string arguments() const;  // "iface=eth1,qpairs=1"
  std::string text() const;

 private:
  bool pci_ = false;
  std::string name_;
  std::vector<std::pair<std::string, std::string>> arguments_;
};

}  // namespace sluice::port
