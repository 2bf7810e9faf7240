// inotify through Asio; see file_watch.h.
//
// Only folders are watched, each with the names in it that matter: every component on the way to a path, what symbolic
// links on that way point to, and everything in a watched folder. After each event the set is worked out anew, and only
// then the callback is armed: so whatever happens in between is either seen by the callback or causes another event.
#include "control/io/file_watch.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <set>

namespace sluice::io {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr unsigned kLinksMax = 40;      // symbolic links on the way to one path, as in the kernel
constexpr unsigned kEntriesMax = 4096;  // entries of a watched folder that are looked at for links
constexpr std::size_t kFoldersMax = 1024;

struct Interest {
  bool all = false;
  std::set<std::string> names;

  bool wants(const std::string& name) const { return all || name.empty() || names.contains(name); }
};

}  // namespace

class FileWatch::Impl : public std::enable_shared_from_this<FileWatch::Impl> {
 public:
  Impl(boost::asio::io_context& io, int fd, FileWatchOptions options)
      : descriptor_(io, fd), timer_(io), options_(std::move(options)) {}

  // False if the kernel refuses watches.
  Status rebuild() {
    fresh_.clear();
    refused_ = 0;
    for (const auto& path : options_.paths) {
      std::error_code error;
      const fs::path absolute = fs::absolute(path, error);
      if (!error) follow(absolute.lexically_normal(), 0);
    }
    for (const auto& [watch, interest] : watches_)
      if (!fresh_.contains(watch)) ::inotify_rm_watch(descriptor_.native_handle(), watch);
    watches_ = std::move(fresh_);
    if (refused_ != 0)
      return fail("file watch", fmt::format("inotify: {} (see /proc/sys/fs/inotify)", std::strerror(refused_)));
    return {};
  }

  void listen() {
    descriptor_.async_read_some(boost::asio::buffer(buffer_),
                                [self = shared_from_this()](const boost::system::error_code& error, std::size_t n) {
                                  if (!error && !self->closed_) self->on_read(n);
                                });
  }

  void close() {
    closed_ = true;
    boost::system::error_code ignored;
    descriptor_.close(ignored);
    timer_.cancel();
    options_.on_change = nullptr;
  }

  void set_paths(std::vector<std::string> paths) {
    options_.paths = std::move(paths);
    rebuild_or_warn();
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Watches the folder for this name in it (or for everything, if the name is empty).
  void want(const fs::path& folder, const std::string& name) {
    if (fresh_.size() >= kFoldersMax) return;
    const int watch = ::inotify_add_watch(descriptor_.native_handle(), folder.c_str(), kEvents);
    if (watch < 0) {
      // Missing or unreadable folders are normal; limits are not.
      if (errno == ENOSPC || errno == ENOMEM) refused_ = errno;
      return;
    }
    Interest& interest = fresh_[watch];
    if (name.empty())
      interest.all = true;
    else
      interest.names.insert(name);
  }

  // Watches every step from the root to the path, through symbolic links.
  void follow(const fs::path& path, unsigned links) {
    fs::path at = path.root_path();
    const fs::path relative = path.relative_path();
    for (auto step = relative.begin(); step != relative.end(); ++step) {
      if (step->empty()) continue;  // a trailing slash
      want(at, step->string());
      const fs::path next = at / *step;
      std::error_code error;
      const auto kind = fs::symlink_status(next, error).type();
      if (error || kind == fs::file_type::not_found) return;
      if (kind == fs::file_type::symlink) {
        fs::path target = fs::read_symlink(next, error);
        if (error || links >= kLinksMax) return;
        if (target.is_relative()) target = at / target;
        for (auto rest = std::next(step); rest != relative.end(); ++rest) target /= *rest;
        follow(target.lexically_normal(), links + 1);
        return;
      }
      at = next;
    }
    follow_entries(at, links);
  }

  // In a folder: everything, and what its links point to.
  void follow_entries(const fs::path& folder, unsigned links) {
    std::error_code error;
    if (!fs::is_directory(folder, error)) return;
    want(folder, "");
    unsigned seen = 0;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end && seen < kEntriesMax;
         entry.increment(error), ++seen) {
      std::error_code ignored;
      if (!entry->is_symlink(ignored) || entry->is_directory(ignored)) continue;
      const fs::path target = fs::read_symlink(entry->path(), ignored);
      if (ignored || links >= kLinksMax) continue;
      follow((target.is_relative() ? folder / target : target).lexically_normal(), links + 1);
    }
  }

  void on_read(std::size_t n) {
    bool changed = false;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= n;) {
      inotify_event event;
      std::memcpy(&event, buffer_.data() + at, sizeof event);
      const char* name = buffer_.data() + at + sizeof event;
      const std::string text(name, event.len == 0 ? 0 : ::strnlen(name, event.len));
      at += sizeof event + event.len;
      const auto watch = watches_.find(event.wd);
      if ((event.mask & IN_Q_OVERFLOW) != 0 || (watch != watches_.end() && watch->second.wants(text))) changed = true;
    }
    if (changed) {
      rebuild_or_warn();
      arm();
    }
    listen();
  }

  void rebuild_or_warn() {
    if (const auto status = rebuild(); !status)
      spdlog::warn("{}: changes of files may go unseen", status.error().text());
  }

  // Fires after a quiet time, but not later than debounce_max after the first event.
  void arm() {
    const auto now = Clock::now();
    if (!armed_) first_ = now;
    armed_ = true;
    const auto quiet = std::chrono::duration_cast<Clock::duration>(options_.debounce);
    const auto latest = first_ + std::chrono::duration_cast<Clock::duration>(options_.debounce_max);
    timer_.expires_at(std::min(now + quiet, latest));
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->closed_) return;
      self->armed_ = false;
      const auto on_change = self->options_.on_change;  // it may destroy the FileWatch
      if (on_change) on_change();
    });
  }

  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_;
  FileWatchOptions options_;
  std::map<int, Interest> watches_, fresh_;
  int refused_ = 0;
  bool armed_ = false;
  bool closed_ = false;
  Clock::time_point first_;
  alignas(inotify_event) std::array<char, 65536> buffer_;
};

FileWatch::FileWatch(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
FileWatch::~FileWatch() { impl_->close(); }

Result<std::unique_ptr<FileWatch>> FileWatch::start(boost::asio::io_context& io, FileWatchOptions options) {
  const int fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return fail("file watch", fmt::format("inotify: {} (see /proc/sys/fs/inotify)", std::strerror(errno)));
  auto impl = std::make_shared<Impl>(io, fd, std::move(options));
  std::unique_ptr<FileWatch> watch(new FileWatch(impl));
  if (const auto status = impl->rebuild(); !status) return tl::unexpected(status.error());
  impl->listen();
  return watch;
}

void FileWatch::set_paths(std::vector<std::string> paths) { impl_->set_paths(std::move(paths)); }

}  // namespace sluice::io
