// The grammar of bgp_session_fuzz: a script of operations as bytes, and the mutator that recombines operations and,
// inside UPDATEs, attributes.
//
// Called by: tests/fuzz/bgp_session_fuzz.cc. Runs on: its process. Tested by: it, by its coverage.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "control/bgp/message.h"
#include "control/bgp/open.h"
#include "control/bgp/update.h"

extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max);

namespace sluice::bgp::fuzz {

constexpr unsigned kNeighbours = 3;
constexpr std::size_t kOperationsMax = 48;

inline IpAddress neighbour_address(unsigned i) { return Ipv4Address{0xac1028c0 + i}; }

enum Kind : std::uint8_t {
  kConnect,   // data: bits of the OPEN
  kMessage,   // data: type, body
  kRaw,       // data: bytes of the stream
  kOwn,       // data: attributes and prefixes for our own encoder: valid by construction
  kClose,     // the neighbour's connection breaks
  kAdvance,   // data: seconds / 4, 16 bits
  kWritten,   // data: how much the transport holds, 16 bits * 4
  kAnnounce,  // data: prefix number, what
  kOperator,  // data: clear, refresh, resend, disable
  kNextHops,  // data: mask of unreachable next hops
  kPiece,     // data: how many bytes one read gives
  kCheck,
  kKinds,
};

struct Operation {
  std::uint8_t kind = 0, neighbour = 0;
  Bytes data;
};
struct Script {
  std::uint8_t options[2]{};
  std::vector<Operation> operations;
};

inline Script parse(ByteSpan bytes) {
  Script script;
  Reader reader(bytes);
  script.options[0] = reader.u8();
  script.options[1] = reader.u8();
  while (!reader.empty() && script.operations.size() < kOperationsMax) {
    Operation op;
    op.kind = reader.u8() % kKinds;
    op.neighbour = reader.u8() % kNeighbours;
    const auto data = reader.take(std::min<std::size_t>(reader.u16(), reader.left()));
    op.data.assign(data.begin(), data.end());
    script.operations.push_back(std::move(op));
  }
  return script;
}

inline Bytes write(const Script& script) {
  Bytes out{script.options[0], script.options[1]};
  Writer writer(out);
  for (const auto& op : script.operations) {
    writer.u8(op.kind);
    writer.u8(op.neighbour);
    writer.u16(static_cast<unsigned>(op.data.size()));
    writer.bytes(op.data);
  }
  return out;
}

inline OpenMessage open_of(unsigned neighbour, std::uint32_t as, std::uint16_t bits) {
  OpenMessage open;
  open.as = as;
  open.hold_time_s = (bits & 1) != 0 ? 3 : 240;
  open.identifier = neighbour_address(neighbour).v4().value;
  auto& caps = open.capabilities;
  caps.multiprotocol = {(bits & 2) == 0, (bits & 4) != 0};
  caps.any_multiprotocol = true;
  if ((bits & 8) == 0) caps.four_octet_as = as;
  if ((bits & 16) != 0) caps.add_path = {AddPath{true, true}, AddPath{true, true}};
  caps.route_refresh = (bits & 32) == 0;
  caps.enhanced_refresh = (bits & 64) == 0;
  caps.extended_next_hop = (bits & 128) != 0;
  caps.extended_message = (bits & 256) != 0;
  if ((bits & 512) != 0) {
    const bool kept = (bits & 1024) != 0;
    caps.graceful_restart =
        GracefulRestart{(bits & 2048) != 0, (bits & 4096) != 0, 120, {{{true, kept}, {true, kept}}}};
  }
  if ((bits & 8192) != 0) caps.long_lived_restart = LongLivedRestart{{{{true, true, 300}, {true, true, 600}}}};
  if ((bits & 16384) != 0) caps.role = 4;
  return open;
}

// ---- the mutator

class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  unsigned operator()() { return static_cast<unsigned>(engine_()); }

 private:
  std::minstd_rand engine_;
};

inline void write_attribute(Writer& out, unsigned flags, unsigned type, const Bytes& value) {
  const bool extended = value.size() > 255 || (flags & attribute::kFlagExtended) != 0;
  out.u8(flags | (extended ? attribute::kFlagExtended : 0u));
  out.u8(type);
  extended ? out.u16(static_cast<unsigned>(value.size())) : out.u8(static_cast<unsigned>(value.size()));
  out.bytes(value);
}

