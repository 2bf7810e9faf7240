// rtnetlink requests on libmnl; see netlink.h.
#include "dataplane/port/netlink.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <cerrno>
#include <cstring>

namespace sluice::port {
namespace {

constexpr std::size_t kBufferSize = 32768;  // dumps answer in pieces of up to 32 kB

struct Request {
  alignas(8) char buffer[1024]{};
  nlmsghdr* header;

  Request(std::uint16_t type, std::uint16_t flags) : header(mnl_nlmsg_put_header(buffer)) {
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  }
  template <typename T>
  T* extra() {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(header, sizeof(T)));
  }
  void put(std::uint16_t type, Ipv4Address address) { mnl_attr_put_u32(header, type, htonl(address.value)); }
};

// libmnl's own loops over attributes are C macros that C++ does not take.
template <typename Visit>
void walk_attributes(const void* first, std::size_t size, Visit&& visit) {
  const auto* attribute = static_cast<const nlattr*>(first);
  const char* end = static_cast<const char*>(first) + size;
  while (mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)))) {
    visit(attribute);
    attribute = mnl_attr_next(attribute);
  }
}

template <typename Visit>
void walk_message(const nlmsghdr* message, std::size_t header_size, Visit&& visit) {
  const auto payload = mnl_nlmsg_get_payload_len(message);
  const auto skip = MNL_ALIGN(header_size);
  if (payload < skip) return;
  walk_attributes(static_cast<const char*>(mnl_nlmsg_get_payload(message)) + skip, payload - skip, visit);
}

Ipv4Address address_of(const nlattr* attribute) { return {ntohl(mnl_attr_get_u32(attribute))}; }

void read_link_attribute(const nlattr* attribute, Link& link) {
  switch (mnl_attr_get_type(attribute)) {
    case IFLA_IFNAME:
      link.name = mnl_attr_get_str(attribute);
      break;
    case IFLA_MTU:
      link.mtu = mnl_attr_get_u32(attribute);
      break;
    case IFLA_ADDRESS:
      if (mnl_attr_get_payload_len(attribute) == 6)
        std::memcpy(link.mac.bytes.data(), mnl_attr_get_payload(attribute), 6);
      break;
    case IFLA_LINKINFO: {
      walk_attributes(mnl_attr_get_payload(attribute), mnl_attr_get_payload_len(attribute), [&](const nlattr* inner) {
        if (mnl_attr_get_type(inner) == IFLA_INFO_KIND) link.kind = mnl_attr_get_str(inner);
      });
      break;
    }
    default:
      break;
  }
}

Link read_link(const nlmsghdr* message) {
  const auto* info = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  Link link;
  link.index = static_cast<unsigned>(info->ifi_index);
  link.flags = info->ifi_flags;
  walk_message(message, sizeof *info, [&](const nlattr* attribute) { read_link_attribute(attribute, link); });
  return link;
}

struct AddressDump {
  unsigned index;
  std::vector<Ipv4Address> found;
};

int on_address(const nlmsghdr* message, void* context) {
  auto& dump = *static_cast<AddressDump*>(context);
  const auto* info = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  if (info->ifa_index != dump.index || info->ifa_family != AF_INET) return MNL_CB_OK;
  walk_message(message, sizeof *info, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFA_LOCAL) dump.found.push_back(address_of(attribute));
  });
  return MNL_CB_OK;
}

struct RuleDump {
  std::uint32_t table;
  std::vector<SourceRule> found;
};

