// Segments as text, both ways; see script.h.
#include "tests/dataplane/tcp/script.h"

#include <fmt/format.h>

#include <sstream>

namespace sluice::tcp::test {

using sluice::test::Bytes;

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::istringstream stream{std::string(text)};
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

}  // namespace

WorldOptions Script::quiet() {
  WorldOptions options;
  options.tcp.idle_timeout = 0s;
  options.tcp.receive_buffer_bytes = 65536 * 4;
  return options;
}

Script::Script(const WorldOptions& options) : world(options) {
  world.tap = [this](Host& from, Bytes& l3) {
    if (&from == &world.a) sent_.push_back(l3);
    return false;  // the peer is the test
  };
}

void Script::in(std::string_view text) {
  const auto words = words_of(text);
  unsigned flags = 0;
  for (const char c : words.at(0)) {
    const std::string_view letters = "FSRPA";
    flags |= 1U << letters.find(c);
  }
  std::uint32_t seq = 0, ack = 0;
  std::size_t length = 0;
  unsigned window = 65535;
  Bytes options;
  bool has_timestamps = false;
  const auto timestamps = [&](std::uint32_t value, std::uint32_t echo) {
    options.insert(options.end(), {1, 1, 8, 10});
    for (const std::uint32_t v : {value, echo})
      for (int shift = 24; shift >= 0; shift -= 8) options.push_back(static_cast<std::uint8_t>(v >> shift));
    has_timestamps = true;
  };
  for (std::size_t i = 1; i < words.size(); ++i) {
    if (words[i] == "seq")
      seq = static_cast<std::uint32_t>(std::stoll(words[++i]));
    else if (words[i] == "ack")
      ack = static_cast<std::uint32_t>(std::stoll(words[++i]));
    else if (words[i] == "len")
      length = std::stoul(words[++i]);
    else if (words[i] == "win")
      window = static_cast<unsigned>(std::stoul(words[++i]));
    else if (words[i].front() == '<') {
      std::string inner;
      for (; i < words.size(); ++i) inner += words[i] + " ";
      for (char& c : inner)
        if (c == '<' || c == '>' || c == ',') c = ' ';
      const auto o = words_of(inner);
      for (std::size_t k = 0; k < o.size(); ++k) {
        if (o[k] == "mss") {
          const unsigned mss = static_cast<unsigned>(std::stoul(o[++k]));
          options.insert(options.end(), {2, 4, static_cast<std::uint8_t>(mss >> 8), static_cast<std::uint8_t>(mss)});
        } else if (o[k] == "ws") {
          options.insert(options.end(), {1, 3, 3, static_cast<std::uint8_t>(std::stoul(o[++k]))});
        } else if (o[k] == "sack" && (k + 1 == o.size() || !std::isdigit(o[k + 1][0]))) {
          options.insert(options.end(), {1, 1, 4, 2});
        } else if (o[k] == "sack") {  // "sack 1448 2896 …": blocks of our sequence numbers
          std::vector<std::uint32_t> edges;
          while (k + 1 < o.size() && std::isdigit(o[k + 1][0]))
            edges.push_back(static_cast<std::uint32_t>(std::stoul(o[++k])));
          options.insert(options.end(), {1, 1, 5, static_cast<std::uint8_t>(2 + 4 * edges.size())});
          for (const std::uint32_t edge : edges)
            for (int shift = 24; shift >= 0; shift -= 8)
              options.push_back(static_cast<std::uint8_t>((edge + our_isn) >> shift));
        } else if (o[k] == "ts") {
          const auto value = static_cast<std::uint32_t>(std::stoll(o[k + 1]));
          const auto echo = static_cast<std::uint32_t>(std::stoll(o[k + 2]));
          k += 2;
          timestamps(value, echo == 0 ? our_last_ts_ : echo);
        } else if (o[k] == "nots") {
          has_timestamps = true;
        }
      }
    } else {
      ADD_FAILURE() << "what is \"" << words[i] << "\"?";
    }
  }
  if (with_timestamps && !has_timestamps) timestamps(ts_clock, our_last_ts_);
  Bytes payload(length);
  for (std::size_t i = 0; i < length; ++i) payload[i] = pattern(std::uint64_t{seq} - 1 + i, world.b.address.value);
  const bool acks = (flags & wire::kTcpAck) != 0;
  const Bytes l3 = sluice::test::Frame()
                       .ip(world.b.address, world.a.address)
                       .tcp(our_port_ == 80 ? peer_port : 80, our_port_)
                       .flags(flags)
                       .seq(seq + kPeerIsn, acks ? ack + our_isn : 0)
                       .window(window)
                       .tcp_options(options)
                       .payload(payload)
                       .l3();
  world.a.deliver(world.now, l3);
  if (!conn_ && world.a.accepted) {
    conn_ = world.a.accepted;
    our_isn = conn_->iss.value;
  }
  turn();
}

