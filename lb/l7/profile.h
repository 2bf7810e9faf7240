// HttpProfile: a virtual server's HttpOptions with what is computed from them once; sessions hold it beyond snapshots.
//
// The control side makes one for each configuration of a virtual server (and uses it again while that stays the same);
// the snapshot points to it and the Registry keeps it until no snapshot does and no session uses it (`users`).
// TCP's options are not in it: they belong to the worker's Proxy, because a conn may outlive its session.
//
// Called by: control/config/compile (makes), lb/l7 (reads). Runs on: control thread makes, workers read.
// Tested by: tests/lb/l7/*
#pragma once

#include <memory>
#include <vector>

#include "dataplane/base/shared_token_bucket.h"
#include "lb/l7/http_options.h"
#include "lb/l7/http_policy.h"
#include "lb/snapshot/runtime.h"

namespace sluice::lb {

struct HttpProfile final : Retained {
  HttpProfile(HttpOptions options_in, unsigned workers)
      : options(std::move(options_in)),
        router(options.routes),
        connections(options.limits.connections_per_s, options.limits.connections_per_s),
        requests(options.limits.requests_per_s, options.limits.requests_per_s),
        shares(workers) {}

  const HttpOptions options;
  const http::Router router;

  // What is limited per second, by all workers together.
  mutable SharedTokenBucket connections, requests;
  struct Shares {
    TokenShare connections, requests;
  };
  mutable std::vector<Shares> shares;  // of each worker

  bool take_connection(Instant now, unsigned worker) const {
    return options.limits.connections_per_s == 0 || connections.take(now, shares[worker].connections);
  }
  bool take_request(Instant now, unsigned worker) const {
    return options.limits.requests_per_s == 0 || requests.take(now, shares[worker].requests);
  }
};

}  // namespace sluice::lb
