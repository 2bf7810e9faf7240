// The tcp monitor: connect, and if asked send some bytes and match what comes back (a banner needs no send).
#include "monitors/types.h"

namespace sluice::monitors {
const TypeOps kTcpOps = {
    .name = "tcp",
    .transport = Transport::tcp,
    .has_text = true,
    .has_port = true,
    .talks = has_text_to_check,
    // A byte stream of no known protocol ends only with EOF, or with quiet (Conversation).
    .answer_complete = [](const Monitor&, std::string_view) { return false; },
    .silence_is_success = never,
    .success_word = "connected",
};

}  // namespace sluice::monitors
