// The gateway-icmp monitor: up when an echo request is answered.
#include "monitors/types.h"

namespace sluice::monitors {

const TypeOps kGatewayIcmpOps = {
    .name = "gateway-icmp",
    .transport = Transport::icmp_echo,
    .has_text = false,
    .has_port = false,
    .talks = always,
    .answer_complete = [](const Monitor&, std::string_view) { return true; },
    .silence_is_success = never,
    .success_word = "echo reply",
};

}  // namespace sluice::monitors
