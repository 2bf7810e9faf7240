// Fuzz target: any bytes as a frame, through the one parse and every header parser behind it.
//
// Checks what the rest of the packet path relies on: offsets inside the frame, in order, lengths that add up; and that
// what is emitted parses to the same value. The input lies at the end of its own allocation, so ASan sees any read
// beyond.
//
// Called by: ./test (seeds, and a while of libFuzzer). Runs on: its own process.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "dataplane/wire/arp.h"
#include "dataplane/wire/ipv6.h"
#include "dataplane/wire/plain.h"

namespace {

using namespace sluice;
using namespace sluice::wire;

void require(bool condition) {
  if (!condition) std::abort();
}

void check_l4(ConstBytes l4, const Layers& layers) {
  if (layers.kind == PacketKind::tcp) {
    const auto header = parse_tcp(l4);
    require(header && header->flags == layers.tcp_flags && header->src_port == layers.src_port);
    require(layers.l4_offset + header->header_length == layers.payload_offset);
    const TcpOptions options = parse_tcp_options(l4.subspan(kTcpLength, header->header_length - kTcpLength));
    std::uint8_t bytes[40];
    const std::size_t length = emit_tcp_options(bytes, options);
    require(length <= sizeof bytes && length == tcp_options_length(options));
    TcpOptions again = parse_tcp_options({bytes, length});
    if (again.sack_count == options.sack_count) require(again == options);
  } else if (layers.kind == PacketKind::udp) {
    require(parse_udp(l4).has_value());
  } else if (layers.kind == PacketKind::icmp) {
    if (const auto quoted = parse_quoted(l4)) {
      require(quoted->l4_offset + quoted->l4_length <= l4.size() && quoted->l4_length >= 8);
      require(quoted->ip.fragment_offset == 0);
    }
  }
}

void check_layers(ConstBytes frame, const Layers& layers) {
  if (layers.kind == PacketKind::arp) {
    const auto arp = parse_arp(frame.subspan(layers.l3_offset));
    if (!arp) return;
    std::uint8_t bytes[kArpLength];
    emit_arp(bytes, *arp);
    require(parse_arp(bytes) == arp);
    return;
  }
  require(layers.l3_offset == 14 || layers.l3_offset == 18);
  require(layers.l3_offset + 20 <= layers.l4_offset && layers.l4_offset <= layers.payload_offset);
  require(layers.payload_offset <= layers.frame_length() && layers.frame_length() <= frame.size());
  require(layers.l4_length() + layers.l3_header_length() == layers.l3_length);
  require(is_valid_source(layers.source));
  const auto ip = parse_ipv4(frame.subspan(layers.l3_offset));
  require(ip && ip->source == layers.source && ip->destination == layers.destination && ip->ttl == layers.ttl);
  require(layers.is_fragment() == (ip->more_fragments || ip->fragment_offset != 0));
  require(internet_checksum(frame.subspan(layers.l3_offset, layers.l3_header_length())) == 0);
  check_l4(frame.subspan(layers.l4_offset, layers.l4_length()), layers);
  Layers again;
  again.link_group = layers.link_group;
  require(!parse_ipv4_layers(frame, static_cast<std::uint32_t>(frame.size()), layers.l3_offset, true, again));
  require(again.payload_offset == layers.payload_offset && again.src_port == layers.src_port);
}

void run(ConstBytes frame, const ParseOptions& options) {
  const auto length = static_cast<std::uint32_t>(frame.size());
  Layers layers, plain;
  PlainFrame judged;
  const bool is_plain = judge_plain(frame, length, options.own_mac, options.verify_ipv4_checksum, judged);
  if (is_plain) fill_layers(frame.data(), judged, plain);
  if (!parse(frame, length, options, layers)) {
    check_layers(frame, layers);
    require(!is_plain || (plain.kind == layers.kind && plain.payload_offset == layers.payload_offset &&
                          plain.l3_length == layers.l3_length && plain.tcp_flags == layers.tcp_flags));
  } else {
    require(!is_plain);  // what is dropped is never plain
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto copy = std::make_unique<std::uint8_t[]>(size + 1);
  std::uint8_t* const begin = copy.get() + 1;  // odd address: no load may need alignment
  if (size != 0) std::memcpy(begin, data, size);
  const ParseOptions options{{{0x02, 0, 0, 0, 0, 0x01}}, true};
  run({begin, size}, options);

  // Few mutations get past the checksum: mend it and go deeper.
  const std::size_t l3 = size > 14 && begin[12] == 0x81 ? 18 : 14;
  if (size >= l3 + 20) {
    const std::size_t header = ipv4_header_length(begin + l3);
    if (header >= 20 && l3 + header <= size) {
      write_ipv4_checksum(begin + l3);
      run({begin, size}, options);
    }
  }
  // As a chain whose first segment holds only so much.
  Layers layers;
  for (const std::size_t first : {std::size_t{14}, std::size_t{34}, std::size_t{40}, kHeadersMax}) {
    if (first < size) (void)parse({begin, first}, static_cast<std::uint32_t>(size), options, layers);
  }
  if (const auto ipv6 = parse_ipv6({begin, size})) {
    std::uint8_t bytes[kIpv6Length];
    emit_ipv6(bytes, *ipv6);
    require(ipv6->payload_length != 0 || parse_ipv6(bytes) == ipv6);
  }
  (void)parse_icmpv6({begin, size});
  return 0;
}
