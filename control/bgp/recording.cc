// Recording and replay of the speaker's inputs; see recording.h for the file's form.
#include "control/bgp/recording.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::bgp {
namespace {

constexpr std::string_view kMagic = "sluice-bgp-rec-1";

enum Type : std::uint8_t {
  kConfigure = 1,
  kTick = 2,
  kConnected = 3,
  kFailed = 4,
  kAccepted = 5,
  kReceived = 6,
  kClosed = 7,
  kWritten = 8,
  kPathDown = 9,
  kNextHops = 10,
  kAnnounce = 11,
  kWithdraw = 12,
  kShutdown = 13,
  kClear = 14,
  kRefresh = 15,
  kResend = 16,
  kResolved = 32,
  kOutputs = 33,
};

void put_u64(Writer& out, std::uint64_t value) {
  out.u32(static_cast<std::uint32_t>(value >> 32));
  out.u32(static_cast<std::uint32_t>(value));
}
void put_text(Writer& out, std::string_view text) {
  out.bytes({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}
void put_address(Writer& out, const IpAddress& address) {
  out.u8(address.is_v4() ? 4 : 6);
  address.is_v4() ? out.u32(address.v4().value) : out.bytes(address.v6().bytes);
}
void put_prefix(Writer& out, const routing::IpPrefix& prefix) {
  put_address(out, prefix.address);
  out.u8(prefix.length);
}
void put_endpoint(Writer& out, const Endpoint& endpoint) {
  put_address(out, endpoint.address);
  out.u16(endpoint.port);
}

std::uint64_t get_u64(Reader& in) {
  const std::uint64_t high = in.u32();
  return high << 32 | in.u32();
}
std::string get_text(Reader& in) {
  const ByteSpan rest = in.take(in.left());
  return {rest.begin(), rest.end()};
}
IpAddress get_address(Reader& in) {
  if (in.u8() == 4) return Ipv4Address{in.u32()};
  Ipv6Address v6;
  const ByteSpan bytes = in.take(16);
  std::copy(bytes.begin(), bytes.end(), v6.bytes.begin());
  return v6;
}
Endpoint get_endpoint(Reader& in) {
  Endpoint endpoint{get_address(in)};
  endpoint.port = in.u16();
  return endpoint;
}
// A length beyond the family's would break IpPrefix's promise.
routing::IpPrefix get_prefix(Reader& in) {
  const IpAddress address = get_address(in);
  return routing::IpPrefix::of(address, std::min<unsigned>(in.u8(), address.bits()));
}

class Fnv {
 public:
  void add(ByteSpan bytes) {
    for (const auto byte : bytes) hash_ = (hash_ ^ byte) * 0x100000001b3;
  }
  void add(std::uint64_t value) {
    Bytes bytes;
    Writer out(bytes);
    put_u64(out, value);
    add(ByteSpan(bytes));
  }
  void add(const IpAddress& address) {
    Bytes bytes;
    Writer out(bytes);
    put_address(out, address);
    add(ByteSpan(bytes));
  }
  void add(std::string_view text) {
    add(text.size());
    add(ByteSpan(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
  }
  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0xcbf29ce484222325;
};

struct HashOutput {
  Fnv& fnv;
  void operator()(const output::Connect& o) const {
    fnv.add(o.conn);
    fnv.add(o.remote.address);
    fnv.add(o.remote.port);
    fnv.add(o.local);
  }
  void operator()(const output::Send& o) const {
    fnv.add(o.conn);
    fnv.add(o.bytes->size());
    fnv.add(ByteSpan(*o.bytes));
  }
  void operator()(const output::Close& o) const {
    fnv.add(o.conn);
    fnv.add(std::uint64_t{o.flush});
  }
  void operator()(const output::SessionUp& o) const { fnv.add(o.peer); }
  void operator()(const output::SessionDown& o) const { fnv.add(o.peer); }
  void operator()(const output::Log&) const {}  // words may change
};

}  // namespace

std::uint64_t hash_of(const Outputs& out, std::size_t actions_before, std::size_t routes_before) {
  Fnv fnv;
  for (std::size_t i = actions_before; i < out.actions.size(); ++i) {
    if (!std::holds_alternative<output::Log>(out.actions[i])) fnv.add(std::uint64_t{out.actions[i].index()});
    std::visit(HashOutput{fnv}, out.actions[i]);
  }
  for (std::size_t i = routes_before; i < out.routes.size(); ++i) {
    const auto change = out.routes[i];
    fnv.add(change.prefix.address);
    fnv.add(std::uint64_t{change.prefix.length} << 1 | (change.external ? 1u : 0u));
    fnv.add(change.next_hops.size());
    for (const auto& hop : change.next_hops) fnv.add(hop);
  }
  return fnv.value();
}

// ---- recording

Recorder::Recorder(std::function<void(const Bytes&)> write) : write_(std::move(write)) {
  write_(Bytes(kMagic.begin(), kMagic.end()));
}

template <typename Body>
void Recorder::record(Instant now, std::uint8_t type, Body body) {
  now_ = now;
  Bytes bytes;
  Writer out(bytes);
  out.u8(type);
  put_u64(out, static_cast<std::uint64_t>(to_ns(now)));
  out.u32(0);
  const std::size_t begin = out.size();
  body(out);
  const std::size_t length = out.size() - begin;
  out.patch_u16(begin - 4, length >> 16);
  out.patch_u16(begin - 2, length & 0xffff);
  write_(bytes);
}

void Recorder::configure(Instant now) {
  record(now, kConfigure, [this](Writer& out) { put_text(out, yaml_); });
  yaml_.clear();
}

void Recorder::step(Instant now, const Input& any) {
  if (const auto* i = std::get_if<input::Connected>(&any)) {
    return record(now, kConnected, [i](Writer& out) {
      put_u64(out, i->conn);
      put_endpoint(out, i->local);
      put_endpoint(out, i->remote);
    });
  }
  if (const auto* i = std::get_if<input::Accepted>(&any)) {
    return record(now, kAccepted, [i](Writer& out) {
      put_u64(out, i->conn);
      put_endpoint(out, i->local);
      put_endpoint(out, i->remote);
    });
  }
  if (const auto* i = std::get_if<input::ConnectFailed>(&any)) {
    return record(now, kFailed, [i](Writer& out) {
      put_u64(out, i->conn);
      put_text(out, i->reason);
    });
  }
  if (const auto* i = std::get_if<input::Closed>(&any)) {
    return record(now, kClosed, [i](Writer& out) {
      put_u64(out, i->conn);
      put_text(out, i->reason);
    });
  }
  if (const auto* i = std::get_if<input::Received>(&any)) {
    return record(now, kReceived, [i](Writer& out) {
      put_u64(out, i->conn);
      out.bytes(i->bytes);
    });
  }
  if (const auto* i = std::get_if<input::Written>(&any)) {
    return record(now, kWritten, [i](Writer& out) {
      put_u64(out, i->conn);
      put_u64(out, i->pending);
    });
  }
  if (const auto* i = std::get_if<input::PathDown>(&any)) {
    return record(now, kPathDown, [i](Writer& out) {
      put_address(out, i->peer);
      out.u8(i->path_is_dead);
      put_text(out, i->reason);
    });
  }
  record(now, std::holds_alternative<input::NextHopsChanged>(any) ? kNextHops : kTick, [](Writer&) {});
}

void Recorder::announce(Instant now, const routing::IpPrefix& prefix, const AnnounceAttributes& attributes) {
  record(now, kAnnounce, [&](Writer& out) {
    put_prefix(out, prefix);
    out.u32(attributes.local_pref);
    out.u8(attributes.med.has_value());
    out.u32(attributes.med.value_or(0));
    out.u32(attributes.prepend);
    out.u32(static_cast<std::uint32_t>(attributes.communities.size()));
    for (const auto community : attributes.communities) out.u32(community);
    for (const auto& large : attributes.large_communities) {
      out.u32(large.global);
      out.u32(large.local1);
      out.u32(large.local2);
    }
  });
}

void Recorder::withdraw(Instant now, const routing::IpPrefix& prefix) {
  record(now, kWithdraw, [&](Writer& out) { put_prefix(out, prefix); });
}

void Recorder::shutdown(Instant now, std::string_view reason) {
  record(now, kShutdown, [&](Writer& out) { put_text(out, reason); });
}

void Recorder::verb(Instant now, Verb verb, const IpAddress& peer) {
  record(now, static_cast<std::uint8_t>(verb), [&](Writer& out) { put_address(out, peer); });
}

// Only what is news: the same question comes a million times.
void Recorder::resolved(const IpAddress& next_hop, const routing::NextHopState& state) {
  const auto [at, fresh] = resolved_.try_emplace(next_hop, state);
  if (!fresh && at->second == state) return;
  at->second = state;
  record(now_, kResolved, [&](Writer& out) {
    put_address(out, next_hop);
    out.u8(state.reachable);
    out.u8(state.connected);
    out.u32(state.metric);
  });
}

void Recorder::outputs(const Outputs& out, std::size_t actions_before, std::size_t routes_before) {
  const auto hash = hash_of(out, actions_before, routes_before);
  record(now_, kOutputs, [hash](Writer& w) { put_u64(w, hash); });
}

// ---- replay

namespace {

class RecordedResolver : public routing::NextHopResolver {
 public:
  routing::NextHopState resolve_next_hop(const IpAddress& next_hop) const override {
    const auto at = states.find(next_hop);
    return at == states.end() ? routing::NextHopState{} : at->second;
  }
  std::map<IpAddress, routing::NextHopState> states;
};

struct Record {
  std::uint8_t type = 0;
  Instant now{};
  ByteSpan body;
};

std::optional<Record> next_record(Reader& in) {
  Record record;
  record.type = in.u8();
  record.now = instant_ns(static_cast<std::int64_t>(get_u64(in)));
  record.body = in.take(in.u32());
  return in.ok() ? std::optional(record) : std::nullopt;
}

class Player {
 public:
  explicit Player(const std::function<std::optional<SpeakerSettings>(const std::string&)>& settings_of)
      : settings_of_(settings_of) {}

  ReplayResult play(ByteSpan file) {
    if (file.size() < kMagic.size() || !std::equal(kMagic.begin(), kMagic.end(), file.begin())) {
      result_.error = "this is no recording";
      return std::move(result_);
    }
    Reader in(file.subspan(kMagic.size()));
    std::optional<Record> input;
    while (!in.empty() && result_.error.empty()) {
      const auto record = next_record(in);
      if (!record) {
        result_.error = "the last record is cut off";
        break;
      }
      if (record->type == kResolved) {
        resolve(record->body);
      } else if (record->type == kOutputs) {
        if (input) run(*input, record->body);
        input.reset();
      } else {
        if (input) run(*input, {});
        input = record;
      }
    }
    if (input && result_.error.empty()) run(*input, {});
    result_.digest = digest_.value();
    return std::move(result_);
  }

 private:
  void resolve(ByteSpan body) {
    Reader in(body);
    const IpAddress address = get_address(in);
    routing::NextHopState state;
    state.reachable = in.u8() != 0;
    state.connected = in.u8() != 0;
    state.metric = in.u32();
    resolver_.states[address] = state;
  }

  void run(const Record& record, ByteSpan hash) {
    ++result_.inputs;
    out_.clear();
    Reader in(record.body);
    feed(record, in);
    if (!in.ok()) result_.error = fmt::format("the body of input {} is too short", result_.inputs);
    const auto got = hash_of(out_, 0, 0);
    digest_.add(got);
    for (const auto& action : out_.actions) result_.sessions_up += std::holds_alternative<output::SessionUp>(action);
    Reader recorded(hash);
    if (!hash.empty() && get_u64(recorded) != got && !result_.differs) result_.differs = result_.inputs;
  }

  void configure(const Record& record, Reader& in) {
    const auto yaml = get_text(in);
    if (!yaml.empty()) {
      const auto settings = settings_of_(yaml);
      if (!settings) {
        result_.error = fmt::format("the configuration of input {} cannot be read", result_.inputs);
        return;
      }
      settings_ = *settings;
    }
    speaker_.configure(record.now, settings_, out_);
  }

  void feed(const Record& record, Reader& in) {
    const Instant now = record.now;
    const auto step = [&](const Input& input) { speaker_.step(now, input, out_); };
    switch (record.type) {
      case kConfigure:
        return configure(record, in);
      case kTick:
        return step(input::Tick{});
      case kConnected: {
        const auto conn = get_u64(in);
        const auto local = get_endpoint(in);
        return step(input::Connected{conn, local, get_endpoint(in)});
      }
      case kAccepted: {
        const auto conn = get_u64(in);
        const auto local = get_endpoint(in);
        return step(input::Accepted{conn, local, get_endpoint(in)});
      }
      case kFailed: {
        const auto conn = get_u64(in);
        return step(input::ConnectFailed{conn, get_text(in)});
      }
      case kClosed: {
        const auto conn = get_u64(in);
        return step(input::Closed{conn, get_text(in)});
      }
      case kReceived: {
        const auto conn = get_u64(in);
        result_.bytes_received += in.left();
        return step(input::Received{conn, in.take(in.left())});
      }
      case kWritten: {
        const auto conn = get_u64(in);
        return step(input::Written{conn, get_u64(in)});
      }
      case kPathDown: {
        const auto peer = get_address(in);
        const bool dead = in.u8() != 0;
        return step(input::PathDown{peer, dead, get_text(in)});
      }
      case kNextHops:
        return step(input::NextHopsChanged{});
      case kAnnounce:
        return announce(now, in);
      case kWithdraw:
        return speaker_.withdraw(now, get_prefix(in), out_);
      case kShutdown:
        return speaker_.shutdown(now, get_text(in), out_);
      case kClear:
        return void(speaker_.clear(now, get_address(in), out_));
      case kRefresh:
        return void(speaker_.refresh(now, get_address(in), out_));
      case kResend:
        return void(speaker_.resend(get_address(in)));
      default:
        result_.error = fmt::format("input {} is of type {}, which is not known here", result_.inputs, record.type);
    }
  }

  void announce(Instant now, Reader& in) {
    const auto prefix = get_prefix(in);
    AnnounceAttributes attributes;
    attributes.local_pref = in.u32();
    const bool has_med = in.u8() != 0;
    const auto med = in.u32();
    if (has_med) attributes.med = med;
    attributes.prepend = in.u32();
    for (auto left = in.u32(); left > 0 && in.left() >= 4; --left) attributes.communities.push_back(in.u32());
    while (in.left() >= 12) {
      auto& large = attributes.large_communities.emplace_back();
      large.global = in.u32();
      large.local1 = in.u32();
      large.local2 = in.u32();
    }
    speaker_.announce(now, prefix, attributes, out_);
  }

  const std::function<std::optional<SpeakerSettings>(const std::string&)>& settings_of_;
  RecordedResolver resolver_;
  Speaker speaker_{resolver_};
  SpeakerSettings settings_;
  Outputs out_;
  Fnv digest_;
  ReplayResult result_;
};

}  // namespace

ReplayResult replay(ByteSpan file,
                    const std::function<std::optional<SpeakerSettings>(const std::string&)>& settings_of) {
  return Player(settings_of).play(file);
}

}  // namespace sluice::bgp
