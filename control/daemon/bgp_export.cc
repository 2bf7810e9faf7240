// MRT, BMP and recordings of the daemon's BGP; see bgp_export.h.
#include "control/daemon/bgp_export.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <regex>

#include "control/config/parse.h"
#include "control/config/print.h"
#include "control/daemon/bgp_control.h"
#include "control/daemon/options.h"

namespace sluice::daemon {
namespace {

constexpr std::size_t kPrefixesPerSlice = 2000;  // a few milliseconds
constexpr Duration kFlushInterval = 1s;

bgp::WallTime wall(Instant now) {
  const auto ago = std::chrono::duration_cast<std::chrono::microseconds>(io::now() - now);
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch()) - ago;
  return {static_cast<std::uint32_t>(us.count() / 1'000'000), static_cast<std::uint32_t>(us.count() % 1'000'000)};
}

struct LocalTime {
  std::tm parts{};
  std::int64_t seconds = 0;
};
LocalTime local_time() {
  LocalTime out;
  const auto now = std::time(nullptr);
  localtime_r(&now, &out.parts);
  out.seconds = now + out.parts.tm_gmtoff;
  return out;
}

// Whose passwords are in the file is nobody's business who is sent it.
std::string without_passwords(const std::string& yaml) {
  static const std::regex kPassword(R"(\n *password: [^\n]*)");
  return std::regex_replace(yaml, kPassword, "");
}

}  // namespace

