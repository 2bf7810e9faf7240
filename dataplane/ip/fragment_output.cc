// Cutting an IPv4 packet into fragments; see fragments.h.
#include <algorithm>

#include "dataplane/ip/fragments.h"
#include "dataplane/packet/chain.h"
#include "dataplane/packet/tx_checksum.h"

namespace sluice::ip {
namespace {

using HeaderBytes = std::array<std::uint8_t, wire::kIpv4LengthMax>;

constexpr std::uint8_t kOptionCopied = 0x80;

// The header of the second and later fragments: of the options only those marked "copied" (RFC 791 §3.1).
std::size_t make_later_header(const std::uint8_t* first, std::size_t first_length, HeaderBytes& out) {
  std::memcpy(out.data(), first, wire::kIpv4Length);
  std::size_t length = wire::kIpv4Length;
  for (std::size_t at = wire::kIpv4Length; at < first_length;) {
    const std::uint8_t kind = first[at];
    if (kind == 0) break;
    const std::size_t option = kind == 1 ? 1 : first[at + 1];  // lengths were checked by wire::parse
    if (option == 0 || at + option > first_length) break;
    if (kind & kOptionCopied) {
      std::memcpy(out.data() + length, first + at, option);
      length += option;
    }
    at += option;
  }
  while (length % 4 != 0) out[length++] = 0;
  out[0] = static_cast<std::uint8_t>(4 << 4 | length / 4);
  return length;
}

struct Piece {
  std::uint32_t offset;  // bytes of payload in this frame's packet
  std::uint32_t length;
  bool more;
};

// One fragment: Ethernet, IPv4, and the payload copied from wherever it lies.
packet::Packet make_piece(packet::Packet frame, std::uint32_t payload_at, std::span<const std::uint8_t> header,
                          const Piece& piece, const packet::PacketPool& pool) {
  const packet::Packet out = packet::copy(frame, pool, payload_at + piece.offset, piece.length);
  if (!out) return {};
  std::uint8_t* p = out.prepend(static_cast<std::uint16_t>(wire::kEthernetLength + header.size()));
  if (p == nullptr) {
    packet::discard(out);
    return {};
  }
  packet::clear_offload_flags(out);
  std::memcpy(p, frame.data(), wire::kEthernetLength);
  std::uint8_t* ipv4 = p + wire::kEthernetLength;
  std::memcpy(ipv4, header.data(), header.size());
  // The packet may be a fragment itself: offsets count from its own, and its last piece is last only if it was.
  const std::uint16_t before = wire::load_be16(ipv4 + wire::kIpv4FlagsFragment);
  const bool more = piece.more || (before & wire::kIpv4MoreFragments) != 0;
  const auto offset = static_cast<std::uint16_t>((before & wire::kIpv4FragmentOffsetMask) + piece.offset / 8);
  wire::store_be16(ipv4 + wire::kIpv4FlagsFragment,
                   static_cast<std::uint16_t>(offset | (more ? wire::kIpv4MoreFragments : 0)));
  wire::store_be16(ipv4 + wire::kIpv4TotalLength, static_cast<std::uint16_t>(header.size() + piece.length));
  wire::write_ipv4_checksum(ipv4);
  return out;
}

}  // namespace

bool fragment_packet(packet::Packet frame, std::uint8_t l3_offset, std::uint16_t mtu, const packet::PacketPool& pool,
                     std::vector<packet::Packet>& out) {
  const std::uint8_t* ipv4 = frame.data() + l3_offset;
  const std::size_t first_length = wire::ipv4_header_length(ipv4);
  HeaderBytes later;
  const std::size_t later_length = make_later_header(ipv4, first_length, later);
  if (mtu < first_length + 8) return false;
  const auto payload_at = static_cast<std::uint32_t>(l3_offset + first_length);
  const std::uint32_t total = wire::load_be16(ipv4 + wire::kIpv4TotalLength) - static_cast<std::uint32_t>(first_length);

  const std::size_t already = out.size();
  for (std::uint32_t offset = 0; offset < total;) {
    const bool is_first = offset == 0;
    const std::span<const std::uint8_t> header =
        is_first ? std::span(ipv4, first_length) : std::span<const std::uint8_t>(later.data(), later_length);
    const std::uint32_t room = static_cast<std::uint32_t>(mtu - header.size()) & ~7u;
    const bool fits = total - offset <= mtu - header.size();
    const Piece piece{offset, fits ? total - offset : room, !fits};
    const packet::Packet made = make_piece(frame, payload_at, header, piece, pool);
    if (!made) {
      for (std::size_t i = already; i < out.size(); ++i) packet::discard(out[i]);
      out.resize(already);
      return false;
    }
    out.push_back(made);
    offset += piece.length;
  }
  return true;
}

}  // namespace sluice::ip
