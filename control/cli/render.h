// The daemon's JSON answers as text: tmsh's words for load balancing, imish's for routes.
//
// Missing or odd fields (a daemon of another version) print as empty, never as a crash.
//
// Called by: control/cli/commands. Runs on: sluicectl. Tested by: tests/control/cli/render_test.cc, tests/golden/show
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sluice::cli {

using Json = nlohmann::ordered_json;

struct RenderOptions {
  bool brief = false;   // a line for each thing instead of tmsh's block
  bool detail = false;  // also what is zero, or a block where a line is usual
};
using Renderer = std::string (*)(const Json& answer, const RenderOptions& options);

// load balancing (render_lb.cc)
std::string render_virtuals(const Json& answer, const RenderOptions& options);
std::string render_virtual_addresses(const Json& answer, const RenderOptions& options);
std::string render_pools(const Json& answer, const RenderOptions& options);
std::string render_members(const Json& answer, const RenderOptions& options);
std::string render_nodes(const Json& answer, const RenderOptions& options);
std::string render_monitors(const Json& answer, const RenderOptions& options);
// routing (render_routing.cc)
std::string render_routes(const Json& answer, const RenderOptions& options);
std::string render_bfd(const Json& answer, const RenderOptions& options);
std::string render_bgp_table(const Json& answer, const RenderOptions& options);
std::string render_arp(const Json& answer, const RenderOptions& options);
// what the daemon rendered itself (BGP): the answer's "text"
std::string render_text(const Json& answer, const RenderOptions& options);
// engine (render_engine.cc)
std::string render_workers(const Json& answer, const RenderOptions& options);
std::string render_ports(const Json& answer, const RenderOptions& options);
std::string render_drops(const Json& answer, const RenderOptions& options);
std::string render_flows(const Json& answer, const RenderOptions& options);
std::string render_config(const Json& answer, const RenderOptions& options);
std::string render_version(const Json& answer, const RenderOptions& options);
// mode http (render_l7.cc)
std::string http_block(const Json& http);  // of a virtual server
std::string render_errors(const Json& answer, const RenderOptions& options);
std::string render_tcp(const Json& answer, const RenderOptions& options);
std::string render_access_log(const Json& answer, const RenderOptions& options);
// verbs (render_engine.cc)
std::string render_ok(const Json& answer, const RenderOptions& options);
std::string render_dumped(const Json& answer, const RenderOptions& options);
std::string render_deleted(const Json& answer, const RenderOptions& options);
std::string render_apply(const Json& answer, const RenderOptions& options);

// Reading fields without surprises.
std::string text_of(const Json& object, const char* key);   // strings as printable text, numbers as written
double number_of(const Json& object, const char* key);      // 0 when absent
std::string count_of(const Json& object, const char* key);  // a whole number, or "0"
bool bool_of(const Json& object, const char* key);
const Json& child_of(const Json& object, const char* key);  // null when absent

}  // namespace sluice::cli
