// Sequence numbers that cannot be guessed, and SYN cookies: connections that take no memory until the client has
// answered.
//
// The cookie is our initial sequence number: 24 bits of keyed hash plus the client's, with 5 bits of time (64 s each)
// on top and 3 bits of MSS index mixed in. Window scale and SACK do not fit: with timestamps they ride in the low 6
// bits of our first timestamp, which the client echoes; a client without timestamps gets neither (as in Linux and RFC
// 7323 appendix). Follows: RFC 6528 (ISN), RFC 4987 section 3.6 (cookies).
#include <algorithm>

#include "dataplane/tcp/segment.h"

namespace sluice::tcp {

namespace {

constexpr std::array<std::uint16_t, 8> kCookieMss{216, 536, 1200, 1300, 1400, 1440, 1448, 1460};
constexpr Duration kCookieTick = 64s;
constexpr std::uint32_t kCookieTicksValid = 2;  // this tick and the one before: 64 to 128 s
constexpr std::uint32_t kTimestampBits = 6;  // low bits of a cookie's timestamp: scale (4), SACK (1), "is a cookie" (1)
constexpr std::uint32_t kTimestampMask = (1U << kTimestampBits) - 1;
constexpr std::uint32_t kNoScale = 15;

std::uint64_t tuple_hash(const HashSeed& seed, const Tuple& tuple, std::uint64_t salt) {
  const std::uint64_t first = std::uint64_t{tuple.local.address.value} << 32 | tuple.remote.address.value;
  const std::uint64_t second = std::uint64_t{tuple.local.port} << 16 | tuple.remote.port;
  return hash_u64x2(seed, first, hash_u64x2(seed, second, salt));
}

}  // namespace

// RFC 6528: a clock of 4 microseconds plus a secret hash of the tuple.
Seq Stack::initial_sequence(Instant now, const Tuple& tuple) const {
  const auto clock = static_cast<std::uint32_t>((now - start_).count() / 4000);
  return {clock + static_cast<std::uint32_t>(tuple_hash(seed_, tuple, 0x15d))};
}

// RFC 7323 section 7.1: the same for a tuple at all times, so that RFC 6191 and PAWS work over its conns.
std::uint32_t Stack::timestamp_offset(const Tuple& tuple) const {
  return static_cast<std::uint32_t>(tuple_hash(seed_, tuple, 0x75));
}

void Stack::send_cookie(Instant now, const Tuple& tuple, const Segment& segment, const Options& options) {
  const packet::Packet packet = new_packet();
  if (!packet) {
    counters_.no_packet.add();
    return;
  }
  const std::uint16_t theirs = std::min(segment.options.mss.value_or(536), options.mss_max);
  std::uint32_t index = 0;
  while (index + 1 < kCookieMss.size() && kCookieMss[index + 1] <= theirs) ++index;
  const auto tick = static_cast<std::uint32_t>((now - start_) / kCookieTick);
  const std::uint32_t sequence = cookie(tuple, segment.seq, tick, index);

  wire::TcpOptions out;
  out.mss = options.mss_max;
  if (options.timestamps && segment.options.timestamps) {
    const bool sack = options.sack && segment.options.sack_permitted;
    const bool scale = options.window_scale && segment.options.window_scale;
    const std::uint32_t bits =
        (scale ? std::min<std::uint32_t>(*segment.options.window_scale, 14) : kNoScale) | (sack ? 0x10U : 0U) | 0x20U;
    // Not later than the true clock, so that what follows is never older than what was echoed.
    const std::uint32_t clock = ms_since_start(now) + timestamp_offset(tuple);
    std::uint32_t value = (clock & ~kTimestampMask) | bits;
    if (static_cast<std::int32_t>(value - clock) > 0) value -= kTimestampMask + 1;
    out.timestamps = wire::TcpTimestamps{value, segment.options.timestamps->value};
    out.sack_permitted = sack;
    if (scale) out.window_scale = scale_for(options);
  }
  const auto header_length = static_cast<std::uint8_t>(wire::kTcpLength + wire::tcp_options_length(out));
  std::uint8_t* tcp = packet.append(header_length);
  wire::emit_tcp(tcp,
                 {.src_port = tuple.local.port,
                  .dst_port = tuple.remote.port,
                  .sequence = sequence,
                  .acknowledgment = segment.seq.value + 1,
                  .header_length = header_length,
                  .flags = wire::kTcpSyn | wire::kTcpAck,
                  .window = static_cast<std::uint16_t>(std::min<std::uint32_t>(options.receive_buffer_bytes, 65535))});
  wire::emit_tcp_options(tcp + wire::kTcpLength, out);
  counters_.cookies_sent.add();
  last_cookie_ = now;
  network_.output_reply(now, tuple, packet);
}

std::uint32_t Stack::cookie(const Tuple& tuple, Seq theirs, std::uint32_t tick, std::uint32_t index) const {
  const auto hash =
      static_cast<std::uint32_t>(tuple_hash(seed_, tuple, std::uint64_t{theirs.value} << 32 | tick << 3 | index));
  return (tick & 31) << 27 | index << 24 | (hash & 0xffffff);
}

// Whether a cookie of ours may still come back.
bool Stack::cookies_are_about(Instant now) const {
  return last_cookie_ != Instant{} && now - last_cookie_ <= kCookieTick * (kCookieTicksValid + 1);
}

// The ACK that completes a handshake of which nothing was remembered.
Conn* Stack::accept_cookie(Instant now, const Tuple& tuple, const Segment& segment, const Options& options,
                           void* owner) {
  // Only while cookies are about: otherwise every stray ACK would be a guess at one.
  if (!cookies_are_about(now)) return nullptr;
  const std::uint32_t value = segment.ack.value - 1;
  const Seq theirs = segment.seq - 1;
  const auto present = static_cast<std::uint32_t>((now - start_) / kCookieTick);
  const std::uint32_t age = (present - (value >> 27)) & 31;
  const std::uint32_t index = value >> 24 & 7;
  if (age >= kCookieTicksValid || age > present || cookie(tuple, theirs, present - age, index) != value) {
    counters_.cookies_rejected.add();
    return nullptr;
  }
  Conn* conn = allocate(now, tuple, options, owner);
  if (!conn) return nullptr;
  counters_.cookies_accepted.add();
  counters_.accepts.add();
  conn->passive = true;
  conn->irs = theirs;
  conn->rcv_nxt = conn->last_ack_sent = segment.seq;
  conn->rcv_adv = segment.seq + std::min<std::uint32_t>(options.receive_buffer_bytes, 65535);
  set_initial_sequence(*conn, Seq{value});
  conn->snd_una = conn->snd_nxt = conn->snd_end = segment.ack;

  Segment syn;  // as it must have been
  syn.options.mss = kCookieMss[index];
  if (segment.options.timestamps) {
    const std::uint32_t echo = segment.options.timestamps->echo;
    syn.options.timestamps = segment.options.timestamps;
    if ((echo & 0x20) != 0) {
      syn.options.sack_permitted = (echo & 0x10) != 0;
      if ((echo & 0xf) != kNoScale) syn.options.window_scale = static_cast<std::uint8_t>(echo & 0xf);
    }
  }
  take_options(*conn, syn);
  conn->snd_wnd = conn->snd_wnd_max = std::uint32_t{segment.header.window} << conn->snd_wscale;
  conn->snd_wl1 = segment.seq;
  conn->snd_wl2 = segment.ack;
  enter(*conn, State::established);
  become_established(now, *conn);
  keep_slots_free(now);
  return conn;
}

}  // namespace sluice::tcp
