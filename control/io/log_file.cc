// Appends to a file; see log_file.h.
#include "control/io/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace sluice::io {

Status LogFile::open() {
  if (fd_ >= 0) return {};
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
  int fd = ::open(path_.c_str(), kFlags, 0640);
  if (fd < 0 && errno == ENOENT) {
    std::error_code ignored;
    std::filesystem::create_directory(std::filesystem::path(path_).parent_path(), ignored);
    fd = ::open(path_.c_str(), kFlags, 0640);
  }
  if (fd < 0) return fail(path_, fmt::format("cannot be opened: {}", std::strerror(errno)));
  struct stat facts {};
  if (::fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
    ::close(fd);
    return fail(path_, "is no regular file");
  }
  fd_ = fd;
  return {};
}

void LogFile::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Status LogFile::write(std::string_view text, std::size_t& written) {
  written = 0;
  if (auto opened = open(); !opened) return opened;
  while (written < text.size()) {
    const ssize_t n = ::write(fd_, text.data() + written, text.size() - written);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int error = n < 0 ? errno : ENOSPC;
      close();
      return fail(path_, fmt::format("cannot be written: {}", std::strerror(error)));
    }
    written += static_cast<std::size_t>(n);
  }
  return {};
}

}  // namespace sluice::io
