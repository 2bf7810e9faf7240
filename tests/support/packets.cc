// Frames for tests; see packets.h. Written without wire/ on purpose where it builds and judges.
#include "tests/support/packets.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "dataplane/packet/chain.h"

namespace sluice::test {
namespace {

template <typename T>
T must(std::optional<T> value, std::string_view text) {
  if (value) return *value;
  fmt::print(stderr, "test data is wrong: \"{}\"\n", text);
  std::abort();
}

void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16);
  put16(out, value & 0xffff);
}
void put(Bytes& out, const Bytes& bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void put_mac(Bytes& out, const MacAddress& mac) { out.insert(out.end(), mac.bytes.begin(), mac.bytes.end()); }
void set16(Bytes& bytes, std::size_t at, unsigned value) {
  bytes.at(at) = static_cast<std::uint8_t>(value >> 8);
  bytes.at(at + 1) = static_cast<std::uint8_t>(value);
}
unsigned get16(const Bytes& bytes, std::size_t at) { return bytes.at(at) * 256u + bytes.at(at + 1); }
std::uint32_t get32(const Bytes& bytes, std::size_t at) { return get16(bytes, at) << 16 | get16(bytes, at + 2); }

// RFC 1071 to the letter.
unsigned naive_sum(const Bytes& bytes, std::size_t from, std::size_t to, unsigned start = 0) {
  unsigned long sum = start;
  for (std::size_t i = from; i < to; i += 2) sum += bytes.at(i) * 256u + (i + 1 < to ? bytes.at(i + 1) : 0u);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<unsigned>(sum);
}
unsigned pseudo_sum(std::uint32_t source, std::uint32_t destination, unsigned protocol, std::size_t length) {
  Bytes pseudo;
  put32(pseudo, source);
  put32(pseudo, destination);
  put16(pseudo, protocol);
  put16(pseudo, static_cast<unsigned>(length));
  return naive_sum(pseudo, 0, pseudo.size());
}

// Where L3 begins and what it is.
struct Link {
  std::size_t l3;
  unsigned type;
};
Link link_of(const Bytes& frame) {
  const unsigned type = get16(frame, 12);
  return type == 0x8100 ? Link{18, get16(frame, 16)} : Link{14, type};
}

std::string tcp_flags_text(unsigned flags) {
  std::string text;
  const std::string_view names = "FSRPAUEC";
  for (unsigned bit : {1u, 0u, 2u, 3u, 4u, 5u, 6u, 7u}) {
    if (flags >> bit & 1) text += names[bit];
  }
  return text.empty() ? "-" : text;
}

struct L3 {
  std::size_t begin, l4, end;
  unsigned protocol, fragment;
  Ipv4Address source, destination;
};
L3 l3_of(const Bytes& frame) {
  const std::size_t begin = link_of(frame).l3;
  return {begin,
          begin + (frame.at(begin) & 15u) * 4,
          begin + get16(frame, begin + 2),
          frame.at(begin + 9),
          get16(frame, begin + 6) & 0x3fff,
          {get32(frame, begin + 12)},
          {get32(frame, begin + 16)}};
}

std::size_t l4_header_length(const Bytes& frame, const L3& l3) {
  return l3.protocol == 6 ? frame.at(l3.l4 + 12) / 16u * 4 : 8;
}

std::string describe_arp(const Bytes& frame, std::size_t at) {
  const auto mac_at = [&](std::size_t i) { return wire::load_mac(frame.data() + i).text(); };
  const std::string sender = Ipv4Address{get32(frame, at + 14)}.text();
  const std::string target = Ipv4Address{get32(frame, at + 24)}.text();
  if (get16(frame, at + 6) == 1) return fmt::format("arp request {} ({}) asks {}", sender, mac_at(at + 8), target);
  return fmt::format("arp reply {} is {} to {}", sender, mac_at(at + 8), target);
}

}  // namespace

Ipv4Address ip(std::string_view text) { return must(Ipv4Address::parse(text), text); }
Ipv4Prefix prefix(std::string_view text) { return must(Ipv4Prefix::parse(text), text); }
MacAddress mac(std::string_view text) { return must(MacAddress::parse(text), text); }

