// The udp monitor: send a datagram, match the answering ones; without recv only an ICMP error tells a dead service.
#include "monitors/types.h"

namespace sluice::monitors {

const TypeOps kUdpOps = {
    .name = "udp",
    .transport = Transport::udp,
    .has_text = true,
    .has_port = true,
    .talks = always,
    .answer_complete = [](const Monitor&, std::string_view) { return true; },  // a datagram is whole
    .silence_is_success = [](const Monitor& m) { return m.recv.empty() && m.recv_disable.empty(); },
    .success_word = "no ICMP error came back; a silent service passes because recv is empty",
};

}  // namespace sluice::monitors
