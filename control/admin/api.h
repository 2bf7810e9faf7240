// The admin API: one table from method and path to what the daemon is asked; answers are JSON.
//
//   GET    /v1/virtual[?name=]  /v1/virtual-address  /v1/pool[?name=]  /v1/member[?pool=&member=]  /v1/node[?name=]
//          /v1/monitor[?name=]  /v1/route[?prefix=]  /v1/bgp  /v1/bgp/route[?prefix=]  /v1/bgp/neighbor[?address=]
//          /v1/arp  /v1/flow[?protocol=&client=&member=&address=&destination=&port=&virtual=&pool=&limit=]
//          /v1/worker  /v1/port  /v1/drop  /v1/config  /v1/version      /metrics (Prometheus)
//          /v1/error[?virtual=&limit=]  /v1/tcp  /v1/access-log         mode http: last errors, TCP endpoints, the log
//          (the BGP ones take ?text=1: {"text"} as imish prints it)
//   PATCH  /v1/member {"pool","member","state"}   /v1/virtual {"name","state"}
//   DELETE /v1/flow[?the same filter]
//   POST   /v1/apply {"name"?,"text"?,"check"?}   /v1/bgp/clear {"neighbor","how"}   /v1/shutdown
//          /v1/restart                            409 with the errors of the configuration file, if it has any
//          /v1/ping {...}   /v1/capture {...}     these two answer line by line (NDJSON) until done
//
// A GET answers {"<things>": [...]}; an error {"error": "text", "errors": [{"place","message"}]} with 400 (the request
// is wrong), 404 (no such thing), 405, 409 (refused by the daemon: errors say why), 413.
//
// Called by: control/daemon (joins it to io/http_server). Runs on: control thread.
// Tested by: tests/control/admin/api_test.cc, tests/fuzz/admin_api_fuzz.cc
#pragma once

#include <memory>

#include "control/admin/backend.h"
#include "control/admin/exchange.h"

namespace sluice::admin {

class Api {
 public:
  explicit Api(Backend& backend) : backend_(backend) {}
  void handle(std::shared_ptr<Exchange> exchange);

 private:
  Backend& backend_;
};

}  // namespace sluice::admin
