// The tcp-half-open monitor: up when the SYN is answered; the connection is aborted at once, the service never sees it.
#include "monitors/types.h"

namespace sluice::monitors {

const TypeOps kTcpHalfOpenOps = {
    .name = "tcp-half-open",
    .transport = Transport::tcp_half_open,
    .has_text = false,
    .has_port = true,
    .talks = never,
    .answer_complete = [](const Monitor&, std::string_view) { return false; },
    .silence_is_success = never,
    .success_word = "SYN answered",
};

}  // namespace sluice::monitors