Frame& Frame::eth(const MacAddress& source, const MacAddress& destination) {
  source_mac_ = source;
  destination_mac_ = destination;
  return *this;
}
Frame& Frame::ether_type(std::uint16_t type) { return ether_type_ = type, *this; }
Frame& Frame::vlan(std::uint16_t tag) { return vlan_ = tag, *this; }
Frame& Frame::ip(std::string_view source, std::string_view destination) {
  return ip(test::ip(source), test::ip(destination));
}
Frame& Frame::ip(Ipv4Address source, Ipv4Address destination) {
  source_ = source;
  destination_ = destination;
  return *this;
}
Frame& Frame::ttl(unsigned ttl) { return ttl_ = static_cast<std::uint8_t>(ttl), *this; }
Frame& Frame::tos(unsigned tos) { return tos_ = static_cast<std::uint8_t>(tos), *this; }
Frame& Frame::id(unsigned identification) { return id_ = static_cast<std::uint16_t>(identification), *this; }
Frame& Frame::dont_fragment(bool on) {
  flags_fragment_ = static_cast<std::uint16_t>((flags_fragment_ & ~0x4000) | (on ? 0x4000 : 0));
  return *this;
}
Frame& Frame::fragment(unsigned offset_bytes, bool more) {
  flags_fragment_ = static_cast<std::uint16_t>((flags_fragment_ & 0x4000) | offset_bytes / 8 | (more ? 0x2000u : 0));
  return *this;
}
Frame& Frame::ip_options(Bytes options) { return ip_options_ = std::move(options), *this; }
Frame& Frame::protocol(unsigned protocol) {
  l4_ = L4::raw;
  protocol_ = static_cast<std::uint8_t>(protocol);
  return *this;
}
Frame& Frame::total_length(unsigned length) { return total_length_ = static_cast<int>(length), *this; }
Frame& Frame::bad_ip_checksum() { return bad_ip_checksum_ = true, *this; }
Frame& Frame::tcp(unsigned src_port, unsigned dst_port) {
  l4_ = L4::tcp;
  protocol_ = 6;
  src_port_ = static_cast<std::uint16_t>(src_port);
  dst_port_ = static_cast<std::uint16_t>(dst_port);
  return *this;
}
Frame& Frame::flags(unsigned flags) { return tcp_flags_ = static_cast<std::uint8_t>(flags), *this; }
Frame& Frame::seq(std::uint32_t sequence, std::uint32_t acknowledgment) {
  sequence_ = sequence;
  acknowledgment_ = acknowledgment;
  return *this;
}
Frame& Frame::window(unsigned window) { return window_ = static_cast<std::uint16_t>(window), *this; }
Frame& Frame::tcp_options(Bytes options) { return tcp_options_ = std::move(options), *this; }
Frame& Frame::udp(unsigned src_port, unsigned dst_port) {
  tcp(src_port, dst_port);
  l4_ = L4::udp;
  protocol_ = 17;
  return *this;
}
Frame& Frame::no_udp_checksum() { return l4_checksum_ = Checksum::none, *this; }
Frame& Frame::icmp(unsigned type, unsigned code, std::uint32_t rest) {
  l4_ = L4::icmp;
  protocol_ = 1;
  icmp_type_ = static_cast<std::uint8_t>(type);
  icmp_code_ = static_cast<std::uint8_t>(code);
  icmp_rest_ = rest;
  return *this;
}
Frame& Frame::partial_l4_checksum() { return l4_checksum_ = Checksum::partial, *this; }
Frame& Frame::bad_l4_checksum() { return l4_checksum_ = Checksum::bad, *this; }
Frame& Frame::payload(std::string_view text) { return payload(Bytes(text.begin(), text.end())); }
Frame& Frame::payload(Bytes bytes) { return payload_ = std::move(bytes), *this; }
Frame& Frame::payload_size(std::size_t n) {
  payload_.resize(n);
  for (std::size_t i = 0; i < n; ++i) payload_[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
  return *this;
}
Frame& Frame::pad_to(std::size_t frame_length) { return pad_to_ = frame_length, *this; }

Bytes Frame::l4() const {
  Bytes out;
  std::size_t checksum_at = 0;
  if (l4_ == L4::tcp || l4_ == L4::udp) {
    put16(out, src_port_);
    put16(out, dst_port_);
  }
  if (l4_ == L4::tcp) {
    put32(out, sequence_);
    put32(out, acknowledgment_);
    put16(out, static_cast<unsigned>((20 + tcp_options_.size()) / 4 << 12 | tcp_flags_));
    put16(out, window_);
    put32(out, 0);
    put(out, tcp_options_);
    checksum_at = 16;
  } else if (l4_ == L4::udp) {
    put16(out, static_cast<unsigned>(8 + payload_.size()));
    put16(out, 0);
    checksum_at = 6;
  } else if (l4_ == L4::icmp) {
    put16(out, icmp_type_ * 256u + icmp_code_);
    put16(out, 0);
    put32(out, icmp_rest_);
    checksum_at = 2;
  }
  put(out, payload_);
  if (l4_ == L4::raw || l4_checksum_ == Checksum::none) return out;
  const unsigned pseudo = l4_ == L4::icmp ? 0 : pseudo_sum(source_.value, destination_.value, protocol_, out.size());
  unsigned checksum = ~naive_sum(out, 0, out.size(), pseudo) & 0xffff;
  if (l4_ == L4::udp && checksum == 0) checksum = 0xffff;
  if (l4_checksum_ == Checksum::partial) checksum = pseudo;
  if (l4_checksum_ == Checksum::bad) checksum ^= 0x5555;
  set16(out, checksum_at, checksum);
  return out;
}

Bytes Frame::l3() const {
  const Bytes body = l4();
  Bytes out;
  const std::size_t header = 20 + ip_options_.size();
  put16(out, static_cast<unsigned>((4 << 4 | header / 4) << 8 | tos_));
  put16(out, total_length_ >= 0 ? static_cast<unsigned>(total_length_) : static_cast<unsigned>(header + body.size()));
  put16(out, id_);
  put16(out, flags_fragment_);
  put16(out, ttl_ * 256u + protocol_);
  put16(out, 0);
  put32(out, source_.value);
  put32(out, destination_.value);
  put(out, ip_options_);
  set16(out, 10, (~naive_sum(out, 0, header) & 0xffff) ^ (bad_ip_checksum_ ? 0x5555u : 0));
  put(out, body);
  return out;
}

Bytes Frame::bytes() const {
  Bytes out;
  put_mac(out, destination_mac_);
  put_mac(out, source_mac_);
  if (vlan_ >= 0) {
    put16(out, 0x8100);
    put16(out, static_cast<unsigned>(vlan_));
  }
  put16(out, ether_type_);
  put(out, l3());
  if (out.size() < pad_to_) out.resize(pad_to_, 0xa5);
  return out;
}

namespace {
Bytes arp_frame(unsigned operation, const MacAddress& sender_mac, std::string_view sender_ip,
                const MacAddress& frame_to, const MacAddress& target_mac, std::string_view target_ip) {
  Bytes out;
  put_mac(out, frame_to);
  put_mac(out, sender_mac);
  put16(out, 0x0806);
  put32(out, 0x00010800);
  put16(out, 0x0604);
  put16(out, operation);
  put_mac(out, sender_mac);
  put32(out, ip(sender_ip).value);
  put_mac(out, target_mac);
  put32(out, ip(target_ip).value);
  return out;
}
}  // namespace

Bytes arp_request(const MacAddress& sender_mac, std::string_view sender_ip, std::string_view target_ip) {
  return arp_frame(1, sender_mac, sender_ip, MacAddress::broadcast(), MacAddress{}, target_ip);
}

Bytes arp_reply(const MacAddress& sender_mac, std::string_view sender_ip, const MacAddress& target_mac,
                std::string_view target_ip) {
  return arp_frame(2, sender_mac, sender_ip, target_mac, target_mac, target_ip);
}

packet::Packet to_packet(const packet::PacketPool& pool, const Bytes& bytes,
                         std::initializer_list<std::size_t> segments, packet::PortId rx_port) {
  std::span<const std::uint8_t> rest(bytes);
  packet::Packet head;
  const auto add = [&](std::size_t n) {
    n = std::min(n, rest.size());
    const packet::Packet piece = packet::from_bytes(pool, rest.first(n));
    if (!piece || (head && !packet::append_chain(head, piece))) std::abort();
    if (!head) head = piece;
    rest = rest.subspan(n);
  };
  for (const std::size_t n : segments) add(n);
  if (!rest.empty() || !head) add(rest.size());
  head.set_rx_port(rx_port);
  return head;
}

Bytes to_bytes(packet::Packet packet) {
  Bytes out(packet.length());
  packet::copy_out(packet, 0, out);
  return out;
}

wire::Layers layers_of(const Bytes& frame) {
  wire::Layers layers;
  const auto reason = wire::parse(frame, static_cast<std::uint32_t>(frame.size()), {kOwnMac, true}, layers);
  EXPECT_FALSE(reason) << name_of(reason.value_or(DropReason::kCount));
  return layers;
}

std::string describe(const Bytes& frame) {
  const Link link = link_of(frame);
  if (link.type == 0x0806) return describe_arp(frame, link.l3);
  if (link.type != 0x0800) return fmt::format("type {:#06x} len {}", link.type, frame.size() - link.l3);
  const L3 l3 = l3_of(frame);
  const unsigned ttl = frame.at(l3.begin + 8);
  const std::string source = l3.source.text();
  const std::string destination = l3.destination.text();
  if (l3.fragment != 0) {
    return fmt::format("{} > {} frag {}{}{} proto {} ttl {}", source, destination, (l3.fragment & 0x1fff) * 8,
                       l3.fragment & 0x2000 ? "+" : "..", l3.end - l3.l4, l3.protocol, ttl);
  }
  if (l3.protocol == 1) {
    return fmt::format("{} > {} icmp {}/{} ttl {} len {}", source, destination, frame.at(l3.l4), frame.at(l3.l4 + 1),
                       ttl, l3.end - l3.l4 - 8);
  }
  if (l3.protocol != 6 && l3.protocol != 17) {
    return fmt::format("{} > {} proto {} ttl {} len {}", source, destination, l3.protocol, ttl, l3.end - l3.l4);
  }
  const std::string name = l3.protocol == 17 ? std::string("udp") : "tcp " + tcp_flags_text(frame.at(l3.l4 + 13));
  return fmt::format("{}:{} > {}:{} {} ttl {} len {}", source, get16(frame, l3.l4), destination,
                     get16(frame, l3.l4 + 2), name, ttl, l3.end - l3.l4 - l4_header_length(frame, l3));
}

std::string faults(const Bytes& frame) {
  const Link link = link_of(frame);
  if (link.type == 0x0806) return frame.size() >= link.l3 + 28 ? "" : "arp too short";
  if (link.type != 0x0800) return "";
  const L3 l3 = l3_of(frame);
  if (l3.end > frame.size()) return fmt::format("total length {} beyond frame {}", l3.end - l3.begin, frame.size());
  if (l3.end < frame.size() && frame.size() > 60) return fmt::format("{} bytes of padding", frame.size() - l3.end);
  if (naive_sum(frame, l3.begin, l3.l4) != 0xffff) return "ipv4 checksum";
  if (l3.fragment != 0) return "";
  if (l3.protocol == 1) return naive_sum(frame, l3.l4, l3.end) == 0xffff ? "" : "icmp checksum";
  if (l3.protocol != 6 && l3.protocol != 17) return "";
  if (l3.protocol == 17 && get16(frame, l3.l4 + 4) != l3.end - l3.l4) return "udp length";
  if (l3.protocol == 17 && get16(frame, l3.l4 + 6) == 0) return "";
  const unsigned pseudo = pseudo_sum(l3.source.value, l3.destination.value, l3.protocol, l3.end - l3.l4);
  return naive_sum(frame, l3.l4, l3.end, pseudo) == 0xffff ? "" : "l4 checksum";
}

std::string payload_of(const Bytes& frame) {
  const L3 l3 = l3_of(frame);
  const std::size_t begin = l3.l4 + l4_header_length(frame, l3);
  return {frame.begin() + static_cast<std::ptrdiff_t>(begin), frame.begin() + static_cast<std::ptrdiff_t>(l3.end)};
}

void CollectSink::flush(packet::PortId port) {
  packet::Batch& batch = batches_[port];
  for (const packet::Packet packet : batch.view()) {
    const rte_mbuf* last = rte_pktmbuf_lastseg(packet.mbuf());
    frames.push_back({port, to_bytes(packet), packet.mbuf()->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK,
                      rte_pktmbuf_mtod(last, const std::uint8_t*) + last->data_len - 1});
    rte_pktmbuf_free(packet.mbuf());
  }
  batch.count = 0;
}

std::vector<std::string> CollectSink::take_described() {
  std::vector<std::string> lines;
  for (const SentFrame& frame : take()) lines.push_back(describe(frame.bytes));
  return lines;
}

}  // namespace sluice::test
