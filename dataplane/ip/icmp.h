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

// One per worker.
class Icmp {
 public:
  struct Context {
    const LocalAddresses& local;
    const packet::PacketPool& pool;
    packet::Drops& drops;  // counts what is made here
  };
  Icmp(const IcmpLimits& limits, const Context& context);

  // Turns an echo request (layers.kind icmp, type 8, without padding) into its reply, in place, of any length and any
  // number of segments: addresses swapped, TTL 255, DSCP as it was, checksums right. Nullopt: done, and `layers` is
  // that of the reply. Else the reason for the caller to drop it (wrong checksum, group destination, rate limit).
  std::optional<DropReason> reply_to_echo(Instant now, packet::Packet packet, wire::Layers& layers);

  // A new packet (14 bytes for Ethernet left blank in front) from `source` to the sender of the offending one, quoting
  // as much of it as 576 bytes hold (RFC 1812 §4.3.2.3); false when none must be sent, the rate limit holds it back
  // (counted in errors_limited), or the pool is empty. `offending` is as it was received and stays the caller's. What
  // to take as source: the address it was sent to if that is ours, else LocalAddresses::source_for(rx port, its
  // sender).
  packet::Packet make_error(Instant now, packet::Packet offending, const wire::Layers& layers, Ipv4Address source,
                            const IcmpError& error);

  std::uint64_t errors_sent() const { return errors_sent_.get(); }
  std::uint64_t errors_limited() const { return errors_limited_.get(); }
  std::uint64_t echoes_answered() const { return echoes_answered_.get(); }

 private:
  Context context_;
  TokenBucket error_bucket_;
  TokenBucket echo_bucket_;
  Counter errors_sent_, errors_limited_, echoes_answered_;
};

}  // namespace sluice::ip
