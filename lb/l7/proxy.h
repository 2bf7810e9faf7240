// Proxy: mode http on one worker: the TCP stack, the sessions on it, and everything between a packet and a request.
//
//   Conn* conn = proxy.find(layers);
//   if (conn && proxy.input(now, packet, layers, *conn)) …        // a segment of a conn, either side
//   else if (vs is mode http) proxy.open(now, packet, layers, vs) // a new client, or one with a SYN cookie
//   … after the burst: proxy.run_ready(now)
//
// A client's handshake completes first. Its request head picks the member (pool by route, persistence, balancing: as
// L4 does); the server side opens then. Heads are written anew, bodies pass as the packets they came in. Without
// OneConnect a client connection stays with its member; with it, each request is balanced and server conns are shared.
// What a side cannot take yet stays in the other side's receive queue, whose window then closes.
//
// Called by: lb/datapath. Runs on: the worker that owns it. Follows: RFC 9110, 9112; F5 BIG-IP LTM (http, oneconnect).
// Tested by: tests/lb/l7/*. Cost: bench/path/http_bench
#pragma once

#include <memory>
#include <optional>

#include "dataplane/flow/flow_key.h"
#include "dataplane/ip/output.h"
#include "dataplane/tcp/stack.h"
#include "lb/l7/counters.h"
#include "lb/l7/head_writer.h"
#include "lb/l7/idle_servers.h"
#include "lb/l7/network.h"
#include "lb/l7/session.h"
#include "lb/persist/source_address.h"
#include "lb/snapshot/snapshot.h"

namespace sluice::lb {

// Source ports for server sides, shared with L4 so that no two of a worker's connections have the same addresses.
class SourcePorts {
 public:
  virtual ~SourcePorts() = default;
  // A free port for `server_key` (as replies carry it; dst_port is filled in), `preferred` if possible.
  virtual bool allocate(flow::FlowKey& server_key, std::uint16_t preferred) = 0;
};

struct ProxyOptions {
  unsigned worker = 0;
  std::uint32_t conns_max = 131072;  // client and server side
  std::uint32_t idle_servers_max = 16384;
  HashSeed seed;
  Instant start{};
};

class Proxy {
 public:
  struct Context {
    std::span<const packet::PortInfo> ports;
    ip::IpOutput& output;
    const ip::LocalAddresses& local;
    packet::Drops& drops;
    packet::PacketPool pool;
    HostSide& host;
    SourcePorts& source_ports;
    std::shared_ptr<SourceAddressTable> persistence;
  };
  Proxy(const ProxyOptions& options, const Context& context);
  ~Proxy();

  void set_snapshot(Instant now, const Snapshot* snapshot);

  // ---- packets: headers in the first segment, no padding
  tcp::Conn* find(const wire::Layers& layers) const {
    return stack_.find({{layers.destination, layers.dst_port}, {layers.source, layers.src_port}});
  }
  // Asks for the memory that input() and run_ready() will touch for these packets of a burst, in the order in which
  // each line tells where the next is: thousands of conns do not fit a core's cache.
  template <typename Range, typename KeyOf>
  void prefetch(const Range& packets, KeyOf key_of) const {
    if (stack_.conns_in_use() == 0) return;
    std::array<const tcp::Conn*, packet::kBatchMax> conns;
    const auto tuple_of = [&](const auto& p) -> tcp::Tuple {
      const flow::FlowKey& key = key_of(p);
      return {{key.destination, key.dst_port}, {key.source, key.src_port}};
    };
    for (const auto& p : packets) stack_.prefetch_place(tuple_of(p));
    std::size_t n = 0;
    for (const auto& p : packets) conns[n++] = stack_.prefetch_conn(tuple_of(p));
    for (std::size_t i = 0; i < n; ++i) prefetch_session(conns[i]);
    for (std::size_t i = 0; i < n; ++i) prefetch_other_side(conns[i]);
  }
  // Whether a conn uses these addresses (as its segments arrive), so that nobody else may.
  bool uses(const flow::FlowKey& key) const {
    const tcp::Conn* conn = stack_.find({{key.destination, key.dst_port}, {key.source, key.src_port}});
    return conn != nullptr && !stack_.is_reusable(*conn);
  }
  // Takes the packet over; false (and it stays the caller's) for a SYN that may open the tuple anew: the conn is over.
  bool input(Instant now, packet::Packet packet, const wire::Layers& layers, tcp::Conn& conn);
  // For a virtual server, no conn. Takes the packet over, or says why it is to be rejected.
  std::optional<DropReason> open(Instant now, packet::Packet packet, const wire::Layers& layers,
                                 const VirtualServer& vs);
  // An ICMP error; false (and it stays the caller's) when it is about no conn of this worker.
  bool on_icmp_error(Instant now, packet::Packet packet, const wire::Layers& layers);
  // Acts on everything that input() brought about; then what is to be sent leaves.
  void run_ready(Instant now);

