"""Sluice in the lab: writes sluice.yaml, starts sluiced in its namespace, and asks it things by sluicectl.

Called by: scenario, demo, tests. The binaries come from $SLUICE_BUILD, or the newest of the build directories.
"""

import json
import os
import signal

from .command import LabError, output, run
from .process import Process, wait_ready

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
DAEMON, TOOL = "control/daemon/sluiced", "control/cli/sluicectl"

CONFIG = """# Sluice in the lab: one port, one self IP, two Calico nodes as BGP neighbours, virtual servers by manifests.
engine:
  workers: {workers}
  hugepages: false
  memory: 256MB
  packet-buffers: 16384
ports:
  int_vlan: {{device: "{device}"}}
self-ips:
- {{address: 172.16.40.202/24, port: int_vlan}}
routes:
- {{prefix: default, gateway: 172.16.40.254}}
bgp:
  local-as: 64512
  router-id: 172.16.40.202
  neighbors:
  - {{address: 172.16.40.199, remote-as: 64512, description: k8s-master{neighbor}}}
  - {{address: 172.16.40.198, remote-as: 64512, description: k8s-node1{neighbor}}}
manifests: {manifests}
kubernetes: {{namespaces: [default], partition: k8s, pool-member-type: cluster, http: {{x-forwarded-for: true}}}}
admin: {{socket: {socket}, prometheus: "127.0.0.1:9100"}}
{extra}"""


def build_dir():
    """Where sluiced is: $SLUICE_BUILD, else the directory under the tree whose sluiced is the newest."""
    chosen = os.environ.get("SLUICE_BUILD")
    if chosen:
        candidates = [os.path.abspath(chosen)]
    else:
        candidates = [os.path.join(ROOT, name) for name in os.listdir(ROOT) if name.startswith("build")]
    found = [path for path in candidates if os.access(os.path.join(path, DAEMON), os.X_OK)]
    if not found:
        raise LabError(f"no sluiced in {', '.join(candidates) or ROOT}: `./quickstart` builds it")
    return max(found, key=lambda path: os.path.getmtime(os.path.join(path, DAEMON)))


class Sluice:
    def __init__(self, state_dir, namespace):
        self.namespace = namespace
        self.state_dir = state_dir
        self.config_file = os.path.join(state_dir, "sluice.yaml")
        self.socket = os.path.join(state_dir, "sluiced.sock")
        self.process = Process(state_dir, "sluiced")

    def write_config(self, manifests, device="net_af_packet0,iface=int0", workers=1, neighbor="", extra="", text=None):
        """sluice.yaml: `neighbor` is added to both BGP neighbours (", hold-time: 9s"), `extra` at the end."""
        text = text or CONFIG.format(device=device, workers=workers, socket=self.socket, manifests=manifests,
                                     neighbor=neighbor, extra=extra)
        with open(self.config_file, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, wait=True):
        self.process.start([os.path.join(build_dir(), DAEMON), "--config", self.config_file], self.namespace.name)
        if wait:
            wait_ready(self.process, self.answers, 30, "starting sluiced")

    def answers(self):
        return os.path.exists(self.socket) and self.ctl("show", "workers", check=False).returncode == 0

    def ctl(self, *words, check=True, timeout=30):
        return run(os.path.join(build_dir(), TOOL), "--socket", self.socket, *words, check=check, timeout=timeout)

    def show(self, *words):
        """The text that `sluicectl WORDS` prints."""
        return self.ctl(*words).stdout.rstrip("\n")

    def json(self, *words):
        text = self.ctl("--json", *words).stdout
        try:
            return json.loads(text)
        except ValueError:
            raise LabError(f"`sluicectl --json {' '.join(words)}` is no JSON: {text[:200]!r}") from None

    def neighbor(self, address):
        """One BGP neighbour's facts."""
        return self.json("show", "ip", "bgp", "neighbors", address)["neighbors"][0]

    def members(self, pool):
        """{"10.244.0.76:80": {...}} of a pool."""
        return {member["member"]: member for member in self.json("show", "pool", pool)["pools"][0]["members"]}

    def in_full(self, pool):
        """Whether every member is available and past its slow ramp (10 s by default), so that shares are equal."""
        members = self.members(pool).values()
        return bool(members) and all(member["availability"] == "available" and member["since_s"] > 10
                                     for member in members)

    def running(self):
        return self.process.pid() is not None

    def reload(self):
        self.process.signal(signal.SIGHUP)

    def stop(self):
        """Whether sluiced ended by itself after SIGTERM."""
        return self.process.stop(20)

    def cpu_seconds(self):
        """User and system time that sluiced has used so far."""
        with open(f"/proc/{self.process.pid()}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        text = output("grep", "VmRSS", f"/proc/{self.process.pid()}/status")
        return int(text.split()[1])
