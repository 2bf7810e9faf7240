"""A network namespace of the lab and its links: veth pairs into other namespaces, addresses, routes, sysctls.

Called by: scenario, node, pod. Sysctls are set inside namespaces only; the machine's own network is never touched.
"""

import ctypes
import os
import socket
import threading

from .command import LabError, ip_batch, output, run

PREFIX = "sluice-"
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000


class Namespace:
    def __init__(self, name):
        assert name.startswith(PREFIX), name
        self.name = name

    def create(self):
        run("ip", "netns", "add", self.name)
        ip_batch(["link set lo up"], self.name)

    def delete(self):
        if self.exists():
            run("ip", "netns", "del", self.name)

    def exists(self):
        return os.path.exists(f"/run/netns/{self.name}")

    def run(self, *argv, **options):
        return run(*argv, namespace=self.name, **options)

    def output(self, *argv, **options):
        return output(*argv, namespace=self.name, **options)

    def sockets(self, count=1):
        """TCP sockets of this namespace for use by this process: a socket stays in the namespace it was made in."""
        made = []

        def make():
            with open(f"/run/netns/{self.name}", "rb") as file:
                if LIBC.setns(file.fileno(), CLONE_NEWNET) != 0:
                    raise LabError(f"{self.name}: setns: {os.strerror(ctypes.get_errno())}")
            made.extend(socket.socket() for _ in range(count))

        # Only the thread that does it changes its namespace.
        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if len(made) != count:
            raise LabError(f"{self.name}: no socket could be made in it")
        return made

    def ip(self, *lines):
        """Several `ip` commands, each one line without the word ip."""
        ip_batch(lines, self.name)

    def sysctl(self, **values):
        """net.X.Y with underscores for dots doubled: net__ipv4__ip_forward=1."""
        self.run("sysctl", "-qw", *[f"{key.replace('__', '.')}={value}" for key, value in values.items()])

    def pids(self):
        return [int(pid) for pid in output("ip", "netns", "pids", self.name, check=False).split()]


def connect(left, left_interface, right, right_interface, mtu=1500, left_mac=None, right_mac=None):
    """A veth pair between two namespaces with one queue each way (what af_xdp asks for), both ends up."""
    left_address = f" address {left_mac}" if left_mac else ""
    right_address = f" address {right_mac}" if right_mac else ""
    ip_batch([
        f"link add {left_interface} mtu {mtu} numrxqueues 1 numtxqueues 1{left_address} netns {left.name} type veth "
        f"peer name {right_interface} mtu {mtu} numrxqueues 1 numtxqueues 1{right_address} netns {right.name}"
    ])
    left.ip(f"link set dev {left_interface} up")
    right.ip(f"link set dev {right_interface} up")


def all_names():
    """Every namespace of the lab that exists, whoever left it."""
    try:
        return sorted(name for name in os.listdir("/run/netns") if name.startswith(PREFIX))
    except FileNotFoundError:
        return []