int on_rule(const nlmsghdr* message, void* context) {
  auto& dump = *static_cast<RuleDump*>(context);
  const auto* info = static_cast<const fib_rule_hdr*>(mnl_nlmsg_get_payload(message));
  SourceRule rule{{}, info->table, 0};
  std::uint8_t protocol = 0;
  walk_message(message, sizeof *info, [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case FRA_SRC:
        rule.source = address_of(attribute);
        break;
      case FRA_TABLE:
        rule.table = mnl_attr_get_u32(attribute);
        break;
      case FRA_PRIORITY:
        rule.priority = mnl_attr_get_u32(attribute);
        break;
      case FRA_PROTOCOL:
        protocol = mnl_attr_get_u8(attribute);
        break;
      default:
        break;
    }
  });
  if (rule.table == dump.table && protocol == kSluiceProtocol && info->src_len == 32) dump.found.push_back(rule);
  return MNL_CB_OK;
}

void build_address(Request& request, unsigned index, Ipv4Address address) {
  auto* info = request.extra<ifaddrmsg>();
  info->ifa_family = AF_INET;
  info->ifa_prefixlen = 32;
  info->ifa_index = index;
  request.put(IFA_LOCAL, address);
  request.put(IFA_ADDRESS, address);
}

void build_rule(Request& request, const SourceRule& rule) {
  auto* info = request.extra<fib_rule_hdr>();
  info->family = AF_INET;
  info->src_len = 32;
  info->action = FR_ACT_TO_TBL;
  info->table = RT_TABLE_UNSPEC;
  request.put(FRA_SRC, rule.source);
  mnl_attr_put_u32(request.header, FRA_TABLE, rule.table);
  mnl_attr_put_u32(request.header, FRA_PRIORITY, rule.priority);
  mnl_attr_put_u8(request.header, FRA_PROTOCOL, kSluiceProtocol);
}

}  // namespace

void Netlink::Close::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

Result<Netlink> Netlink::open() {
  mnl_socket* socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
  if (socket == nullptr) return fail("netlink", std::string("cannot open: ") + std::strerror(errno));
  Netlink netlink(socket);
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    return fail("netlink", std::string("cannot bind: ") + std::strerror(errno));
  }
  return netlink;
}

int Netlink::talk(nlmsghdr* request, Callback callback, void* context) {
  request->nlmsg_seq = ++sequence_;
  if (mnl_socket_sendto(socket_.get(), request, request->nlmsg_len) < 0) return errno;
  const auto port = mnl_socket_get_portid(socket_.get());
  std::vector<char> buffer(kBufferSize);
  for (;;) {
    const auto size = mnl_socket_recvfrom(socket_.get(), buffer.data(), buffer.size());
    if (size < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    const int result = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), sequence_, port, callback, context);
    if (result == MNL_CB_ERROR) return errno;
    if (result == MNL_CB_STOP) return 0;
  }
}

Status Netlink::acknowledged(nlmsghdr* request, const std::string& what, int tolerated_error) {
  request->nlmsg_flags |= NLM_F_ACK;
  const int error = talk(request, nullptr, nullptr);
  if (error == 0 || error == tolerated_error) return {};
  return fail(
      "", "cannot " + what + ": " + std::strerror(error) + (error == EPERM ? " (needs root or CAP_NET_ADMIN)" : ""));
}

Result<std::optional<Link>> Netlink::link(const std::string& name) {
  Request request(RTM_GETLINK, NLM_F_ACK);
  request.extra<ifinfomsg>()->ifi_family = AF_UNSPEC;
  mnl_attr_put_strz(request.header, IFLA_IFNAME, name.substr(0, IFNAMSIZ - 1).c_str());
  Link found;
  const int error = talk(
      request.header,
      [](const nlmsghdr* message, void* context) {
        *static_cast<Link*>(context) = read_link(message);
        return MNL_CB_OK;
      },
      &found);
  if (error == ENODEV) return std::optional<Link>();
  if (error != 0) return fail("interface " + name, std::strerror(error));
  return std::optional<Link>(std::move(found));
}

