// Network: carries TCP segments of this worker's conns down: IPv4 header, route, checksums, traffic counts.
//
// Called by: tcp (output), lb/l7 (MTU towards a host). Runs on: the worker that owns it. Follows: RFC 791, RFC 6864.
// Tested by: tests/lb/l7/*
#pragma once

#include "dataplane/ip/output.h"
#include "dataplane/tcp/stack.h"
#include "lb/l7/conn_context.h"

namespace sluice::lb {

// The way to the kernel's side for what is sent to a self IP of ours; the datapath knows it.
class HostSide {
 public:
  virtual ~HostSide() = default;
  virtual void to_host(packet::Packet packet, const ip::TransmitSpec& spec) = 0;
};

class Network final : public tcp::Network {
 public:
  Network(ip::IpOutput& output, const ip::LocalAddresses& local, packet::Drops& drops, HostSide& host)
      : output_(output), local_(local), drops_(drops), host_(host) {}

  void output(Instant now, tcp::Conn& conn, packet::Packet segment) override;
  void output_reply(Instant now, const tcp::Tuple& tuple, packet::Packet segment) override;

  // The way to `remote`; `local` for an address of ours.
  ip::Hop route(Instant now, const tcp::Tuple& tuple, ip::CachedHop& cache) {
    return output_.route(now, tuple.remote.address, hash_of(tuple), cache);
  }

 private:
  static std::uint32_t hash_of(const tcp::Tuple& tuple) {
    return (tuple.remote.address.value ^ std::uint32_t{tuple.local.port} << 16 ^ tuple.remote.port) * 0x9e3779b9u;
  }
  void send(Instant now, const tcp::Tuple& tuple, ip::CachedHop& cache, packet::Packet segment);

  ip::IpOutput& output_;
  const ip::LocalAddresses& local_;
  packet::Drops& drops_;
  HostSide& host_;
};

}  // namespace sluice::lb
