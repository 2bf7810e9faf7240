// Session: one client connection of a virtual server in mode http: its two conns, two readers, and the exchange that
// runs (a request and its response).
//
// Bytes never live here: they wait in the receive queue of the conn that they came by until the other side has room.
//
// Called by: lb/l7. Runs on: the worker that owns it. Tested by: tests/lb/l7/*
#pragma once

#include "dataplane/base/slab.h"
#include "dataplane/base/timer_wheel.h"
#include "dataplane/tcp/conn.h"
#include "lb/l7/message_reader.h"
#include "lb/l7/profile.h"
#include "lb/l7/records.h"

namespace sluice::lb {

struct Session : Timer {
  explicit Session(tcp::Conn& conn, VirtualServerRuntime& runtime, const HttpProfile& options, Instant now)
      : client(&conn), virtual_server(&runtime), profile(&options), source(conn.tuple.remote), active_at(now) {}

  // ---- who
  tcp::Conn* client;            // never null
  tcp::Conn* server = nullptr;  // null: none is open
  VirtualServerRuntime* virtual_server;
  const HttpProfile* profile;
  MemberRuntime* member = nullptr;  // of `server`; one of its connections is taken
  SlabHandle self;
  Ipv4Endpoint source;                // the client; as the PROXY header says if there was one
  std::uint32_t last_member = 0;      // id of the member last used; 0: none yet
  std::uint32_t requests = 0;         // heads read
  std::uint32_t server_requests = 0;  // sent on `server`

  // ---- the exchange
  http::MessageReader request{http::MessageReader::Kind::request};
  http::MessageReader response{http::MessageReader::Kind::response};
  packet::Packet held;  // the request's head: it waits for the server's handshake, or is kept to be sent once more
  http::Method method = http::Method::none;
  std::uint16_t status = 0;
  std::uint32_t access = AccessRing::kNone;
  bool head_begun : 1 = false;          // bytes of a request head have come; it is not complete
  bool exchange : 1 = false;            // a request head is complete and its response is not
  bool request_done : 1 = false;        // ... and all of its body was passed on
  bool response_begun : 1 = false;      // the final response's head was passed on
  bool interim : 1 = false;             // a 1xx is being read
  bool client_1_0 : 1 = false;          // the request is HTTP/1.0
  bool keep_client : 1 = false;         // the client wants its connection to live on
  bool keep_server : 1 = false;         // likewise the member
  bool wants_upgrade : 1 = false;       // the request asks for one that may pass
  bool set_cookie : 1 = false;          // the response shall carry the persistence cookie
  bool server_up : 1 = false;           // the server's handshake is complete
  bool server_reused : 1 = false;       // `server` has served a request before
  bool may_retry : 1 = false;           // `held` may be sent once more when `server` dies without a byte
  bool may_move : 1 = false;            // it may be sent to another member while no byte of an answer has come
  bool held_raw : 1 = false;            // `held` is the request as it came; else as it goes out
  bool reselects : 1 = false;           // the pool's service-down action: then `held` is kept for it
  bool wants_proxy_header : 1 = false;  // the client must begin with one
  bool tunnel : 1 = false;              // no more HTTP: bytes pass both ways
  bool draining : 1 = false;            // the answer was given; what still comes is thrown away
  bool over : 1 = false;                // ends when the present call is done
  bool again : 1 = false;               // the exchange ended: there may be another request already

  // ---- time
  Instant timer_at = kInstantMax;  // where the Timer is scheduled
  Instant begun_at{};              // first byte of the request
  Instant head_at{};               // its head was complete
  Instant body_from{};             // the time for the request's body counts from here
  Instant sent_at{};               // the request was passed on whole
  Instant connect_at{};            // SYN to the member
  Instant server_opened_at{};
  Instant active_at{};  // bytes came last, or a state began
};

}  // namespace sluice::lb
