"""A pod: a namespace with nginx on port 80 (its page holds `cka` and the pod's name) and a UDP echo service on port 7.

Called by: scenario. The page's body is what tests count answers by: `cka nginx-76 …`.
"""

import os
import sys

from .command import run
from .namespace import Namespace
from .process import Process, wait_ready

UDP_ECHO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "udp_echo.py")

NGINX_CONFIG = """# nginx of one pod: a page with the word that the monitors look for.
pid {directory}/nginx.pid;
error_log {directory}/error.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
  log_format lab '$remote_addr [$time_iso8601] "$request" $status $body_bytes_sent xff="$http_x_forwarded_for" '
                 'conn=$connection/$connection_requests';
  access_log {directory}/access.log lab;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000;
  default_type text/plain;
  server {{
    listen 80 backlog=4096;
    root {directory}/www;
    index index.html;
    # What arrived: the fields that a proxy may add, and how often this connection was used.
    location = /seen {{
      return 200 "cka {name} xff=[$http_x_forwarded_for] proto=[$http_x_forwarded_proto] \
port=[$http_x_forwarded_port] trace=[$http_x_trace] secret=[$http_x_secret] cookie=[$http_cookie] host=[$host] \
via=$remote_addr conn=$connection/$connection_requests\n";
    }}
  }}
}}
"""


class Pod:
    def __init__(self, state_dir, address):
        self.address = address
        self.octet = address.rpartition(".")[2]
        self.name = f"nginx-{self.octet}"
        self.namespace = Namespace(f"sluice-pod{self.octet}")
        self.directory = os.path.join(state_dir, "pod", self.name)
        self.nginx = Process(state_dir, f"nginx-{self.octet}")
        self.echo = Process(state_dir, f"echo-{self.octet}")

    def create(self, node):
        self.namespace.create()
        node.attach(self)
        os.makedirs(os.path.join(self.directory, "www"), exist_ok=True)
        # nginx's worker drops to another user and must still read its page.
        for path in (self.directory, os.path.join(self.directory, "www")):
            os.chmod(path, 0o755)
        self.write_page(f"cka {self.name} {self.address}\n")
        with open(os.path.join(self.directory, "www", "100"), "w", encoding="ascii") as file:
            file.write(self.name.ljust(99) + "\n")
        with open(os.path.join(self.directory, "www", "1m"), "wb") as file:
            file.write((f"{self.name} ".encode() * 131072)[:1 << 20])
        with open(os.path.join(self.directory, "nginx.conf"), "w", encoding="ascii") as file:
            file.write(NGINX_CONFIG.format(directory=self.directory, name=self.name))

    def write_page(self, text):
        with open(os.path.join(self.directory, "www", "index.html"), "w", encoding="ascii") as file:
            file.write(text)

    def start(self):
        self.start_nginx(wait=False)
        self.echo.start([sys.executable, UDP_ECHO, "7", self.name], self.namespace.name)

    def start_nginx(self, wait=True):
        self.nginx.start(["nginx", "-e", f"{self.directory}/error.log", "-c", f"{self.directory}/nginx.conf",
                          "-g", "daemon off;"], self.namespace.name)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        wait_ready(self.nginx, lambda: self._listens("-t", 80), 10, f"starting nginx of {self.name}")
        wait_ready(self.echo, lambda: self._listens("-u", 7), 10, f"starting the UDP echo of {self.name}")

    def _listens(self, kind, port):
        return run("ss", "-Hln", kind, f"sport = {port}", namespace=self.namespace.name).stdout.strip()

    def stop_nginx(self):
        self.nginx.stop()

    def stop(self):
        self.nginx.stop()
        self.echo.stop()

    def connections(self):
        """Established TCP connections at this pod's port 80, as the pod's kernel counts them."""
        text = self.namespace.output("ss", "-Htn", "state", "established", "sport", "=", ":80")
        return len(text.splitlines())

    def requests_seen(self):
        try:
            with open(os.path.join(self.directory, "access.log"), encoding="ascii", errors="replace") as file:
                return sum(1 for _ in file)
        except FileNotFoundError:
            return 0
