// The tcp monitor: connect, and if asked send some bytes and match what comes back (a banner needs no send).
#include "monitors/types.h"

namespace sluice::monitors {
namespace {

bool talks(const Monitor& monitor) {
  return !monitor.send.empty() || !monitor.recv.empty() || !monitor.recv_disable.empty();
}

// A byte stream of no known protocol ends only with EOF, or with quiet (Conversation).
bool answer_complete(const Monitor&, std::string_view) { return false; }

}  // namespace

const TypeOps kTcpOps = {
    .name = "tcp",
    .transport = Transport::tcp,
    .has_text = true,
    .has_port = true,
    .talks = talks,
    .answer_complete = answer_complete,
    .silence_is_success = never,
    .success_word = "connected",
};

}  // namespace sluice::monitors