  // ---- once a turn, bounded
  void on_timers(Instant now);
  Instant next_timer() const;

  // ---- from Tasks
  const ErrorLog& errors() const { return errors_; }
  tcp::Stack& stack() { return stack_; }
  // Another process takes our place: connections have an end here and cannot go on there, but requests need not fail.
  // New clients are dropped from now on, so that their SYN meets that process; idle connections end, and an exchange is
  // its connection's last. Returns for how many a client waits still, tunnels aside; to be called until there are none.
  std::uint32_t wind_down(Instant now);
  std::uint32_t held_packets() const;  // by sessions themselves, for the accounting of packets
  // ---- one other thread
  AccessRing& access_log() { return access_; }
  // ---- any thread
  const ProxyCounters& counters() const { return counters_; }
  const tcp::Counters& tcp_counters() const { return stack_.counters(); }
  std::uint32_t session_count() const { return sessions_.size(); }

 private:
  static constexpr std::size_t kTimersMax = 256;
  static constexpr std::uint32_t kSweepMax = 1024;
  static constexpr std::uint32_t kRelieveMax = 512;  // conns looked at in a turn
  static constexpr Duration kDrainTime = 2s;
  static constexpr Duration kCloseFirstTime = 1s;    // how long a member may take to close as it said
  static constexpr Duration kFirstByteTime = 200ms;  // winding down: how long a new client may be silent
  static constexpr Duration kHandshakeTime = 10s;    // for a client to complete its handshake
  static constexpr Duration kConnectTimeMax = 75s;   // of a member; HttpTimes::server_connect ends it before
  static constexpr std::uint32_t kSmallPiece = 256;  // bytes that are rather copied than shared

  enum class Failure : std::uint8_t { refused, timed_out, no_member, broken };

  // proxy_memory.cc: when the worker's buffers run out
  std::uint32_t weight_of(Instant now, tcp::Conn& conn) const;
  void relieve(Instant now);
  void give_up(Instant now, Session& s, const tcp::Conn& to);

  // proxy.cc: conns and sessions begin and end
  bool verify(packet::Packet packet, const wire::Layers& layers);
  static const Session* session_of(const tcp::Conn* conn) {
    if (conn == nullptr) return nullptr;
    const ConnRole role = context_of(const_cast<tcp::Conn&>(*conn)).role;
    return role == ConnRole::client || role == ConnRole::server ? static_cast<const Session*>(conn->owner) : nullptr;
  }
  static void prefetch_session(const tcp::Conn* conn);
  static void prefetch_other_side(const tcp::Conn* conn);
  static tcp::Limits stack_limits(const ProxyOptions& options, const packet::PacketPool& pool);
  void on_event(Instant now, tcp::Conn& conn);
  void on_opening(Instant now, tcp::Conn& conn, std::uint8_t events);
  Session* make_session(Instant now, tcp::Conn& conn, VirtualServerRuntime& runtime);
  void rebind_profile(Session& s, const HttpProfile& profile);
  void let_go(Instant now, tcp::Conn& conn);
  void end(Instant now, Session& s);
  void settle(Instant now, Session& s);
  Instant deadline_of(const Session& s) const;
  Instant body_deadline_of(const Session& s) const;
  void on_deadline(Instant now, Session& s);
  void on_client_closed(Instant now, Session& s);
  void sweep(Instant now);
  void on_member_down(Instant now, Session& s, FlowsOnDown action);
  HttpCounters& http(const Session& s) const { return s.virtual_server->http.of(options_.worker); }
  void record(Instant now, const Session& s, ErrorSide side, std::uint16_t status, std::uint64_t offset,
              const char* reason);

