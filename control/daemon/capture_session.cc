// One running capture; see capture_session.h.
#include "control/daemon/capture_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "control/admin/json.h"

namespace sluice::daemon {
namespace {

constexpr unsigned kReportTicks = 10;  // of 50 ms

}  // namespace

Status CaptureSession::start(const admin::CaptureRequest& request, std::shared_ptr<admin::Stream> stream) {
  if (running()) return fail("capture", "another capture is running: end it first");
  port::CaptureOptions options;
  options.filter = request.filter;
  options.snaplen = request.snaplen;
  options.limit = request.count;
  for (const packet::PortInfo& port : engine_.ports()) options.ports.push_back(port);
  if (!request.port.empty()) {
    const bool known = std::any_of(options.ports.begin(), options.ports.end(),
                                   [&](const packet::PortInfo& port) { return port.name == request.port; });
    if (!known) return fail("port", fmt::format("no port \"{}\"", request.port));
    options.only_port = engine_.port_id(request.port);
  }
  options.fd = ::open(request.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (options.fd < 0) return fail(request.path, fmt::format("cannot write: {}", std::strerror(errno)));
  auto capture = port::Capture::start(options);
  if (!capture) return tl::unexpected(capture.error());
  capture_ = std::move(*capture);
  stream_ = std::move(stream);
  ticks_ = 0;
  engine_.engine().set_capture(capture_.get());
  spdlog::info("capture to {} started, filter \"{}\"", request.path, request.filter);
  stream_->write(admin::dump({{"event", "start"}, {"path", request.path}}));
  stream_->on_gone([this] { stop(""); });
  ticker_ = std::make_unique<io::Ticker>(loop_, 50ms, [this] { tick(); });
  return {};
}

void CaptureSession::tick() {
  if (auto ok = capture_->drain(); !ok) return stop(ok.error().text());
  if (capture_->statistics().finished) return stop("");
  if (++ticks_ % kReportTicks == 0) report(false, "");
}

void CaptureSession::report(bool last, const std::string& fatal) {
  const port::CaptureStatistics counts = capture_->statistics();
  if (!fatal.empty()) stream_->write(admin::dump({{"event", "fatal"}, {"message", fatal}}));
  stream_->write(admin::dump({{"captured", counts.captured}, {"lost", counts.lost}, {"done", last}}));
}

void CaptureSession::stop(const std::string& why) {
  if (!running()) return;
  ticker_.reset();
  engine_.engine().set_capture(nullptr);
  // What waits in the ring; it gets no more now.
  Status drained;
  for (int i = 0; i < 1024 && drained; ++i) {
    const auto before = capture_->statistics();
    if (before.written >= before.captured) break;
    drained = capture_->drain();
  }
  const port::CaptureStatistics counts = capture_->statistics();
  spdlog::info("capture ended: {} packets, {} lost{}{}", counts.captured, counts.lost, why.empty() ? "" : ": ", why);
  report(true, drained ? why : drained.error().text());
  capture_.reset();
  std::exchange(stream_, nullptr)->finish();
}

}  // namespace sluice::daemon
