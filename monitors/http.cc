// The http monitor: connect, send a request as written, match the raw answer (status line, headers, body).
#include "monitors/http_answer.h"
#include "monitors/types.h"

namespace sluice::monitors {
const TypeOps kHttpOps = {
    .name = "http",
    .transport = Transport::tcp,
    .has_text = true,
    .has_port = true,
    .talks = has_text_to_check,
    .answer_complete =
        [](const Monitor& m, std::string_view answer) {
          return http_answer_complete(answer, m.send.starts_with("HEAD "));
        },
    .silence_is_success = never,
    .success_word = "connected",
};

}  // namespace sluice::monitors
