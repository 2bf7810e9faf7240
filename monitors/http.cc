// The http monitor: connect, send a request as written, match the raw answer (status line, headers, body).
#include "monitors/http_answer.h"
#include "monitors/types.h"

namespace sluice::monitors {
namespace {

// Without anything to send or to look for it is a connect check, like BIG-IP's.
bool talks(const Monitor& monitor) {
  return !monitor.send.empty() || !monitor.recv.empty() || !monitor.recv_disable.empty();
}

bool answer_complete(const Monitor& monitor, std::string_view answer) {
  return http_answer_complete(answer, monitor.send.starts_with("HEAD "));
}

}  // namespace

const TypeOps kHttpOps = {
    .name = "http",
    .transport = Transport::tcp,
    .has_text = true,
    .has_port = true,
    .talks = talks,
    .answer_complete = answer_complete,
    .silence_is_success = never,
    .success_word = "connected",
};

}  // namespace sluice::monitors