// Appends through stdio's buffer. A disk that is full is said once; what does not fit is lost, BGP goes on.
class BgpExport::File {
 public:
  static Result<std::unique_ptr<File>> open(const std::string& path, const char* mode) {
    std::FILE* file = std::fopen(path.c_str(), mode);
    if (file == nullptr) return fail(path, fmt::format("cannot write: {}", std::strerror(errno)));
    return std::unique_ptr<File>(new File(path, file));
  }
  ~File() { std::fclose(file_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  bool write(const bgp::Bytes& bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size()) return true;
    complain();
    return false;
  }
  bool flush() {
    if (std::fflush(file_) == 0) return true;
    complain();
    return false;
  }

 private:
  File(std::string path, std::FILE* file) : path_(std::move(path)), file_(file) {}
  void complain() {
    if (!std::exchange(complained_, true)) spdlog::error("{}: cannot write: {}", path_, std::strerror(errno));
  }
  std::string path_;
  std::FILE* file_;
  bool complained_ = false;
};

// A table on its way into a file beside the wanted one.
struct BgpExport::Dump {
  Dump(const bgp::Speaker& speaker, std::uint32_t router_id) : rib(speaker, wall, router_id) {}
  std::string path;
  std::unique_ptr<File> file;
  bgp::RibDump rib;
  std::uint64_t bytes = 0;
  std::function<void(Result<Dumped>)> answer;
};

BgpExport::BgpExport(io::Loop& loop, BgpControl& bgp) : loop_(loop), bgp_(bgp) {}
BgpExport::~BgpExport() { stop(); }

Status BgpExport::record(const std::string& path) {
  auto file = File::open(path, "we");
  if (!file) return tl::unexpected(file.error());
  recording_file_ = std::move(*file);
  recorder_ = std::make_unique<bgp::Recorder>([this](const bgp::Bytes& bytes) { recording_file_->write(bytes); });
  bgp_.speaker().set_recorder(recorder_.get());
  spdlog::info("BGP: every input is recorded in {}", path);
  return {};
}

void BgpExport::note_configuration(const config::Config& config) {
  if (!recorder_) return;
  config::Config only;
  only.ports = config.ports;
  only.self_ips = config.self_ips;
  only.bgp = config.bgp;
  recorder_->set_configuration(without_passwords(config::print(only, {.all = false})));
}

void BgpExport::configure(const config::Config& config) {
  router_id_ = config.bgp.router_id.value;
  if (config.bgp.mrt != mrt_) {
    const bool another_file =
        config.bgp.mrt.updates != mrt_.updates || config.bgp.mrt.updates_interval != mrt_.updates_interval;
    mrt_ = config.bgp.mrt;
    next_rib_ = mrt_.rib.empty() ? kInstantMax : io::now() + mrt_.rib_interval;
    if (another_file && updates_) {
      bgp_.speaker().remove_observer(*updates_);
      updates_.reset();
      updates_file_.reset();
    }
    if (another_file && !mrt_.updates.empty()) {
      updates_ = std::make_unique<bgp::MrtLog>(wall, [this](const bgp::Bytes& record) {
        if (updates_file_) updates_file_->write(record);
      });
      bgp_.speaker().add_observer(*updates_);
      open_updates(io::now());
    }
  }
  if (config.bgp.bmp != bmp_) start_bmp(config.bgp.bmp);
}

// A file that cannot be opened is tried again with the next interval, or SIGHUP; until then the one before goes on.
void BgpExport::open_updates(Instant now) {
  const LocalTime time = local_time();
  next_updates_ =
      mrt_.updates_interval == 0s ? kInstantMax : now + bgp::mrt_until_next(mrt_.updates_interval, time.seconds);
  auto file = File::open(bgp::mrt_file_name(mrt_.updates, time.parts), "ae");
  if (!file) return spdlog::error("bgp.mrt.updates: {}", file.error().text());
  updates_file_ = std::move(*file);
}

void BgpExport::reopen() {
  if (updates_) open_updates(io::now());
}

void BgpExport::start_bmp(const config::BgpBmp& bmp) {
  bmp_ = bmp;
  client_.reset();
  if (!feed_) {
    // Watches from now on, station or not: Peer Up repeats the OPEN messages of sessions that are older than it.
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    bgp::BmpFeed::Options options;
    options.system_name = host.data();
    options.system_description = "sluice " SLUICE_VERSION;
    feed_ = std::make_unique<bgp::BmpFeed>(
        std::move(options), bgp::BmpFeed::Hooks{.wall = wall,
                                                .established = [this] { return bgp_.speaker().established(); },
                                                .resend = [this](const IpAddress& peer) { bgp_.refresh(peer); }});
    bgp_.speaker().add_observer(*feed_);
  }
  next_statistics_ = kInstantMax;
  if (!bmp_.station) return;
  next_statistics_ = io::now() + bmp_.statistics_interval;
  client_ = std::make_unique<io::BmpClient>(
      loop_.context(), *feed_, *bmp_.station,
      io::BmpClient::Hooks{
          .now = io::now, .log = [station = bmp_.station->text()](bool warning, const std::string& text) {
            spdlog::log(warning ? spdlog::level::warn : spdlog::level::info, "BMP station {}: {}", station, text);
          }});
}

void BgpExport::dump_rib(const std::string& path, std::function<void(Result<Dumped>)> answer) {
  if (!bgp_.configured()) return answer(fail("", "BGP is not configured"));
  if (dump_) return answer(fail(path, "another dump is running"));
  auto file = File::open(path + ".new", "we");
  if (!file) return answer(tl::unexpected(file.error()));
  dump_ = std::make_unique<Dump>(bgp_.speaker(), router_id_);
  dump_->path = path;
  dump_->file = std::move(*file);
  dump_->answer = std::move(answer);
}

void BgpExport::slice(Instant now) {
  bgp::Bytes out;
  const bool more = dump_->rib.more(now, kPrefixesPerSlice, out);
  dump_->bytes += out.size();
  const bool written = dump_->file->write(out);
  if (written && more) return;
  if (!written || !dump_->file->flush()) return finish(fail(dump_->path, "cannot write"));
  std::error_code error;
  std::filesystem::rename(dump_->path + ".new", dump_->path, error);
  if (error) return finish(fail(dump_->path, error.message()));
  finish(Dumped{dump_->rib.prefixes(), dump_->bytes});
}

void BgpExport::finish(Result<Dumped> result) {
  const auto dump = std::move(dump_);
  if (!result) std::remove((dump->path + ".new").c_str());
  dump->answer(std::move(result));
}

void BgpExport::poll(Instant now) {
  if (dump_) slice(now);
  if (now >= next_rib_ && !dump_) {
    next_rib_ = now + mrt_.rib_interval;
    dump_rib(bgp::mrt_file_name(mrt_.rib, local_time().parts), [](const Result<Dumped>& dumped) {
      if (!dumped) spdlog::error("bgp.mrt.rib: {}", dumped.error().text());
    });
  }
  if (now >= next_statistics_ && feed_) {
    next_statistics_ = now + bmp_.statistics_interval;
    if (client_ && client_->connected()) feed_->statistics(now, bgp_.speaker().peers(now));
  }
  if (client_) client_->poll();
  if (updates_ && now >= next_updates_) open_updates(now);
  if (now >= next_flush_) {
    next_flush_ = now + kFlushInterval;
    if (updates_file_) updates_file_->flush();
    if (recording_file_) recording_file_->flush();
  }
}

void BgpExport::stop() {
  client_.reset();
  if (dump_) finish(fail(dump_->path, "sluiced is shutting down"));
  if (feed_) bgp_.speaker().remove_observer(*feed_);
  if (updates_) bgp_.speaker().remove_observer(*updates_);
  if (recorder_) bgp_.speaker().set_recorder(nullptr);
  feed_.reset();
  updates_.reset();
  recorder_.reset();
  updates_file_.reset();
  recording_file_.reset();
}

int replay_bgp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::cerr << path << ": cannot be read\n";
    return kExitConfig;
  }
  const bgp::Bytes file{std::istreambuf_iterator<char>(in), {}};
  const auto result = bgp::replay(file, [](const std::string& yaml) -> std::optional<bgp::SpeakerSettings> {
    const auto parsed = config::parse("recording", yaml);
    return parsed.config ? std::optional(make_settings(*parsed.config)) : std::nullopt;
  });
  std::cout << fmt::format("{} inputs, {} bytes received, {} sessions came up, digest {:016x}\n", result.inputs,
                           result.bytes_received, result.sessions_up, result.digest);
  if (result.differs) std::cout << fmt::format("input {} has other outputs than were recorded\n", *result.differs);
  if (!result.error.empty()) std::cerr << path << ": " << result.error << "\n";
  return result.error.empty() && !result.differs ? kExitOk : kExitFailed;
}

}  // namespace sluice::daemon
