// Takes an interface from the kernel's stack and gives it back; see quiet_interface.h.
#include "dataplane/port/quiet_interface.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/bpf.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "dataplane/port/ethtool.h"
#include "dataplane/port/netlink.h"

namespace sluice::port {
namespace {

// "rx-gro-hw" and "rx-gro-list" follow rx-gro; LRO is a feature of its own.
const std::array<std::string, 2> kReceiveMerging{"rx-gro", "rx-lro"};
constexpr std::uint32_t kOwnerFlag = 0x2;  // NFT_TABLE_F_OWNER
constexpr std::int32_t kIngressPriority = -500;

std::string permission_hint(int error) { return error == EPERM ? " (needs root or CAP_NET_ADMIN)" : ""; }

// ---- nftables ------------------------------------------------------------------------------------------------------

class NftBatch {
 public:
  NftBatch() { control(NFNL_MSG_BATCH_BEGIN); }
  nlmsghdr* add(std::uint16_t message, std::uint16_t flags) {
    nlmsghdr* header = mnl_nlmsg_put_header(buffer_.data() + size_);
    header->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    header->nlmsg_seq = ++sequence_;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    family->nfgen_family = NFPROTO_NETDEV;
    return header;
  }
  void end(const nlmsghdr* header) { size_ += MNL_ALIGN(header->nlmsg_len); }
  // The kernel's errno of the first message that failed, or 0.
  int send(mnl_socket* socket) {
    control(NFNL_MSG_BATCH_END);
    if (mnl_socket_sendto(socket, buffer_.data(), size_) < 0) return errno;
    for (unsigned answers = 0; answers < sequence_; ++answers) {
      alignas(8) std::array<char, 8192> answer;
      const auto size = mnl_socket_recvfrom(socket, answer.data(), answer.size());
      if (size < 0) return errno;
      if (mnl_cb_run(answer.data(), static_cast<std::size_t>(size), 0, 0, nullptr, nullptr) < 0) return errno;
    }
    return 0;
  }

 private:
  void control(std::uint16_t type) {
    nlmsghdr* header = mnl_nlmsg_put_header(buffer_.data() + size_);
    header->nlmsg_type = type;
    header->nlmsg_flags = NLM_F_REQUEST;
    auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(nfgenmsg)));
    family->nfgen_family = AF_UNSPEC;
    family->res_id = htons(NFNL_SUBSYS_NFTABLES);
    end(header);
  }
  alignas(8) std::array<char, 4096> buffer_{};
  std::size_t size_ = 0;
  unsigned sequence_ = 0;
};

std::string table_name(const std::string& interface) { return "sluice-" + interface; }

// A table with one chain that drops all that comes in by the interface.
int create_drop_table(mnl_socket* socket, const std::string& interface, bool owned) {
  const std::string table = table_name(interface);
  NftBatch batch;
  nlmsghdr* message = batch.add(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
  mnl_attr_put_strz(message, NFTA_TABLE_NAME, table.c_str());
  mnl_attr_put_u32(message, NFTA_TABLE_FLAGS, htonl(owned ? kOwnerFlag : 0));
  batch.end(message);
  message = batch.add(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);
  mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, table.c_str());
  mnl_attr_put_strz(message, NFTA_CHAIN_NAME, "ingress");
  mnl_attr_put_strz(message, NFTA_CHAIN_TYPE, "filter");
  mnl_attr_put_u32(message, NFTA_CHAIN_POLICY, htonl(NF_DROP));
  nlattr* hook = mnl_attr_nest_start(message, NFTA_CHAIN_HOOK);
  mnl_attr_put_u32(message, NFTA_HOOK_HOOKNUM, htonl(NF_NETDEV_INGRESS));
  mnl_attr_put_u32(message, NFTA_HOOK_PRIORITY, htonl(static_cast<std::uint32_t>(kIngressPriority)));
  mnl_attr_put_strz(message, NFTA_HOOK_DEV, interface.c_str());
  mnl_attr_nest_end(message, hook);
  batch.end(message);
  return batch.send(socket);
}

int delete_table(mnl_socket* socket, const std::string& interface) {
  NftBatch batch;
  nlmsghdr* message = batch.add(NFT_MSG_DELTABLE, NLM_F_ACK);
  mnl_attr_put_strz(message, NFTA_TABLE_NAME, table_name(interface).c_str());
  batch.end(message);
  return batch.send(socket);
}