  // session_run.cc: both directions, what is common to them
  void run(Instant now, Session& s);
  void run_tunnel(Instant now, Session& s);
  void pass_all(Instant now, Session& s, tcp::Conn& from, tcp::Conn& to);
  bool pass_body(Instant now, tcp::Conn& from, tcp::Conn& to, const http::Step& step);
  void drain(Instant now, Session& s);
  bool flush_text(Instant now, tcp::Conn& to);
  void add_text(std::string_view text);
  std::span<char> text_room() { return {text_.get() + text_size_, kTextMax - text_size_}; }
  void start_tunnel(Instant now, Session& s);
  void finish_exchange(Instant now, Session& s);
  void close_client(Instant now, Session& s);
  void abort_client(Instant now, Session& s);
  void log_end(Instant now, Session& s, bool cut_short);

  // session_request.cc: client to server
  void run_request(Instant now, Session& s);
  bool read_proxy_header(Instant now, Session& s);
  bool on_request_head(Instant now, Session& s, bool alone);
  bool write_request(Session& s, const http::Head& head);
  bool write_held(Session& s);
  void on_client_end(Instant now, Session& s);
  void log_begin(Instant now, Session& s, const http::Head& head);
  bool redirect(Instant now, Session& s, const http::Head& head);
  void refuse_request(Instant now, Session& s, const http::HttpError& error);
  void answer(Instant now, Session& s, std::uint16_t status);

  // session_server.cc: the member and the conn to it
  const VirtualServer* find_virtual_server(const Session& s) const;
  bool choose_server(Instant now, Session& s, const VirtualServer& vs, const http::Head& head);
  MemberRuntime* choose_member(Instant now, Session& s, const VirtualServer& vs, const Pool& pool,
                               const http::Head& head, bool& at_limit);
  const Member* member_of_cookie(const Session& s, const Pool& pool, const http::Head& head);
  std::string_view cookie_name(const Session& s, std::string_view pool);
  std::uint32_t write_cookie(const Session& s, std::span<char> out);  // 0: too long
  bool take_idle(Session& s);
  bool connect(Instant now, Session& s, const VirtualServer& vs);
  bool choose_source(const VirtualServer& vs, const Session& s, packet::PortId port, flow::FlowKey& key);
  void send_held(Instant now, Session& s);
  void hold_text(Instant now, Session& s, bool keep);
  void drop_held(Session& s);
  void on_server_up(Instant now, Session& s);
  void on_server_closed(Instant now, Session& s);
  void drop_server(Instant now, Session& s, bool abort);
  bool retry(Instant now, Session& s);
  bool move(Instant now, Session& s);
  void keep_idle(Instant now, Session& s);
  void close_idle(Instant now, IdleServer& idle);
  void on_idle_event(Instant now, IdleServer& idle);
  void fail(Instant now, Session& s, Failure failure, ErrorSide side, std::uint64_t offset, const char* reason);

  // session_response.cc: server to client
  void run_response(Instant now, Session& s);
  bool on_response_head(Instant now, Session& s);

  static constexpr std::uint32_t kTextMax = 256 * 1024;

  const ProxyOptions options_;
  Context context_;
  const Snapshot* snapshot_ = nullptr;
  ProxyCounters counters_;
  const HttpProfile default_profile_;
  Network network_;
  std::vector<tcp::Options> client_options_;  // by egress port: its MTU decides
  std::vector<tcp::Options> server_options_;
  tcp::Stack stack_;
  Slab<Session> sessions_;
  TimerWheel wheel_;
  IdleServers idle_;
  http::ReadScratch scratch_;
  // What we write ourselves on its way to a conn; empty between two calls from outside.
  std::unique_ptr<char[]> text_;
  std::uint32_t text_size_ = 0;
  std::string cookie_name_;  // the last one made
  ErrorLog errors_;
  AccessRing access_;
  std::uint32_t access_turn_ = 0;  // counts exchanges for sampling
  std::uint64_t sweep_generation_ = 0;
  std::uint32_t sweep_at_ = 0;
  std::uint32_t sweep_left_ = 0;
  bool winding_down_ = false;
  std::uint32_t relieve_at_ = 0;  // conn slots
};

}  // namespace sluice::lb
