// ICMP that we send: echo replies made in place, and errors that quote the packet they are about; both rate-limited.
//
// Nothing here sends: the result goes to IpOutput as any other packet of ours.
//
// Called by: lb/datapath, ip/output. Runs on: workers. Follows: RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3, RFC 1191.
// Tested by: tests/dataplane/ip/icmp_test.cc
#pragma once

#include "dataplane/base/token_bucket.h"
#include "dataplane/ip/local_addresses.h"
#include "dataplane/packet/sink.h"
#include "dataplane/wire/parse.h"

namespace sluice::ip {

struct IcmpLimits {
  std::uint32_t errors_per_second = 1000;
  std::uint32_t errors_burst = 100;
  std::uint32_t echoes_per_second = 50000;
  std::uint32_t echoes_burst = 1000;
};

// One per worker.
struct IcmpLimiter {
  explicit IcmpLimiter(const IcmpLimits& limits)
      : errors(limits.errors_per_second, limits.errors_burst), echoes(limits.echoes_per_second, limits.echoes_burst) {}
  TokenBucket errors;
  TokenBucket echoes;
};

// Turns an echo request (layers.kind icmp, type 8, whole) into its reply, in place, of any length and any number of
// segments: addresses swapped, TTL 255, same DSCP, checksums right. Nullopt: done, `layers` is that of the reply;
// else the reason to drop it for (wrong checksum, rate limit, broadcast or group destination); the caller drops.
std::optional<DropReason> make_echo_reply(Instant now, IcmpLimiter& limiter, packet::Packet packet,
                                          wire::Layers& layers);

struct IcmpError {
  std::uint8_t type = wire::kIcmpUnreachable;
  std::uint8_t code = 0;
  std::uint16_t mtu = 0;  // fragmentation needed: the MTU of the next hop

  static IcmpError ttl_exceeded() { return {wire::kIcmpTimeExceeded, wire::kIcmpTtlExceeded, 0}; }
  static IcmpError reassembly_timeout() { return {wire::kIcmpTimeExceeded, wire::kIcmpReassemblyTimeExceeded, 0}; }
  static IcmpError net_unreachable() { return {wire::kIcmpUnreachable, wire::kIcmpNetUnreachable, 0}; }
  static IcmpError host_unreachable() { return {wire::kIcmpUnreachable, wire::kIcmpHostUnreachable, 0}; }
  static IcmpError port_unreachable() { return {wire::kIcmpUnreachable, wire::kIcmpPortUnreachable, 0}; }
  static IcmpError protocol_unreachable() { return {wire::kIcmpUnreachable, wire::kIcmpProtocolUnreachable, 0}; }
  static IcmpError admin_prohibited() { return {wire::kIcmpUnreachable, wire::kIcmpAdminProhibited, 0}; }
  static IcmpError fragmentation_needed(std::uint16_t mtu) {
    return {wire::kIcmpUnreachable, wire::kIcmpFragmentationNeeded, mtu};
  }
};

// Whether an error may be sent about this packet at all (RFC 1122 §3.2.2): not about an ICMP error, a later fragment, a
// packet to a broadcast or group address of link or IP, or one whose source is no single host.
bool may_send_error(const wire::Layers& offending, const LocalAddresses& local);

// A new packet (Ethernet header left blank) from `source` to the sender of `offending`, quoting as much of it as 576
// bytes hold (RFC 1812 §4.3.2.3); false when it must not be sent, the rate limit holds it back, or the pool is empty.
// `offending` must be as it was received and stays the caller's. A wrong source: LocalAddresses::source_for(rx port,
// offender).
packet::Packet make_icmp_error(Instant now, IcmpLimiter& limiter, const packet::PacketPool& pool,
                               const LocalAddresses& local, packet::Packet offending, const wire::Layers& layers,
                               Ipv4Address source, const IcmpError& error);

}  // namespace sluice::ip