std::string Script::describe(const Bytes& l3) {
  EXPECT_EQ(sluice::test::faults([&] {
              Bytes frame = l3;
              frame.insert(frame.begin(), {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0});
              return frame;
            }()),
            "");
  const auto header = wire::parse_tcp({l3.data() + 20, l3.size() - 20});
  if (!header) return "no TCP header";
  const auto options = wire::parse_tcp_options({l3.data() + 40, static_cast<std::size_t>(header->header_length - 20)});
  std::string text;
  const std::string_view letters = "FSRPA";
  for (const char c : std::string_view("SFRPA"))
    if (header->flags >> letters.find(c) & 1) text += c;
  const bool reset_reply = (header->flags & wire::kTcpRst) != 0 && !conn_;
  text += fmt::format(" seq {}", reset_reply ? header->sequence : header->sequence - our_isn);
  if (header->flags & wire::kTcpAck) text += fmt::format(" ack {}", header->acknowledgment - kPeerIsn);
  const std::size_t length = l3.size() - 20 - header->header_length;
  if (length > 0) text += fmt::format(" len {}", length);
  std::string list;
  const auto add = [&](const std::string& item) { list += (list.empty() ? "" : ",") + item; };
  if (options.mss) add(fmt::format("mss {}", *options.mss));
  if (options.window_scale) add(fmt::format("ws {}", *options.window_scale));
  if (options.sack_permitted) add("sack");
  if (options.timestamps) our_last_ts_ = options.timestamps->value;
  if (options.timestamps && (header->flags & wire::kTcpSyn)) add("ts");
  for (unsigned i = 0; i < options.sack_count; ++i)
    add(fmt::format("sack {} {}", options.sack[i].begin - kPeerIsn, options.sack[i].end - kPeerIsn));
  if (!list.empty()) text += " <" + list + ">";
  return text;
}

std::string Script::out() {
  if (sent_.empty()) return "";
  const std::string text = describe(sent_.front());
  sent_.erase(sent_.begin());
  return text;
}

std::vector<std::string> Script::all() {
  std::vector<std::string> texts;
  while (!sent_.empty()) texts.push_back(out());
  return texts;
}

void Script::write(std::uint64_t bytes) {
  flow().to_write += bytes;
  world.a.pump(world.now, *conn_);
  turn();
}

void Script::close() {
  stack().close(world.now, *conn_);
  turn();
}

void Script::open_passive(std::string_view syn_options, Duration round_trip) {
  with_timestamps = false;
  in("S seq 0 " + std::string(syn_options));
  (void)all();
  with_timestamps = conn_->timestamps_on;
  wait(round_trip);
  in("A seq 1 ack 1");
  forget();
}

bool Script::open_from(std::uint16_t port, std::string_view syn_options) {
  peer_port = port;
  conn_ = nullptr;
  world.a.accepted = nullptr;
  with_timestamps = false;
  in("S seq 0 " + std::string(syn_options));
  if (!conn_) return false;
  with_timestamps = conn_->timestamps_on;
  in("A seq 1 ack 1");
  forget();
  return conn_->state == State::established;
}

void Script::begin_active() {
  our_port_ = peer_port;
  conn_ = world.connect(peer_port);
  our_isn = conn_->iss.value;
}

void Script::open_active(std::string_view syn_ack_options) {
  begin_active();
  (void)all();
  in("SA seq 0 ack 1 " + std::string(syn_ack_options));
  (void)all();
  with_timestamps = conn_->timestamps_on;
}

}  // namespace sluice::tcp::test
