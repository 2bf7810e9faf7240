// ICMP that we send; see icmp.h.
#include "dataplane/ip/icmp.h"

#include <algorithm>

#include "dataplane/packet/chain.h"

namespace sluice::ip {
namespace {

using wire::Layers;
using wire::PacketKind;

constexpr std::uint16_t kErrorLengthMax = 576;  // RFC 1812 §4.3.2.3
constexpr std::uint16_t kErrorOverhead = wire::kIpv4Length + wire::kIcmpLength;
constexpr std::uint8_t kTtl = 255;
constexpr std::uint8_t kTosInternetControl = 0xc0;  // RFC 1812 §4.3.2.5

bool is_single_host(Ipv4Address address) { return wire::is_valid_source(address) && address.value >> 28 != 0xf; }

bool is_group(Ipv4Address address) { return address.is_multicast() || address.is_broadcast(); }

bool is_icmp_checksum_good(packet::Packet packet, const Layers& layers) {
  wire::ChecksumSum sum;
  packet::add_to_checksum(packet, layers.l4_offset, layers.l4_length(), sum);
  return sum.finish() == 0;
}

}  // namespace

bool may_send_error(const Layers& offending, const LocalAddresses& local) {
  if (offending.kind == PacketKind::arp || offending.link_group || offending.fragment_offset != 0) return false;
  // What type a fragmented ICMP message has, its fragment need not show: keep silent.
  if (offending.is_fragment() && offending.protocol == wire::kProtocolIcmp) return false;
  if (offending.kind == PacketKind::icmp && wire::is_icmp_error(offending.icmp_type)) return false;
  if (is_group(offending.destination) || local.is_subnet_broadcast(offending.destination)) return false;
  return is_single_host(offending.source) && !local.is_subnet_broadcast(offending.source);
}

Icmp::Icmp(const IcmpLimits& limits, const Context& context)
    : context_(context),
      error_bucket_(limits.errors_per_second, limits.errors_burst),
      echo_bucket_(limits.echoes_per_second, limits.echoes_burst) {}

std::optional<DropReason> Icmp::reply_to_echo(Instant now, packet::Packet packet, Layers& layers) {
  const bool to_group =
      layers.link_group || is_group(layers.destination) || context_.local.is_subnet_broadcast(layers.destination);
  if (to_group || !is_single_host(layers.source)) return DropReason::icmp_unhandled;  // RFC 1122 §3.2.2.6: may
  if (!is_icmp_checksum_good(packet, layers)) return DropReason::icmp_malformed;
  if (!echo_bucket_.take(now)) return DropReason::icmp_rate_limited;

  std::uint8_t* ipv4 = packet.data() + layers.l3_offset;
  std::uint8_t* icmp = packet.data() + layers.l4_offset;
  wire::ChecksumDelta delta;
  delta.replace16(wire::load_be16(icmp), std::uint16_t{wire::kIcmpEchoReply} << 8 | layers.icmp_code);
  icmp[wire::kIcmpType] = wire::kIcmpEchoReply;
  // All ones is zero in one's complement, and right as well for a message that is zero throughout; zero is not.
  const std::uint16_t checksum = delta.apply(wire::load_be16(icmp + wire::kIcmpChecksum));
  wire::store_be16(icmp + wire::kIcmpChecksum, checksum == 0 ? 0xffff : checksum);

  std::swap(layers.source, layers.destination);
  wire::store_ipv4(ipv4 + wire::kIpv4Source, layers.source);
  wire::store_ipv4(ipv4 + wire::kIpv4Destination, layers.destination);
  // DF clear: a long ping came in fragments and must be able to go back in fragments.
  wire::store_be16(ipv4 + wire::kIpv4FlagsFragment, 0);
  ipv4[wire::kIpv4Ttl] = kTtl;
  wire::write_ipv4_checksum(ipv4);
  layers.ttl = kTtl;
  layers.icmp_type = wire::kIcmpEchoReply;
  layers.dont_fragment = false;
  echoes_answered_.add();
  return std::nullopt;
}

packet::Packet Icmp::make_error(Instant now, packet::Packet offending, const Layers& layers, Ipv4Address source,
                                const IcmpError& error) {
  if (source.is_zero() || !may_send_error(layers, context_.local)) return {};
  if (!error_bucket_.take(now)) {
    errors_limited_.add();
    return {};
  }
  const packet::Packet packet = context_.pool.allocate();
  if (!packet) return {};
  const auto quoted = std::min<std::uint16_t>(layers.l3_length, kErrorLengthMax - kErrorOverhead);
  const auto length = static_cast<std::uint16_t>(kErrorOverhead + quoted);
  std::uint8_t* frame = packet.append(static_cast<std::uint16_t>(wire::kEthernetLength + length));
  if (frame == nullptr) {
    packet::discard(packet);
    return {};
  }
  std::memset(frame, 0, wire::kEthernetLength);

  std::uint8_t* ipv4 = frame + wire::kEthernetLength;
  wire::Ipv4Header header;
  header.tos = kTosInternetControl;
  header.total_length = length;
  header.ttl = kTtl;
  header.protocol = wire::kProtocolIcmp;
  header.source = source;
  header.destination = layers.source;
  wire::emit_ipv4(ipv4, header);

  std::uint8_t* icmp = ipv4 + wire::kIpv4Length;
  std::memset(icmp, 0, wire::kIcmpLength);
  icmp[wire::kIcmpType] = error.type;
  icmp[wire::kIcmpCode] = error.code;
  wire::store_be16(icmp + wire::kIcmpMtu, error.mtu);
  packet::copy_out(offending, layers.l3_offset, {icmp + wire::kIcmpLength, quoted});
  const std::size_t icmp_length = wire::kIcmpLength + quoted;
  wire::store_be16(icmp + wire::kIcmpChecksum, wire::internet_checksum({icmp, icmp_length}));
  errors_sent_.add();
  context_.drops.count_generated();
  return packet;
}

}  // namespace sluice::ip
