// Reads a small text file, and only a regular one; see file.h.
#include "control/config/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace sluice::config {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

tl::unexpected<Error> cannot_read(const std::string& path, int error) {
  return fail(path, fmt::format("cannot be read: {}", std::strerror(error)));
}

}  // namespace

Result<std::string> read_file(const std::string& path, std::size_t bytes_max) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  if (file.fd < 0) return cannot_read(path, errno);
  struct stat facts {};
  if (::fstat(file.fd, &facts) != 0) return cannot_read(path, errno);
  if (S_ISDIR(facts.st_mode)) return fail(path, "is a folder: name the file");
  if (!S_ISREG(facts.st_mode)) return fail(path, "is no regular file");
  std::string text;
  char buffer[65536];
  for (;;) {
    const ssize_t n = ::read(file.fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot_read(path, errno);
    if (n == 0) return text;
    text.append(buffer, static_cast<std::size_t>(n));
    if (text.size() > bytes_max) return fail(path, fmt::format("is longer than {} bytes", bytes_max));
  }
}

}  // namespace sluice::config