bool table_exists(const std::string& interface) {
  mnl_socket* socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
  if (socket == nullptr) return false;
  alignas(8) std::array<char, 8192> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE;
  message->nlmsg_flags = NLM_F_REQUEST;
  static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)))->nfgen_family = NFPROTO_NETDEV;
  mnl_attr_put_strz(message, NFTA_TABLE_NAME, table_name(interface).c_str());
  bool found = false;
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) == 0 &&
      mnl_socket_sendto(socket, message, message->nlmsg_len) > 0) {
    const auto size = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    found = size > 0 && mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, 0, nullptr, nullptr) >= 0;
  }
  mnl_socket_close(socket);
  return found;
}

mnl_socket* open_nft() {
  mnl_socket* socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
  if (socket != nullptr && mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
    mnl_socket_close(socket);
    return nullptr;
  }
  return socket;
}

// ---- XDP -----------------------------------------------------------------------------------------------------------

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

// "return XDP_PASS;"
int load_pass_program() {
  bpf_insn code[2]{};
  code[0].code = BPF_ALU64 | BPF_MOV | BPF_K;
  code[0].dst_reg = BPF_REG_0;
  code[0].imm = XDP_PASS;
  code[1].code = BPF_JMP | BPF_EXIT;
  static constexpr char kLicense[] = "GPL";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_XDP;
  attributes.insns = reinterpret_cast<std::uint64_t>(code);
  attributes.insn_cnt = 2;
  attributes.license = reinterpret_cast<std::uint64_t>(kLicense);
  attributes.expected_attach_type = BPF_XDP;
  return bpf(BPF_PROG_LOAD, attributes);
}

std::string sysctl_path(const std::string& interface) {
  return "/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6";
}

std::string read_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

bool write_word(const std::string& path, const std::string& word) {
  std::ofstream file(path);
  file << word << std::flush;
  return file.good();
}

}  // namespace

Result<std::unique_ptr<QuietInterface>> QuietInterface::take(const QuietOptions& options) {
  std::unique_ptr<QuietInterface> quiet(new QuietInterface(options));
  if (auto applied = quiet->apply(); !applied) return tl::unexpected(applied.error());
  return quiet;
}

QuietInterface::~QuietInterface() { restore(); }

Status QuietInterface::apply() {
  const std::string place = "interface " + options_.interface;
  auto netlink = Netlink::open();
  if (!netlink) return tl::unexpected(netlink.error());
  const auto link = netlink->link(options_.interface);
  if (!link) return tl::unexpected(link.error());
  if (!*link) {
    std::string names;
    if (const auto all = netlink->link_names()) {
      for (const auto& name : *all) names += (names.empty() ? "" : ", ") + name;
    }
    return fail(place, "does not exist in this network namespace; there are: " + names);
  }
  const unsigned index = (*link)->index;
  before_ = {"", (*link)->mtu, ((*link)->flags & IFF_UP) != 0, {}};
  if (auto dropped = drop_ingress(); !dropped) return dropped;
  read_note();
  has_note_ = true;
  write_note();
  silence_ipv6();
  turn_features_off();
  if (options_.veth_without_tso && (*link)->kind == "veth") attach_xdp(index);
  warn_of_addresses(index);
  write_note();
  Status status;
  if ((*link)->mtu != options_.mtu) status = netlink->set_mtu(index, options_.mtu);
  if (status && ((*link)->flags & IFF_UP) == 0) status = netlink->set_flags(index, IFF_UP, IFF_UP);
  if (!status) return fail(place, status.error().message);
  return {};
}

Status QuietInterface::drop_ingress() {
  const std::string place = "interface " + options_.interface;
  nft_ = open_nft();
  if (nft_ == nullptr) return fail(place, std::string("cannot open nftables' netlink: ") + std::strerror(errno));
  nft_owned_ = true;
  int error = create_drop_table(nft_, options_.interface, true);
  if (error == EOPNOTSUPP || error == EINVAL) {  // kernel before 5.12: nobody removes the table after a crash but we
    nft_owned_ = false;
    static_cast<void>(delete_table(nft_, options_.interface));
    error = create_drop_table(nft_, options_.interface, false);
  }
  if (error == 0) return {};
  mnl_socket_close(nft_);
  nft_ = nullptr;
  if (error == EEXIST || table_exists(options_.interface))
    return fail(place, "is in use by another Sluice (nftables table " + table_name(options_.interface) + ")");
  return fail(place, std::string("cannot make the kernel ignore it (nftables netdev chain): ") + std::strerror(error) +
                         permission_hint(error));
}

