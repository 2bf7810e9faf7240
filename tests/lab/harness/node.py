"""A Kubernetes node as Calico leaves it: BIRD 1.6, /32 routes to pods behind proxy ARP, a blackholed block, natOutgoing.

Called by: scenario. Follows: Calico in BGP mode without tunnel; three generations of its BIRD configuration.
"""

import os
import re

from .command import output, run
from .namespace import Namespace, connect
from .process import Process, wait_ready

VARIANTS = ("2019", "v3.31.7", "v3.33")
CALICO_DIR = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "calico")
POD_NETWORK = "10.244.0.0/16"
MAC_OF_EVERY_CALI = "ee:ee:ee:ee:ee:ee"


class Node:
    def __init__(self, state_dir, name, address, block, variant):
        self.name = name
        self.address = address
        self.block = block
        self.variant = variant
        self.state_dir = state_dir
        self.namespace = Namespace(f"sluice-{name}")
        self.bird = Process(state_dir, f"bird-{name}")
        self.socket = os.path.join(state_dir, f"bird-{name}.ctl")

    def create(self, switch, gateway):
        self.namespace.create()
        last = self.address.rpartition(".")[2]
        connect(self.namespace, "eth0", switch, self.name, left_mac=f"02:00:ac:10:28:{int(last):02x}")
        self.namespace.ip(f"addr add {self.address}/24 dev eth0", f"route add default via {gateway}")
        self.namespace.sysctl(net__ipv4__ip_forward=1, net__ipv4__conf__all__rp_filter=0,
                              net__ipv4__conf__all__send_redirects=0)
        # natOutgoing: what pods send beyond the pod network leaves with the node's address.
        self.namespace.run("nft", "-f", "-", stdin=f"""
            table ip calico {{
              chain postrouting {{
                type nat hook postrouting priority srcnat;
                ip saddr {POD_NETWORK} ip daddr != {POD_NETWORK} masquerade
              }}
            }}""")

    def attach(self, pod):
        """Wires a pod the way Calico's CNI plugin does: no address on the node's end, 169.254.1.1 by proxy ARP."""
        interface = f"cali{pod.octet}"
        connect(pod.namespace, "eth0", self.namespace, interface, right_mac=MAC_OF_EVERY_CALI)
        self.namespace.sysctl(**{f"net__ipv4__conf__{interface}__proxy_arp": 1,
                                 f"net__ipv4__neigh__{interface}__proxy_delay": 0})
        self.namespace.ip(f"route add {pod.address}/32 dev {interface} scope link")
        pod.namespace.ip(f"addr add {pod.address}/32 dev eth0",
                         "route add 169.254.1.1 dev eth0 scope link", "route add default via 169.254.1.1 dev eth0")

    def write_bird_config(self, mesh_address, mesh_passive, load_balancer, extra=""):
        with open(os.path.join(CALICO_DIR, self.variant + ".conf"), encoding="utf-8") as file:
            text = file.read()
        values = {"SELF": self.address, "MESH": mesh_address, "MESH_NAME": mesh_address.replace(".", "_"),
                  "PASSIVE": "  passive on;\n" if mesh_passive else "", "BLOCK": self.block, "LB": load_balancer,
                  "LB_NAME": load_balancer.replace(".", "_")}
        text = re.sub(r"@([A-Z_]+)@", lambda match: values[match.group(1)], text)
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(text + extra)

    @property
    def config_file(self):
        return os.path.join(self.state_dir, f"bird-{self.name}.conf")

    def start_bird(self):
        # -R: graceful-restart recovery, as calico-node starts it. -f: foreground, so the pid is ours to keep.
        self.bird.start(["bird", "-R", "-f", "-c", self.config_file, "-s", self.socket,
                         "-P", os.path.join(self.state_dir, f"bird-{self.name}.pid")], self.namespace.name)
        wait_ready(self.bird, lambda: self.birdc("show", "status", check=False), 10, f"starting BIRD on {self.name}")

    def birdc(self, *words, check=True):
        """What `birdc` answers, without its greeting; empty when BIRD does not answer and check is false."""
        if not check and not os.path.exists(self.socket):
            return ""
        done = run("birdc", "-s", self.socket, *words, check=check)
        if done.returncode != 0:
            return ""
        lines = done.stdout.splitlines()
        return "\n".join(line for line in lines if not re.match(r"BIRD [0-9.]+ ready\.$", line))

    def protocol_state(self, peer_address):
        """(state, info) of the BGP session with a peer, such as ("up", "Established")."""
        wanted = peer_address.replace(".", "_")
        for line in self.birdc("show", "protocols", check=False).splitlines():
            words = line.split()
            if len(words) >= 4 and words[0].endswith(wanted):
                return words[3], " ".join(words[5:])
        return "missing", ""

    def established(self, peer_address):
        state, info = self.protocol_state(peer_address)
        return state == "up" and info.startswith("Established")

    def kernel_routes(self, *filters):
        return output("ip", "-netns", self.namespace.name, "route", "show", *filters)

    def has_route(self, prefix, via):
        """Whether the kernel has the route, learned by BIRD: `172.16.40.81 via 172.16.40.202 dev eth0 proto bird`."""
        return re.search(rf"\bvia {re.escape(via)} .*\bproto bird\b", self.kernel_routes(prefix)) is not None

    def stop(self):
        self.bird.stop()
