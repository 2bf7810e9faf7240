// Frames for tests: built readably, checked naively, described in one line; and a TxSink that keeps what it is given.
//
//   const Bytes syn = Frame().ip("10.0.0.1", "10.0.0.2").tcp(1234, 80).flags(wire::kTcpSyn).bytes();
//   Packet packet = to_packet(pool, syn);                    // or to_packet(pool, syn, {14, 20, 3}) for a chain
//   EXPECT_EQ(describe(sink.frames[0].bytes), "10.0.0.1:1234 > 10.0.0.2:80 tcp S ttl 64 len 0");
//   EXPECT_EQ(faults(sink.frames[0].bytes), "");             // every length and checksum is right
//
// The checker shares no code with wire/: it is the tests' second opinion.
// Called by: tests of everything on the packet path. Tested by: tests/dataplane/wire/parse_test.cc
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/packet/packet.h"
#include "dataplane/packet/sink.h"
#include "dataplane/wire/arp.h"
#include "dataplane/wire/parse.h"

namespace sluice::test {

using Bytes = std::vector<std::uint8_t>;

inline constexpr MacAddress kOwnMac{{0x02, 0, 0, 0, 0, 0x01}};   // the engine's port
inline constexpr MacAddress kPeerMac{{0x02, 0, 0, 0, 0, 0x99}};  // whoever sends to it

// Text to value; the test stops when it is wrong.
Ipv4Address ip(std::string_view text);
Ipv4Prefix prefix(std::string_view text);
MacAddress mac(std::string_view text);

// A frame in the making: defaults are a valid frame from kPeerMac to kOwnMac. Lengths and checksums are filled in by
// bytes() unless a function below says otherwise.
class Frame {
 public:
  Frame& eth(const MacAddress& source, const MacAddress& destination);
  Frame& ether_type(std::uint16_t type);
  Frame& vlan(std::uint16_t tag);  // 802.1Q tag control information

  Frame& ip(std::string_view source, std::string_view destination);
  Frame& ip(Ipv4Address source, Ipv4Address destination);
  Frame& ttl(unsigned ttl);
  Frame& tos(unsigned tos);
  Frame& id(unsigned identification);
  Frame& dont_fragment(bool on = true);
  Frame& fragment(unsigned offset_bytes, bool more);  // the L4 part becomes raw: give it with payload()
  Frame& ip_options(Bytes options);                   // a multiple of 4
  Frame& protocol(unsigned protocol);                 // raw L4: give it with payload()
  Frame& total_length(unsigned length);               // instead of the right one
  Frame& bad_ip_checksum();

  Frame& tcp(unsigned src_port, unsigned dst_port);
  Frame& flags(unsigned flags);  // default ACK
  Frame& seq(std::uint32_t sequence, std::uint32_t acknowledgment = 0);
  Frame& window(unsigned window);
  Frame& tcp_options(Bytes options);  // a multiple of 4
  Frame& udp(unsigned src_port, unsigned dst_port);
  Frame& no_udp_checksum();
  Frame& icmp(unsigned type, unsigned code, std::uint32_t rest = 0);  // rest: bytes 4..7, e.g. id << 16 | sequence
  Frame& echo(unsigned identifier, unsigned sequence) { return icmp(8, 0, identifier << 16 | sequence); }
  Frame& partial_l4_checksum();  // only the pseudo-header sum, as a veth peer leaves it
  Frame& bad_l4_checksum();

  Frame& payload(std::string_view text);
  Frame& payload(Bytes bytes);
  Frame& payload_size(std::size_t n);  // n bytes counting up
  Frame& pad_to(std::size_t frame_length);

  Bytes bytes() const;
  Bytes l3() const;  // without Ethernet

 private:
  enum class L4 : std::uint8_t { raw, tcp, udp, icmp };
  Bytes l4() const;

  MacAddress source_mac_ = kPeerMac;
  MacAddress destination_mac_ = kOwnMac;
  std::uint16_t ether_type_ = 0x0800;
  int vlan_ = -1;
  Ipv4Address source_ = Ipv4Address::from_octets(10, 0, 0, 1);
  Ipv4Address destination_ = Ipv4Address::from_octets(10, 0, 0, 2);
  std::uint8_t ttl_ = 64;
  std::uint8_t tos_ = 0;
  std::uint16_t id_ = 0;
  std::uint16_t flags_fragment_ = 0;
  Bytes ip_options_;
  std::uint8_t protocol_ = 253;
  int total_length_ = -1;
  bool bad_ip_checksum_ = false;
  L4 l4_ = L4::raw;
  std::uint16_t src_port_ = 0;
  std::uint16_t dst_port_ = 0;
  std::uint8_t tcp_flags_ = 0x10;
  std::uint32_t sequence_ = 0;
  std::uint32_t acknowledgment_ = 0;
  std::uint16_t window_ = 65535;
  Bytes tcp_options_;
  std::uint8_t icmp_type_ = 0;
  std::uint8_t icmp_code_ = 0;
  std::uint32_t icmp_rest_ = 0;
  enum class Checksum : std::uint8_t { right, partial, bad, none } l4_checksum_ = Checksum::right;
  Bytes payload_;
  std::size_t pad_to_ = 0;
};

// A broadcast request, or a reply to `target_mac`.
Bytes arp_request(const MacAddress& sender_mac, std::string_view sender_ip, std::string_view target_ip);
Bytes arp_reply(const MacAddress& sender_mac, std::string_view sender_ip, const MacAddress& target_mac,
                std::string_view target_ip);

// The packet in one buffer, or in segments of these sizes (the last takes the rest). Aborts when the pool is empty.
packet::Packet to_packet(const packet::PacketPool& pool, const Bytes& bytes,
                         std::initializer_list<std::size_t> segments = {}, packet::PortId rx_port = 0);
Bytes to_bytes(packet::Packet packet);  // does not end the packet

// Parses with own MAC kOwnMac; the test fails when the frame is refused.
wire::Layers layers_of(const Bytes& frame);

// One line: "10.0.0.1:1234 > 10.0.0.2:80 tcp SA ttl 64 len 3", "… udp ttl 64 len 3", "… icmp 8/0 ttl 64 len 8",
// "… frag 1480+8 proto 17 ttl 64", "arp request 10.0.0.1 (02:…) asks 10.0.0.2", "arp reply 10.0.0.2 is 02:…
// to 10.0.0.1".
std::string describe(const Bytes& frame);
// "" when every length and checksum of the frame is right, else what is wrong. A fragment's L4 is not judged.
std::string faults(const Bytes& frame);
// The payload behind the L4 header (TCP, UDP, ICMP), for comparing.
std::string payload_of(const Bytes& frame);

struct SentFrame {
  packet::PortId port;
  Bytes bytes;
  std::uint64_t offloads;                   // the mbuf's TX offload flags
  const std::uint8_t* last_byte = nullptr;  // where it stood; only to compare, the buffer is free
};

// Keeps copies of all frames, at flush as the real one: call flush_all() before looking.
class CollectSink : public packet::TxSink {
 public:
  ~CollectSink() override { flush_all(); }
  void flush(packet::PortId port) final;
  void flush_all() {
    for (packet::PortId port = 0; port < packet::kPortsMax; ++port) flush(port);
  }
  // Flushes, then gives what came since the last take().
  std::vector<SentFrame> take() {
    flush_all();
    return std::exchange(frames, {});
  }
  // take(), described.
  std::vector<std::string> take_described();

  std::vector<SentFrame> frames;
};

}  // namespace sluice::test
