// A file that grows line by line and may be renamed away by logrotate: reopen() then makes a new one.
//
//   LogFile file("/var/log/sluice/access.log");
//   if (auto ok = file.write(lines); !ok) ...     // opens it, and its folder, if need be
//   file.close();                                 // the next write() opens the path anew
//
// Called by: control/daemon/access_log. Runs on: one thread. Tested by: tests/control/io/log_file_test.cc
#pragma once

#include <string>
#include <string_view>

#include "dataplane/base/result.h"

namespace sluice::io {

class LogFile {
 public:
  explicit LogFile(std::string path) : path_(std::move(path)) {}
  ~LogFile() { close(); }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  const std::string& path() const { return path_; }
  bool is_open() const { return fd_ >= 0; }
  // Opens to append, mode 0640, only a regular file (a pipe that nobody reads would block for ever); makes the last
  // folder of the path. Nothing happens when it is open.
  Status open();
  void close();
  // Writes all of it, or fails and closes; `written` says how many bytes are in the file. Opens first if need be.
  Status write(std::string_view text, std::size_t& written);

 private:
  const std::string path_;
  int fd_ = -1;
};

}  // namespace sluice::io
