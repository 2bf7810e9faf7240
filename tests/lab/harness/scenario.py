"""The reference deployment in network namespaces: two Calico nodes, their pods, clients, a gateway, and Sluice's place.

    sluice-client  172.16.40.10 ──┐                    ┌── sluice-master 172.16.40.199 ── sluice-pod76 … sluice-pod81
    sluice-far ── sluice-gw  .254 ┼── sluice-switch ───┼── sluice-node1  172.16.40.198 ── sluice-pod37
                                  └── sluice-lb .202 (Sluice, port int0 without a kernel address)

Called by: lab (the command), demo, every test of this folder. Everything it makes is removed by down(), also what an
earlier run left behind.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys

from . import kubernetes
from .command import LabError, ip_batch, require_programs, require_root, run, wait_until
from .namespace import Namespace, all_names, connect
from .node import VARIANTS, Node
from .pod import Pod
from .process import Process
from .sluice import Sluice

STATE_DIR = "/run/sluice-lab"
LB_ADDRESS = "172.16.40.202"
MASTER_ADDRESS = "172.16.40.199"
NODE1_ADDRESS = "172.16.40.198"
GATEWAY = "172.16.40.254"
CLIENT_ADDRESS = "172.16.40.10"
FAR_CLIENT_ADDRESS = "198.51.100.10"
MASTER_PODS = tuple(f"10.244.0.{octet}" for octet in range(76, 82))
NODE1_PODS = ("10.244.1.37",)
VS_SCENARIO, VS_HTTP, VS_BGP_ONLY = "172.16.40.80", "172.16.40.81", "172.16.99.99"
HTTP_PORTS = [("http", 80, "TCP")]
ECHO_PORTS = [("echo", 7, "UDP")]
TRAFFIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "traffic.py")


_locks = []


def lock_machine():
    """One lab a machine: a second process gets a clear error. The lock ends with this process, and its daemons do not
    inherit it (Python's files close on exec)."""
    if _locks:
        return
    os.makedirs("/run/lock", exist_ok=True)
    lock = open("/run/lock/sluice-lab", "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LabError("another process builds, shows or tests the lab right now") from None
    _locks.append(lock)


class Client:
    """A host that opens connections to virtual addresses."""

    def __init__(self, name, address):
        self.address = address
        self.namespace = Namespace(f"sluice-{name}")

    def http(self, url, count, concurrency=1):
        return json.loads(self.namespace.output(sys.executable, TRAFFIC, "http", url, count, concurrency, timeout=300))

    def udp(self, address, port, count):
        return json.loads(self.namespace.output(sys.executable, TRAFFIC, "udp", address, port, count, timeout=300))

    def background(self, kind, *words):
        """traffic.py running beside the caller: .communicate() it for its JSON, or kill it by its handle."""
        argv = ["ip", "netns", "exec", self.namespace.name, sys.executable, TRAFFIC, kind] + [str(w) for w in words]
        return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


class Lab:
    """The whole deployment. up() builds it in about three seconds, down() removes it."""

    def __init__(self, variants=("2019", "2019"), state_dir=STATE_DIR):
        for variant in variants:
            if variant not in VARIANTS:
                raise LabError(f"no such Calico variant: {variant} (there are: {', '.join(VARIANTS)})")
        self.state_dir = state_dir
        self.switch = Namespace("sluice-switch")
        self.gateway = Namespace("sluice-gw")
        self.lb = Namespace("sluice-lb")
        self.client = Client("client", CLIENT_ADDRESS)
        self.far_client = Client("far", FAR_CLIENT_ADDRESS)
        self.master = Node(state_dir, "master", MASTER_ADDRESS, "10.244.0.0/24", variants[0])
        self.node1 = Node(state_dir, "node1", NODE1_ADDRESS, "10.244.1.0/24", variants[1])
        self.nodes = (self.master, self.node1)
        self.pods = {address: Pod(state_dir, address) for address in MASTER_PODS + NODE1_PODS}
        self.manifests = kubernetes.Manifests(os.path.join(state_dir, "manifests"))
        self.sluice = Sluice(state_dir, self.lb)

    # ---- the network, the nodes and the pods ---------------------------------------------------------------------

    def up(self):
        require_root()
        require_programs("ip", "nft", "bird", "birdc", "nginx", "ss", "sysctl")
        lock_machine()
        self.down()
        # World-readable on the way to the pods' pages: nginx's worker is not root.
        os.makedirs(self.state_dir, mode=0o755, exist_ok=True)
        self._create_segment()
        for address, pod in self.pods.items():
            pod.create(self.node_of(address))
        for pod in self.pods.values():
            pod.start()
        for pod in self.pods.values():
            pod.wait_ready()
        self.write_bird_configs()
        for node in self.nodes:
            node.start_bird()

    def write_bird_configs(self, extra=""):
        self.master.write_bird_config(NODE1_ADDRESS, False, LB_ADDRESS, extra)
        self.node1.write_bird_config(MASTER_ADDRESS, True, LB_ADDRESS, extra)

    def _create_segment(self):
        self.switch.create()
        self.switch.ip("link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
                       "link set dev br0 up")
        # A switch forwards frames as they are; with br_netfilter the kernel's bridge would drop bad IPv4 headers.
        self.switch.run("sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=0", check=False)
        for node in self.nodes:
            node.create(self.switch, GATEWAY)
        self.lb.create()
        connect(self.lb, "int0", self.switch, "lb", left_mac="02:00:ac:10:28:ca")
        self._create_clients()
        ip_batch([f"link set dev {name} master br0" for name in ("master", "node1", "lb", "client", "gw")],
                 self.switch.name)

    def _create_clients(self):
        self.gateway.create()
        self.client.namespace.create()
        self.far_client.namespace.create()
        connect(self.gateway, "eth0", self.switch, "gw", left_mac="02:00:ac:10:28:fe")
        connect(self.client.namespace, "eth0", self.switch, "client", left_mac="02:00:ac:10:28:0a")
        connect(self.far_client.namespace, "eth0", self.gateway, "eth1")
        self.gateway.sysctl(net__ipv4__ip_forward=1, net__ipv4__conf__all__rp_filter=0,
                            net__ipv4__conf__all__send_redirects=0)
        # The gateway has no BGP: its administrator gave it the one static route that the second address needs.
        self.gateway.ip(f"addr add {GATEWAY}/24 dev eth0", "addr add 198.51.100.1/24 dev eth1",
                        f"route add {VS_BGP_ONLY}/32 via {LB_ADDRESS}")
        self.client.namespace.ip(f"addr add {CLIENT_ADDRESS}/24 dev eth0", f"route add default via {GATEWAY}")
        self.far_client.namespace.ip(f"addr add {FAR_CLIENT_ADDRESS}/24 dev eth0",
                                     "route add default via 198.51.100.1")

    def node_of(self, pod_address):
        return self.master if pod_address.startswith("10.244.0.") else self.node1

    def wait_mesh(self, seconds=30):
        """Both nodes' BIRD have each other's block in the kernel."""
        wait_until(lambda: self.master.has_route("10.244.1.0/24", NODE1_ADDRESS)
                   and self.node1.has_route("10.244.0.0/24", MASTER_ADDRESS),
                   seconds, "the node mesh has no routes")

    # ---- Sluice and what it is told ------------------------------------------------------------------------------

    def write_manifests(self, pods=None):
        """The scenario's objects; `pods` are the addresses behind the service at first (default: all but the last)."""
        pods = self.default_pods() if pods is None else pods
        write = self.manifests.write
        write("nginx-deploy-svc", kubernetes.service("nginx-deploy-svc", HTTP_PORTS))
        write("echo-svc", kubernetes.service("echo-svc", ECHO_PORTS))
        self.write_endpoints(pods)
        write("vs-80", kubernetes.config_map("nginx-vs", kubernetes.SCENARIO_JSON))
        write("vs-81", kubernetes.config_map("nginx-vs-81", kubernetes.virtual_server(
            VS_HTTP, 80, "nginx-deploy-svc", 80, "round-robin", "tcp", kubernetes.http_monitor(2, 5))))
        write("vs-99", kubernetes.config_map("nginx-vs-99", kubernetes.virtual_server(
            VS_BGP_ONLY, 80, "nginx-deploy-svc", 80, "least-connections-member", "tcp",
            kubernetes.http_monitor(2, 5))))
        write("vs-udp", kubernetes.config_map("echo-vs", kubernetes.virtual_server(
            VS_HTTP, 7, "echo-svc", 7, "round-robin", "udp",
            {"interval": 2, "protocol": "udp", "send": "probe", "recv": "nginx-[0-9]+ probe", "timeout": 5})))

    def default_pods(self):
        return list(MASTER_PODS[:-1] + NODE1_PODS)

    def write_endpoints(self, pods):
        self.manifests.write("nginx-endpoints", kubernetes.endpoints("nginx-deploy-svc", pods, HTTP_PORTS))
        self.manifests.write("echo-endpoints", kubernetes.endpoints("echo-svc", pods, ECHO_PORTS))

    def start_sluice(self, **options):
        self.sluice.write_config(self.manifests.directory, **options)
        self.sluice.start()

    @staticmethod
    def finish(background, timeout=60):
        """The JSON of a Client.background(): lets it end (closing its input), or ends it after `timeout`."""
        try:
            out, _ = background.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            background.kill()
            background.communicate()
            raise LabError(f"the client's traffic did not end within {timeout} s") from None
        try:
            return json.loads(out.splitlines()[-1])
        except (IndexError, ValueError):
            raise LabError(f"the client's traffic ended with {background.returncode} and no result") from None

    # ---- the end -------------------------------------------------------------------------------------------------

    def down(self):
        """Ends every process of the lab by its pid file, then removes the namespaces and the state directory."""
        pid_dir = os.path.join(self.state_dir, "pids")
        names = os.listdir(pid_dir) if os.path.isdir(pid_dir) else []
        # sluiced first: it withdraws its routes and removes what it added to the kernel.
        for name in sorted(names, key=lambda name: name != "sluiced"):
            Process(self.state_dir, name).stop()
        for name in all_names():
            end_strangers(Namespace(name))
            Namespace(name).delete()
        shutil.rmtree(self.state_dir, ignore_errors=True)

    def exists(self):
        return self.lb.exists()


@contextlib.contextmanager
def running_lab(variants=("2019", "2019"), pods=None, sluice=True, bgp=True, **options):
    """The lab with Sluice in it for the length of a `with`; removed whatever happens."""
    lab = Lab(variants)
    require_root()
    lock_machine()  # before the `try`: whoever finds the lab taken must not take it down
    try:
        lab.up()
        lab.write_manifests(pods)
        if sluice:
            lab.start_sluice(**options)
            if bgp:
                wait_until(lambda: all(node.established(LB_ADDRESS) for node in lab.nodes), 30,
                           "the BGP sessions do not come up")
        yield lab
    except LabError as error:
        log = lab.sluice.process.log(15)
        raise LabError(f"{error}\nthe last lines of sluiced's log:\n{log}" if log else str(error)) from error
    finally:
        lab.down()


def end_strangers(namespace):
    """What still runs in a namespace of the lab (a shell's ping, a tcpdump) would keep it alive: end it by pid."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in namespace.pids():
            if pid != os.getpid():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        if wait_until(lambda: not namespace.pids(), 2, every=0.05):
            return
    raise LabError(f"processes {namespace.pids()} stay in {namespace.name}")


def ping(namespace, address, count=3, interval=0.2, size=56, timeout=2, extra=()):
    """Pings; returns (received, ttl or None, the command's output)."""
    done = run("ping", "-n", "-c", count, "-i", interval, "-s", size, "-W", timeout, *extra, address,
               namespace=namespace.name, check=False, timeout=60)
    ttls = {int(word[4:]) for line in done.stdout.splitlines() for word in line.split() if word.startswith("ttl=")}
    received = sum(1 for line in done.stdout.splitlines() if " bytes from " in line)
    return received, ttls.pop() if len(ttls) == 1 else None, done.stdout