void QuietInterface::silence_ipv6() {
  const std::string path = sysctl_path(options_.interface);
  const std::string now = read_word(path);
  if (before_.disable_ipv6.empty()) before_.disable_ipv6 = now;
  if (now == "0" && !write_word(path, "1")) {
    before_.disable_ipv6.clear();
    warnings_.push_back("cannot turn IPv6 off on " + options_.interface + " (" + path +
                        "): the kernel may send neighbour discovery there");
  }
}

void QuietInterface::turn_features_off() {
  const auto changed = set_features(options_.interface, kReceiveMerging, false);
  if (!changed) {
    warnings_.push_back(changed.error().text() + ": merged frames are dropped as ipv4_bad_total_length");
    return;
  }
  for (const auto& name : *changed) before_.features.push_back(name);
}

void QuietInterface::attach_xdp(unsigned index) {
  const int program = load_pass_program();
  if (program >= 0) {
    bpf_attr attributes{};
    attributes.link_create.prog_fd = static_cast<std::uint32_t>(program);
    attributes.link_create.target_ifindex = index;
    attributes.link_create.attach_type = BPF_XDP;
    xdp_link_ = bpf(BPF_LINK_CREATE, attributes);
  }
  if (xdp_link_ < 0) {
    warnings_.push_back("cannot attach an XDP program to " + options_.interface + " (" + std::strerror(errno) +
                        "): if its peer sends segments larger than the MTU, turn that off there "
                        "(`ethtool -K PEER tso off gso off`)");
  }
  if (program >= 0) close(program);
}

void QuietInterface::warn_of_addresses(unsigned index) {
  auto netlink = Netlink::open();
  if (!netlink) return;
  const auto addresses = netlink->addresses(index);
  if (!addresses || addresses->empty()) return;
  std::string list;
  for (const auto& address : *addresses) list += (list.empty() ? "" : ", ") + address.text();
  warnings_.push_back(options_.interface + " carries " + list +
                      " in the kernel: the kernel gets no frames from it any more, remove the address");
}

void QuietInterface::restore() {
  if (xdp_link_ >= 0) close(xdp_link_);
  xdp_link_ = -1;
  auto netlink = Netlink::open();
  if (has_note_ && netlink) {
    if (!before_.features.empty()) static_cast<void>(set_features(options_.interface, before_.features, true));
    if (!before_.disable_ipv6.empty()) write_word(sysctl_path(options_.interface), before_.disable_ipv6);
    if (const auto link = netlink->link(options_.interface); link && *link) {
      if ((*link)->mtu != before_.mtu) static_cast<void>(netlink->set_mtu((*link)->index, before_.mtu));
      if (!before_.up) static_cast<void>(netlink->set_flags((*link)->index, 0, IFF_UP));
    }
    std::error_code ignored;
    std::filesystem::remove(note_path(), ignored);
  }
  if (nft_ != nullptr) {
    static_cast<void>(delete_table(nft_, options_.interface));
    mnl_socket_close(nft_);
    nft_ = nullptr;
  }
}

// ---- the note for the next start, should this one crash ------------------------------------------------------------

std::string QuietInterface::note_path() const {
  struct stat netns {};  // the same name means another interface in another namespace
  if (stat("/proc/thread-self/ns/net", &netns) != 0) netns.st_ino = 0;
  return options_.notes + "/interface-" + std::to_string(netns.st_ino) + "-" + options_.interface;
}

void QuietInterface::read_note() {
  std::ifstream file(note_path());
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "mtu") words >> before_.mtu;
    if (key == "up") words >> before_.up;
    if (key == "disable_ipv6") words >> before_.disable_ipv6;
    if (key == "feature") words >> before_.features.emplace_back();
  }
}

void QuietInterface::write_note() {
  std::error_code ignored;
  std::filesystem::create_directories(options_.notes, ignored);
  std::ofstream file(note_path(), std::ios::trunc);
  file << "mtu " << before_.mtu << "\nup " << before_.up << "\n";
  if (!before_.disable_ipv6.empty()) file << "disable_ipv6 " << before_.disable_ipv6 << "\n";
  for (const auto& feature : before_.features) file << "feature " << feature << "\n";
}

}  // namespace sluice::port
