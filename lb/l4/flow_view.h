// FlowView: one L4 flow as `show flows` prints it; FlowFilter: which ones.
//
// Called by: lb/datapath (fills in), control/admin (prints). Runs on: any thread: plain values.
// Tested by: tests/lb/datapath/flows_test.cc
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "dataplane/base/address.h"
#include "dataplane/base/time.h"
#include "lb/snapshot/words.h"

namespace sluice::lb {

// In order of a connection's life.
enum class FlowState : std::uint8_t {
  syn_sent,      // TCP: SYN from the client, no answer yet
  syn_received,  // TCP: SYN+ACK from the member
  established,   // TCP
  closing,       // TCP: one FIN or both
  time_wait,     // TCP: both FINs acknowledged, or a RST
  one_way,       // UDP: the member has not answered
  two_way,       // UDP
};
constexpr std::string_view name_of(FlowState state) {
  constexpr std::string_view kNames[] = {"syn-sent",  "syn-received", "established", "closing",
                                         "time-wait", "one-way",      "two-way"};
  return kNames[static_cast<std::size_t>(state)];
}

struct FlowView {
  std::uint64_t id = 0;  // for delete_flow, of this worker
  unsigned worker = 0;
  Protocol protocol = Protocol::tcp;
  FlowState state = FlowState::syn_sent;
  Ipv4Endpoint client;  // client side: client -> destination
  Ipv4Endpoint destination;
  Ipv4Endpoint snat;  // server side: snat -> member
  Ipv4Endpoint member;
  Duration age{};
  Duration idle{};
  Duration idle_timeout{};
  std::uint64_t packets_in = 0, bytes_in = 0, packets_out = 0, bytes_out = 0;
};

// What is set must match.
struct FlowFilter {
  std::optional<Protocol> protocol;
  std::optional<Ipv4Prefix> client;
  std::optional<std::uint16_t> client_port;
  std::optional<Ipv4Address> destination;
  std::optional<std::uint16_t> destination_port;
  std::optional<Ipv4Address> member;
  std::optional<std::uint16_t> member_port;
  std::optional<FlowState> state;

  bool matches(const FlowView& flow) const;
};

}  // namespace sluice::lb