inline Bytes random_nlri(Random& random, bool v6, bool add_path) {
  Bytes out;
  Writer writer(out);
  for (unsigned n = random() % 4; n > 0; --n) {
    if (add_path) writer.u32(random() % 3);
    const unsigned length = v6 ? 48 + random() % 81 : 8 + random() % 25;
    writer.u8(length);
    const Bytes start = v6 ? Bytes{0x20, 1, 0xd, 0xb8} : Bytes{10, 0xf4};
    for (unsigned i = 0; i < (length + 7) / 8; ++i) writer.u8(i < start.size() ? start[i] : random() % 4);
  }
  return out;
}

// A good attribute; one in eight is then spoilt.
inline Bytes random_attribute(Random& random) {
  static constexpr std::uint8_t kTypes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14, 15, 16, 17, 18, 32, 35, 99};
  static constexpr std::uint8_t kFlags[] = {0x40, 0x40, 0x40, 0x80, 0x40, 0x40, 0xc0, 0xc0, 0x80,
                                            0x80, 0x80, 0x80, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0};
  const auto pick = random() % std::size(kTypes);
  const unsigned type = kTypes[pick];
  unsigned flags = kFlags[pick];
  Bytes value;
  Writer w(value);
  const auto words = [&](unsigned each) {
    for (unsigned n = 1 + random() % 3; n > 0; --n) {
      for (unsigned i = 0; i < each; ++i) w.u8(random() % 5 == 0 ? 255 : random() % 8);
    }
  };
  switch (type) {
    case 1:
      w.u8(random() % 3);
      break;
    case 2:
    case 17:
      for (unsigned n = random() % 3; n > 0; --n) {
        const unsigned count = 1 + random() % 3;
        w.u8(1 + random() % 4);
        w.u8(count);
        for (unsigned i = 0; i < count; ++i) w.u32(random() % 3 == 0 ? 70000 : 64513 + random() % 3);
      }
      break;
    case 3:
      w.u32(0xac102880 + random() % 16);
      break;
    case 4:
    case 5:
    case 9:
      w.u32(random() % 4);
      break;
    case 35:
      w.u32(64513 + random() % 4);
      break;
    case 7:
    case 18:
      w.u32(random() % 3 == 0 ? 23456 : random());
      w.u32(1);
      break;
    case 8:
      random() % 3 == 0 ? w.u32(0xffff0000 + random() % 8) : words(4);
      break;
    case 10:
      words(4);
      break;
    case 16:
      words(8);
      break;
    case 32:
      words(12);
      break;
    case 14: {
      const bool v6 = random() % 3 != 0;
      const bool hop6 = v6 || random() % 2 == 0;
      w.u16(v6 ? 2 : 1);
      w.u8(1);
      w.u8(hop6 ? (random() % 4 == 0 ? 32 : 16) : 4);
      for (unsigned i = 0, n = value.back(); i < n; ++i) w.u8(i == 0 ? 0x20 : i + 1 == n ? random() % 8 : i);
      w.u8(0);
      w.bytes(random_nlri(random, v6, random() % 4 == 0));
      break;
    }
    case 15: {
      const bool v6 = random() % 3 != 0;
      w.u16(v6 ? 2 : 1);
      w.u8(1);
      w.bytes(random_nlri(random, v6, random() % 4 == 0));
      break;
    }
    default:
      words(1);
  }
  if (random() % 8 == 0) {
    if (random() % 2 == 0) flags ^= 0x10u << random() % 4;
    if (random() % 3 == 0 && !value.empty()) value.pop_back();
    if (random() % 3 == 0) value.push_back(static_cast<std::uint8_t>(random()));
    if (random() % 3 == 0 && !value.empty()) value[random() % value.size()] = static_cast<std::uint8_t>(random());
  }
  Bytes out;
  Writer writer(out);
  write_attribute(writer, flags, type, value);
  return out;
}

