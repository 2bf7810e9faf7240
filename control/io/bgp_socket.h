// Sockets as BGP needs them: bound to a self IP, signed (TCP MD5), with the right TTL, on the control plane's ports.
//
// Called by: bgp_transport. Runs on: control thread. Follows: RFC 2385, RFC 5082; ip(7), tcp(7).
// Tested by: tests/interop/bgp*
#pragma once

#include <cstdint>
#include <string_view>

#include "control/bgp/speaker.h"
#include "control/routing/ip_prefix.h"
#include "dataplane/base/result.h"

namespace sluice::io {

// A non-blocking socket that only needs connect(): bound to `local` (zero: any) and to a port of 61440..65535.
Result<int> open_bgp_client(const IpAddress& remote, const IpAddress& local, const bgp::Speaker::Admission& admission);
// A listening, non-blocking socket. The address need not exist yet (IP_FREEBIND).
Result<int> open_bgp_listener(const IpAddress& address, std::uint16_t port);
// TCP MD5 for connections with `remote`; empty: none any more.
Status set_bgp_md5(int fd, const routing::IpPrefix& remote, std::string_view password);
// TTL of what we send, and with TTL security the least that we accept (RFC 5082).
void set_bgp_ttl(int fd, bool is_v4, const bgp::Speaker::Admission& admission);

}  // namespace sluice::io
