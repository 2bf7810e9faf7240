// Carries an invocation out; see run.h.
#include "control/cli/run.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <ostream>
#include <thread>

#include "control/cli/client.h"
#include "control/cli/text.h"

namespace sluice::cli {
namespace {

volatile sig_atomic_t interrupted = 0;

void on_interrupt(int) { interrupted = 1; }

// Without SA_RESTART, so that a read that waits for the daemon returns.
void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

HttpAsk ask_of(const Invocation& invocation) {
  return {invocation.socket, invocation.method, invocation.target, invocation.body, nullptr};
}

int refused(const HttpAnswer& answer, bool json, std::ostream& out, std::ostream& err) {
  if (json) {
    out << answer.body;
    return kExitFailed;
  }
  const Json body = Json::parse(answer.body, nullptr, false);
  const Json& errors = child_of(body, "errors");
  if (errors.empty()) {
    err << "sluicectl: " << (answer.body.empty() ? fmt::format("HTTP status {}", answer.status) : answer.body) << "\n";
    return kExitFailed;
  }
  for (const Json& error : errors) {
    const auto place = text_of(error, "place");
    err << "sluicectl: " << place << (place.empty() ? "" : ": ") << text_of(error, "message") << "\n";
  }
  return kExitFailed;
}

int print_answer(const Invocation& invocation, const HttpAnswer& answer, std::ostream& out, std::ostream& err) {
  if (answer.status != 200) return refused(answer, invocation.json, out, err);
  const Json body = Json::parse(answer.body, nullptr, false);
  if (body.is_discarded()) {
    err << "sluicectl: the daemon's answer is no JSON\n";
    return kExitFailed;
  }
  if (invocation.json) {
    out << body.dump(2) << "\n";
  } else {
    out << invocation.render(body, invocation.options);
  }
  out.flush();
  return kExitOk;
}

int not_reachable(const Error& error, std::ostream& err) {
  err << "sluicectl: " << error.text() << "\n";
  return kExitNotReachable;
}

int run_request(const Invocation& invocation, std::ostream& out, std::ostream& err) {
  int code = kExitOk;
  do {
    const auto answer = ask(ask_of(invocation));
    if (!answer) return not_reachable(answer.error(), err);
    if (invocation.watch_s > 0 && !invocation.json) out << "\033[H\033[2J";
    code = print_answer(invocation, *answer, out, err);
    if (invocation.watch_s > 0) std::this_thread::sleep_for(std::chrono::duration<double>(invocation.watch_s));
  } while (invocation.watch_s > 0 && interrupted == 0);
  return code;
}

// ping(8)'s lines and summary, from {"event":"start"|"reply"|"timeout"|"error"|"done", ...}.
class PingPrinter {
 public:
  explicit PingPrinter(std::ostream& out) : out_(out) {}

  bool line(const std::string& text) {
    const Json event = Json::parse(text, nullptr, false);
    const auto kind = text_of(event, "event");
    if (kind == "start") start(event);
    if (kind == "reply") reply(event);
    if (kind == "timeout")
      ++sent_, out_ << fmt::format("no answer from {}: icmp_seq={}\n", address_, count_of(event, "seq"));
    if (kind == "error") {
      ++sent_;
      out_ << fmt::format("From {}: icmp_seq={} {}\n", text_of(event, "from"), count_of(event, "seq"),
                          text_of(event, "message"));
    }
    if (kind == "fatal") fatal_ = text_of(event, "message");
    out_.flush();
    return interrupted == 0;
  }