struct Update {
  Bytes withdrawn, nlri;
  std::vector<Bytes> attributes;
};
inline Update parse_update(ByteSpan body) {
  Update u;
  Reader reader(body);
  const auto withdrawn = reader.take(std::min<std::size_t>(reader.u16(), reader.left()));
  u.withdrawn.assign(withdrawn.begin(), withdrawn.end());
  Reader attributes(reader.take(std::min<std::size_t>(reader.u16(), reader.left())));
  u.nlri.assign(reader.rest().begin(), reader.rest().end());
  while (!attributes.empty()) {
    const auto start = attributes.rest();
    const auto flags = attributes.u8();
    attributes.u8();
    attributes.take(std::min<std::size_t>((flags & 16) != 0 ? attributes.u16() : attributes.u8(), attributes.left()));
    const auto n = start.size() - attributes.left();
    u.attributes.emplace_back(start.begin(), start.begin() + static_cast<std::ptrdiff_t>(n));
  }
  return u;
}
inline Bytes write_update(const Update& u, Random& random) {
  Bytes out{static_cast<std::uint8_t>(MessageType::update)};
  Writer w(out);
  const auto slip = [&random] { return random() % 64 == 0 ? random() % 5 : 0u; };
  w.u16(static_cast<unsigned>(u.withdrawn.size() + slip()));
  w.bytes(u.withdrawn);
  Bytes attributes;
  for (const auto& a : u.attributes) attributes.insert(attributes.end(), a.begin(), a.end());
  w.u16(static_cast<unsigned>(attributes.size() + slip()));
  w.bytes(attributes);
  w.bytes(u.nlri);
  return out;
}

inline Update random_update(Random& random) {
  Update u;
  if (random() % 4 == 0) u.withdrawn = random_nlri(random, false, random() % 4 == 0);
  if (random() % 8 == 0) return u;
  const bool internal = random() % 2 == 0;
  Bytes bytes;
  Writer w(bytes);
  const auto take = [&] { u.attributes.push_back(std::exchange(bytes, {})); };
  write_attribute(w, 0x40, 1, {0});
  take();
  write_attribute(w, 0x40, 2,
                  internal ? Bytes{} : Bytes{2, 1, 0, 0, 0xfc, static_cast<std::uint8_t>(1 + random() % 3)});
  take();
  write_attribute(w, 0x40, 3, {0xac, 0x10, 0x28, static_cast<std::uint8_t>(0x80 + random() % 16)});
  take();
  if (internal) {
    write_attribute(w, 0x40, 5, {0, 0, 0, static_cast<std::uint8_t>(random() % 3)});
    take();
  }
  for (unsigned n = random() % 3; n > 0; --n) u.attributes.push_back(random_attribute(random));
  u.nlri = random_nlri(random, false, random() % 4 == 0);
  return u;
}

inline Bytes mutated(Bytes data, Random& random) {
  if (LLVMFuzzerMutate == nullptr) return data;
  const auto size = data.size();
  data.resize(size + 16);
  data.resize(LLVMFuzzerMutate(data.data(), size, data.size()));
  (void)random;
  return data;
}

inline Operation random_operation(Random& random) {
  Operation op;
  op.neighbour = static_cast<std::uint8_t>(random() % kNeighbours);
  const auto two = [&] { op.data = {static_cast<std::uint8_t>(random()), static_cast<std::uint8_t>(random())}; };
  switch (random() % 16) {
    case 0:
    case 1:
      op.kind = kConnect;
      two();
      break;
    case 2:
    case 3:
      op.kind = kOwn;
      for (unsigned n = 6 + random() % 30; n > 0; --n) op.data.push_back(static_cast<std::uint8_t>(random()));
      break;
    case 4: {
      op.kind = kMessage;  // ROUTE-REFRESH
      op.data = {5, 0, static_cast<std::uint8_t>(1 + random() % 2), static_cast<std::uint8_t>(random() % 4), 1};
      break;
    }
    case 5:
      op.kind = kMessage;  // End-of-RIB
      op.data = random() % 2 == 0 ? Bytes{2, 0, 0, 0, 0} : Bytes{2, 0, 0, 0, 6, 0x80, 15, 3, 0, 2, 1};
      break;
    case 6:
      op.kind = kMessage;  // NOTIFICATION
      op.data = {3, static_cast<std::uint8_t>(1 + random() % 8), static_cast<std::uint8_t>(random() % 12)};
      for (unsigned n = random() % 8; n > 0; --n) op.data.push_back(random() % 2 == 0 ? 6 : 9);
      break;
    case 7: {
      op.kind = kMessage;  // OPEN
      const auto open = encode_open(open_of(op.neighbour, 64512 + random() % 4, static_cast<std::uint16_t>(random())));
      op.data = {1};
      op.data.insert(op.data.end(), open.begin() + kHeaderSize, open.end());
      if (random() % 2 == 0) op.data = mutated(op.data, random);
      break;
    }
    case 8:
    case 9:
    case 10:
      op.kind = kMessage;
      op.data = write_update(random_update(random), random);
      break;
    default:
      op.kind = static_cast<std::uint8_t>(kClose + random() % (kKinds - kClose));
      two();
  }
  return op;
}