Result<std::vector<std::string>> Netlink::link_names() {
  Request request(RTM_GETLINK, NLM_F_DUMP);
  request.extra<ifinfomsg>()->ifi_family = AF_UNSPEC;
  std::vector<std::string> names;
  const int error = talk(
      request.header,
      [](const nlmsghdr* message, void* context) {
        static_cast<std::vector<std::string>*>(context)->push_back(read_link(message).name);
        return MNL_CB_OK;
      },
      &names);
  if (error != 0) return fail("netlink", std::string("cannot list interfaces: ") + std::strerror(error));
  return names;
}

Status Netlink::set_flags(unsigned index, unsigned flags, unsigned mask) {
  Request request(RTM_NEWLINK, 0);
  auto* info = request.extra<ifinfomsg>();
  info->ifi_index = static_cast<int>(index);
  info->ifi_flags = flags;
  info->ifi_change = mask;
  return acknowledged(request.header, "change the interface's flags", 0);
}

Status Netlink::set_mtu(unsigned index, unsigned mtu) {
  Request request(RTM_NEWLINK, 0);
  request.extra<ifinfomsg>()->ifi_index = static_cast<int>(index);
  mnl_attr_put_u32(request.header, IFLA_MTU, mtu);
  return acknowledged(request.header, "set the interface's MTU to " + std::to_string(mtu), 0);
}

Status Netlink::set_queue_length(unsigned index, unsigned frames) {
  Request request(RTM_NEWLINK, 0);
  request.extra<ifinfomsg>()->ifi_index = static_cast<int>(index);
  mnl_attr_put_u32(request.header, IFLA_TXQLEN, frames);
  return acknowledged(request.header, "set the interface's queue length to " + std::to_string(frames), 0);
}

Result<std::vector<Ipv4Address>> Netlink::addresses(unsigned index) {
  Request request(RTM_GETADDR, NLM_F_DUMP);
  request.extra<ifaddrmsg>()->ifa_family = AF_INET;
  AddressDump dump{index, {}};
  if (const int error = talk(request.header, on_address, &dump); error != 0) {
    return fail("netlink", std::string("cannot list addresses: ") + std::strerror(error));
  }
  return dump.found;
}

Status Netlink::add_address(unsigned index, Ipv4Address address) {
  Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  build_address(request, index, address);
  return acknowledged(request.header, "add address " + address.text(), EEXIST);
}

Status Netlink::remove_address(unsigned index, Ipv4Address address) {
  Request request(RTM_DELADDR, 0);
  build_address(request, index, address);
  return acknowledged(request.header, "remove address " + address.text(), EADDRNOTAVAIL);
}

Result<std::vector<SourceRule>> Netlink::rules(std::uint32_t table) {
  Request request(RTM_GETRULE, NLM_F_DUMP);
  request.extra<fib_rule_hdr>()->family = AF_INET;
  RuleDump dump{table, {}};
  if (const int error = talk(request.header, on_rule, &dump); error != 0) {
    return fail("netlink", std::string("cannot list routing rules: ") + std::strerror(error));
  }
  return dump.found;
}

Status Netlink::add_rule(const SourceRule& rule) {
  Request request(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL);
  build_rule(request, rule);
  return acknowledged(request.header, "add the routing rule of " + rule.source.text(), EEXIST);
}

Status Netlink::remove_rule(const SourceRule& rule) {
  Request request(RTM_DELRULE, 0);
  build_rule(request, rule);
  return acknowledged(request.header, "remove the routing rule of " + rule.source.text(), ENOENT);
}

Status Netlink::add_default_route(unsigned index, std::uint32_t table) {
  Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  auto* info = request.extra<rtmsg>();
  info->rtm_family = AF_INET;
  info->rtm_table = RT_TABLE_UNSPEC;
  info->rtm_protocol = kSluiceProtocol;
  info->rtm_scope = RT_SCOPE_LINK;
  info->rtm_type = RTN_UNICAST;
  mnl_attr_put_u32(request.header, RTA_TABLE, table);
  mnl_attr_put_u32(request.header, RTA_OIF, index);
  return acknowledged(request.header, "add the default route of table " + std::to_string(table), 0);
}

}  // namespace sluice::port
