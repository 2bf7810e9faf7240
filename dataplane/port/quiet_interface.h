// QuietInterface: takes a kernel interface away from the kernel's own stack while the engine uses it (af_packet,
// af_xdp, pcap), and gives it back as it was.
//
// The PMD's packet socket sees every frame before the kernel's ingress hook, where a chain with policy drop ends the
// kernel's copy: so the kernel sends no RST, ARP answer, ICMP or IPv6 advertisement for what the engine handles.
//   1. an nftables netdev chain, hook ingress, policy drop   the table is owned by our netlink socket: gone with us
//   2. disable_ipv6 = 1                                      no router solicitations, no MLD, no link-local address
//   3. GRO and LRO off                                       frames arrive as they were sent
//   4. on a veth: an XDP program that passes everything      its presence turns TSO off at the peer's end, where we
//                                                            may have no access; held by a bpf link: gone with us
//   5. interface up, MTU as configured
// What the kernel would not undo by itself after a crash (2, 3, 5) is noted in /run/sluice; the next start on the same
// interface reads the note, so that it restores the state from before the crash.
//
// Called by: port/ethdev_port. Runs on: control thread. Follows: nft(8) netdev family, bpf(2), ethtool ioctls.
// Tested by: tests/dataplane/worker/veth_test.cc (needs root; own network namespace)
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.h"

struct mnl_socket;

namespace sluice::port {

struct QuietOptions {
  std::string interface;
  unsigned mtu = 1500;
  bool veth_without_tso = true;       // step 4; af_xdp brings its own program
  std::string notes = "/run/sluice";  // directory; tests use another
};

class QuietInterface {
 public:
  // Errors: no such interface (with those that exist), no permission. What is only undesirable is a warning.
  static Result<std::unique_ptr<QuietInterface>> take(const QuietOptions& options);
  ~QuietInterface();  // gives it back
  QuietInterface(const QuietInterface&) = delete;
  QuietInterface& operator=(const QuietInterface&) = delete;

  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  // The state to restore, and its form in the note.
  struct Before {
    std::string disable_ipv6;  // "0", "1"; empty: the kernel has no IPv6
    unsigned mtu = 0;
    bool up = false;
    std::vector<std::string> features;  // those that we turned off
  };
  explicit QuietInterface(QuietOptions options) : options_(std::move(options)) {}
  Status apply();
  Status drop_ingress();
  void silence_ipv6();
  void turn_features_off();
  void attach_xdp(unsigned index);
  void warn_of_addresses(unsigned index);
  void restore();
  std::string note_path() const;
  void read_note();
  void write_note();

  QuietOptions options_;
  Before before_;
  bool has_note_ = false;
  mnl_socket* nft_ = nullptr;
  bool nft_owned_ = false;  // the kernel removes the table with the socket
  int xdp_link_ = -1;
  std::vector<std::string> warnings_;
};

}  // namespace sluice::port
