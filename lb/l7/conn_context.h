// ConnContext: what the proxy keeps in a conn's PathCache: next hop, whose traffic it is, and which end of a session.
//
// Called by: lb/l7. Runs on: the worker that owns the conn.
#pragma once

#include "dataplane/ip/output.h"
#include "dataplane/tcp/conn.h"
#include "lb/snapshot/runtime.h"

namespace sluice::lb {

enum class ConnRole : std::uint8_t {
  none,         // nobody's any more: the stack ends it by itself
  opening,      // client side, its handshake not complete; owner: the VirtualServerRuntime
  client,       // owner: the Session
  server,       // owner: the Session
  idle_server,  // waits for a request; owner: the IdleServer
};

// All zero is a new conn's.
struct ConnContext {
  ip::CachedHop hop;
  Share* traffic;  // null: not counted; valid while the role is not `none`
  ConnRole role;
};
static_assert(sizeof(ConnContext) <= sizeof(tcp::PathCache) && std::is_trivially_copyable_v<ConnContext>);

inline ConnContext& context_of(tcp::Conn& conn) { return *reinterpret_cast<ConnContext*>(conn.path.bytes.data()); }

}  // namespace sluice::lb