  int finish(std::ostream& err) {
    if (!fatal_.empty()) {
      err << "sluicectl: " << fatal_ << "\n";
      return kExitFailed;
    }
    const double loss = sent_ == 0 ? 0 : 100.0 * static_cast<double>(sent_ - received_) / static_cast<double>(sent_);
    out_ << fmt::format("\n--- {} ping statistics ---\n{} packets transmitted, {} received, {:.4g}% packet loss\n",
                        address_, sent_, received_, loss);
    if (received_ > 0) {
      const double n = static_cast<double>(received_), average = sum_ / n;
      const double deviation = std::sqrt(std::max(0.0, squares_ / n - average * average));
      out_ << fmt::format("rtt min/avg/max/mdev = {:.3f}/{:.3f}/{:.3f}/{:.3f} ms\n", min_, average, max_, deviation);
    }
    return received_ > 0 ? kExitOk : kExitFailed;
  }

 private:
  void start(const Json& event) {
    address_ = text_of(event, "address");
    const double size = number_of(event, "size");
    out_ << fmt::format("PING {} from {}: {}({}) bytes of data.\n", address_, text_of(event, "source"), size,
                        size + 28);
  }
  void reply(const Json& event) {
    ++sent_;
    ++received_;
    const double rtt = number_of(event, "rtt_ms");
    min_ = std::min(min_, rtt);
    max_ = std::max(max_, rtt);
    sum_ += rtt;
    squares_ += rtt * rtt;
    out_ << fmt::format("{} bytes from {}: icmp_seq={} ttl={} time={:.3g} ms\n", count_of(event, "bytes"),
                        text_of(event, "from"), count_of(event, "seq"), count_of(event, "ttl"), rtt);
  }

  std::ostream& out_;
  std::string address_, fatal_;
  std::uint64_t sent_ = 0, received_ = 0;
  double min_ = 1e300, max_ = 0, sum_ = 0, squares_ = 0;
};

int run_ping(const Invocation& invocation, std::ostream& out, std::ostream& err) {
  PingPrinter printer(out);
  HttpAsk request = ask_of(invocation);
  request.on_line = [&](const std::string& line) {
    if (!invocation.json) return printer.line(line);
    out << line << std::endl;
    return interrupted == 0;
  };
  const auto answer = ask(request);
  if (!answer && interrupted == 0) return not_reachable(answer.error(), err);
  if (answer && answer->status != 200) return refused(*answer, invocation.json, out, err);
  return invocation.json ? kExitOk : printer.finish(err);
}

// {"event":"start"}, then {"captured":n,"lost":n} now and then, the last with "done":true.
int run_capture(const Invocation& invocation, std::ostream& out, std::ostream& err) {
  Json last;
  std::string fatal;
  HttpAsk request = ask_of(invocation);
  request.on_line = [&](const std::string& line) {
    if (invocation.json) out << line << std::endl;
    const Json event = Json::parse(line, nullptr, false);
    if (text_of(event, "event") == "fatal") fatal = text_of(event, "message");
    if (text_of(event, "event") == "start" && !invocation.json) {
      err << "capturing to " << text_of(event, "path") << " (Ctrl-C ends it)" << std::endl;
    }
    if (event.contains("captured")) last = event;
    return interrupted == 0;
  };
  const auto answer = ask(request);
  if (!answer && interrupted == 0) return not_reachable(answer.error(), err);
  if (answer && answer->status != 200) return refused(*answer, invocation.json, out, err);
  if (!fatal.empty()) {
    err << "sluicectl: " << fatal << "\n";
    return kExitFailed;
  }
  if (!invocation.json) {
    err << fmt::format("{} packets captured, {} lost\n", count_of(last, "captured"), count_of(last, "lost"));
  }
  return kExitOk;
}

}  // namespace

int run(const Invocation& invocation, std::ostream& out, std::ostream& err) {
  signal(SIGPIPE, SIG_IGN);
  if (invocation.kind != Invocation::Kind::request || invocation.watch_s > 0) catch_interrupts();
  switch (invocation.kind) {
    case Invocation::Kind::request:
      return run_request(invocation, out, err);
    case Invocation::Kind::ping:
      return run_ping(invocation, out, err);
    case Invocation::Kind::capture:
      return run_capture(invocation, out, err);
  }
  return kExitUsage;
}

}  // namespace sluice::cli
