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

#include "dataplane/base/token_bucket.h"
#include "lb/l7/http_options.h"
#include "lb/l7/http_policy.h"
#include "lb/snapshot/runtime.h"

namespace sluice::lb {

struct HttpProfile final : Retained {
  HttpProfile(HttpOptions options_in, unsigned workers)
      : options(std::move(options_in)), router(options.routes), rates(workers, Rates(options.limits)) {}

  const HttpOptions options;
  const http::Router router;

  // What is limited per second, one for each worker, on a cache line of its own.
  struct alignas(64) Rates {
    explicit Rates(const HttpLimits& limits)
        : connections(limits.connections_per_s, limits.connections_per_s),
          requests(limits.requests_per_s, limits.requests_per_s) {}
    TokenBucket connections, requests;
  };
  mutable std::vector<Rates> rates;

  bool take_connection(Instant now, unsigned worker) const {
    return options.limits.connections_per_s == 0 || rates[worker].connections.take(now);
  }
  bool take_request(Instant now, unsigned worker) const {
    return options.limits.requests_per_s == 0 || rates[worker].requests.take(now);
  }
};

}  // namespace sluice::lb
