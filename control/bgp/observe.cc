// What observers see of the speaker: the view of a connection, and the walk over all routes.
#include "control/bgp/speaker_impl.h"

namespace sluice::bgp {

void Speaker::add_observer(Observer& observer) { impl_->observers.push_back(&observer); }
void Speaker::remove_observer(Observer& observer) { std::erase(impl_->observers, &observer); }

PeerView Speaker::Impl::view_of(const Peer& peer, const Connection& conn) const {
  PeerView view;
  view.address = peer.address;
  view.local_address = conn.local.address;
  view.local_port = conn.local.port;
  view.port = conn.remote.port;
  view.as = peer.settings.remote_as;
  view.local_as = local_as(peer);
  view.conn = conn.id;
  if (!conn.remote_open) return view;
  view.router_id = conn.remote_open->identifier;
  view.four_octet_as = conn.negotiated.four_octet_as;
  view.add_path_receive = conn.negotiated.add_path_receive;
  view.add_path_send = conn.negotiated.add_path_send;
  return view;
}

void Speaker::Impl::observe_message(Instant now, const Peer& peer, const Connection& conn, bool received,
                                    ByteSpan messages) const {
  if (observers.empty()) return;
  const PeerView view = view_of(peer, conn);
  while (messages.size() >= kHeaderSize) {  // what is sent is often many in one
    const auto length = std::size_t{messages[16]} << 8 | messages[17];
    for (auto* observer : observers) observer->on_message(now, view, received, messages.first(length));
    messages = messages.subspan(length);
  }
}

std::vector<PeerView> Speaker::established() const {
  std::vector<PeerView> out;
  for (const auto& [address, peer] : impl_->by_address) {
    if (peer->established()) out.push_back(impl_->view_of(*peer, peer->conns[0]));
  }
  return out;
}

std::vector<Speaker::KnownPeer> Speaker::known_peers() const {
  std::vector<KnownPeer> out;
  for (const auto& [address, peer] : impl_->by_address) {
    out.push_back(
        {address, peer->settings.remote_as, impl_->rib.peer_info(peer->index).router_id,
         peer->established() ? peer->conns[0].negotiated.add_path_receive : std::array<bool, kFamilyCount>{}});
  }
  return out;
}

std::uint32_t Speaker::walk(Instant now, std::uint32_t after, std::size_t prefixes_max, const Walk& visit) const {
  const auto& rib = impl_->rib;
  std::vector<WalkedPath> paths;
  for (std::size_t i = 0; i < prefixes_max; ++i) {
    const auto [id, prefix] = rib.next_prefix(after);
    if (id == 0) return 0;
    after = id;
    paths.clear();
    for (const auto& view : rib.paths(prefix)) {
      paths.push_back({rib.peer_info(view.peer).address, view.path_id,
                       std::chrono::seconds(impl_->seconds(now) - view.since_s), &rib.attributes()[view.attributes]});
    }
    visit(prefix, paths);
  }
  return after;
}

}  // namespace sluice::bgp
