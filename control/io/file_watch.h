// FileWatch: calls back, once things have settled, when a file or a folder of files changed (inotify).
//
//   FileWatch watch(io, {.paths = {"/etc/sluice/sluice.yaml", "/etc/sluice/manifests"}, .on_change = [&] { reload();
//   }});
//
// Editors that write a new file and rename it over the old one, ConfigMap volumes that swap a `..data` symlink, folders
// that are removed and made again, and paths that do not exist yet are all seen: the watch is on the parent folders of
// the path and of what it resolves to, and is made anew after each change. Bursts are debounced.
//
// Called by: control/daemon. Runs on: control thread. Follows: inotify(7). Tested by:
// tests/control/io/file_watch_test.cc
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/base/result.h"
#include "dataplane/base/time.h"

namespace sluice::io {

struct FileWatchOptions {
  std::vector<std::string> paths;   // files and folders; need not exist yet
  Duration debounce = 200ms;        // quiet time after the last event
  Duration debounce_max = 2s;       // a change is reported at the latest after this, however busy the folder is
  std::function<void()> on_change;  // on the io_context's thread; may destroy the FileWatch
};

class FileWatch {
 public:
  // Fails if inotify is not to be had (limits); nothing is watched then.
  static Result<std::unique_ptr<FileWatch>> start(boost::asio::io_context& io, FileWatchOptions options);
  ~FileWatch();  // no callback after this
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Watches these paths from now on (after a reload named another manifests folder).
  void set_paths(std::vector<std::string> paths);

 private:
  class Impl;
  explicit FileWatch(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace sluice::io
