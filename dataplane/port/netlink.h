// Netlink: the few rtnetlink requests that ports need: links, addresses, rules, routes; no shelling out.
//
// Called by: port/host_port, port/quiet_interface. Runs on: control thread. Follows: rtnetlink(7), libmnl.
// Tested by: tests/dataplane/worker/veth_test.cc
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/address.h"
#include "dataplane/base/result.h"

struct mnl_socket;
struct nlmsghdr;

namespace sluice::port {

// The tag of what we add (rtm_protocol, FRA_PROTOCOL), so that it can be told from what others added.
inline constexpr std::uint8_t kSluiceProtocol = 77;

struct Link {
  unsigned index = 0;
  std::string name;
  std::string kind;    // "veth", "tun"; "" for hardware
  unsigned flags = 0;  // IFF_*
  unsigned mtu = 0;
  MacAddress mac;
};

struct SourceRule {
  Ipv4Address source;
  std::uint32_t table;
  std::uint32_t priority;
};

class Netlink {
 public:
  static Result<Netlink> open();

  // nullopt: there is no such interface.
  Result<std::optional<Link>> link(const std::string& name);
  Result<std::vector<std::string>> link_names();
  Status set_flags(unsigned index, unsigned flags, unsigned mask);
  Status set_mtu(unsigned index, unsigned mtu);
  Status set_queue_length(unsigned index, unsigned frames);

  Result<std::vector<Ipv4Address>> addresses(unsigned index);
  Status add_address(unsigned index, Ipv4Address address);  // as a /32; no error when it is there
  Status remove_address(unsigned index, Ipv4Address address);

  // Rules `from <source> lookup <table>` that carry our tag.
  Result<std::vector<SourceRule>> rules(std::uint32_t table);
  Status add_rule(const SourceRule& rule);
  Status remove_rule(const SourceRule& rule);

  // default dev <index> scope link table <table>
  Status add_default_route(unsigned index, std::uint32_t table);

 private:
  struct Close {
    void operator()(mnl_socket* socket) const;
  };
  explicit Netlink(mnl_socket* socket) : socket_(socket) {}
  using Callback = int (*)(const nlmsghdr*, void*);
  // Sends one request and reads its answers; the kernel's errno as the error, or 0.
  int talk(nlmsghdr* request, Callback callback, void* context);
  Status acknowledged(nlmsghdr* request, const std::string& what, int tolerated_error);

  std::unique_ptr<mnl_socket, Close> socket_;
  std::uint32_t sequence_ = 1;
};

}  // namespace sluice::port