inline void mutate_update(Operation& op, const Script& other, Random& random) {
  auto u = parse_update(ByteSpan(op.data).subspan(1));
  const auto any = [&] { return random() % u.attributes.size(); };
  switch (random() % 8) {
    case 0:
      u.attributes.push_back(random_attribute(random));
      break;
    case 1:
      if (!u.attributes.empty()) u.attributes.erase(u.attributes.begin() + static_cast<std::ptrdiff_t>(any()));
      break;
    case 2:
      if (!u.attributes.empty()) u.attributes.push_back(u.attributes[any()]);
      break;
    case 3:
      if (!u.attributes.empty()) std::swap(u.attributes[any()], u.attributes[any()]);
      break;
    case 4:
      if (!u.attributes.empty()) {
        auto& a = u.attributes[any()];
        a = mutated(a, random);
      }
      break;
    case 5:
      u.nlri = random_nlri(random, false, random() % 4 == 0);
      break;
    case 6:  // attributes of another message
      for (const auto& from : other.operations) {
        if (from.kind != kMessage || from.data.size() < 5 || from.data[0] != 2 || random() % 2 == 0) continue;
        for (auto& a : parse_update(ByteSpan(from.data).subspan(1)).attributes) u.attributes.push_back(std::move(a));
        break;
      }
      break;
    default:
      u.withdrawn = random_nlri(random, false, random() % 4 == 0);
  }
  op.data = write_update(u, random);
}

inline std::size_t put(const Script& script, std::uint8_t* data, std::size_t max) {
  const auto bytes = write(script);
  const auto n = std::min(max, bytes.size());
  std::memcpy(data, bytes.data(), n);
  return n;
}

inline std::size_t mutate(std::uint8_t* data, std::size_t size, std::size_t max, unsigned seed) {
  Random random(seed + 1);
  auto script = parse({data, size});
  auto& ops = script.operations;
  for (unsigned n = 1 + random() % 3; n > 0; --n) {
    const auto at = ops.empty() ? 0 : random() % ops.size();
    const auto place = ops.begin() + static_cast<std::ptrdiff_t>(at);
    switch (ops.empty() ? 0 : random() % 10) {
      case 0:
      case 1:
      case 2:
        ops.insert(ops.empty() ? ops.end() : place + 1, random_operation(random));
        break;
      case 3:
        ops.erase(place);
        break;
      case 4:
        ops.insert(place, Operation(ops[random() % ops.size()]));
        break;
      case 5:
        std::swap(ops[at], ops[random() % ops.size()]);
        break;
      case 6:
        script.options[random() % 2] ^= static_cast<std::uint8_t>(1u << random() % 8);
        break;
      case 7:
        place->neighbour = static_cast<std::uint8_t>(random() % kNeighbours);
        break;
      case 8:
        place->data = mutated(place->data, random);
        break;
      default:
        if (place->kind == kMessage && place->data.size() >= 5 && place->data[0] == 2) {
          mutate_update(*place, script, random);
        } else {
          *place = random_operation(random);
        }
    }
  }
  return put(script, data, max);
}

inline std::size_t cross_over(const std::uint8_t* a, std::size_t a_size, const std::uint8_t* b, std::size_t b_size,
                              std::uint8_t* out, std::size_t max, unsigned seed) {
  Random random(seed + 1);
  auto script = parse({a, a_size});
  const auto other = parse({b, b_size});
  auto& ops = script.operations;
  if (random() % 2 == 0) {  // attributes of the other's messages
    for (auto& op : ops) {
      if (op.kind == kMessage && op.data.size() >= 5 && op.data[0] == 2) mutate_update(op, other, random);
    }
  } else {  // its front, the other's rest
    if (!ops.empty()) ops.resize(1 + random() % ops.size());
    for (std::size_t i = other.operations.empty() ? 0 : random() % other.operations.size();
         i < other.operations.size() && ops.size() < kOperationsMax; ++i) {
      ops.push_back(other.operations[i]);
    }
  }
  return put(script, out, max);
}

}  // namespace sluice::bgp::fuzz
