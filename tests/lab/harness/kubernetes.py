"""The Kubernetes objects of the scenario, written as users write them into the manifests directory that Sluice watches.

Called by: scenario, tests. The ConfigMap of 172.16.40.80:80 is the scenario's, word for word.
"""

import json
import os

# The scenario's ConfigMap data, byte for byte as the report has it.
SCENARIO_JSON = r"""{
  "virtualServer": {
    "backend": {
      "servicePort": 80,
      "serviceName": "nginx-deploy-svc",
      "healthMonitors": [{
        "interval": 15,
        "protocol": "http",
        "send": "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n",
        "recv": "cka",
        "timeout": 30
      }]
    },
    "frontend": {
      "virtualAddress": { "port": 80, "bindAddr": "172.16.40.80" },
      "partition": "k8s",
      "balance": "least-connections-member",
      "mode": "http"
    }
  }
}"""

SEND = "GET / HTTP/1.1\r\nConnection: close\r\nHost: 1.1.1.1\r\n\r\n"


def virtual_server(address, port, service, service_port, balance="round-robin", mode="tcp", monitor=None):
    """The JSON of a virtual server ConfigMap; monitor is a dict of its fields."""
    return json.dumps({"virtualServer": {
        "backend": {"servicePort": service_port, "serviceName": service,
                    **({"healthMonitors": [monitor]} if monitor else {})},
        "frontend": {"virtualAddress": {"port": port, "bindAddr": address}, "partition": "k8s", "balance": balance,
                     "mode": mode}}}, indent=2)


def http_monitor(interval, timeout, recv="cka"):
    return {"interval": interval, "protocol": "http", "send": SEND, "recv": recv, "timeout": timeout}


def config_map(name, data, namespace="default"):
    indented = "\n".join("    " + line for line in data.splitlines())
    return f"""apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    f5type: virtual-server
data:
  schema: "f5schemadb://bigip-virtual-server_v0.1.7.json"
  data: |
{indented}
"""


def service(name, ports, namespace="default"):
    """ports: (name, port, protocol) each."""
    text = f"""apiVersion: v1
kind: Service
metadata:
  name: {name}
  namespace: {namespace}
spec:
  selector:
    app: nginx
  ports:
"""
    for port_name, port, protocol in ports:
        text += f"  - name: {port_name}\n    port: {port}\n    targetPort: {port}\n    protocol: {protocol}\n"
    return text


def endpoints(name, addresses, ports, namespace="default"):
    text = f"""apiVersion: v1
kind: Endpoints
metadata:
  name: {name}
  namespace: {namespace}
subsets:
"""
    if not addresses:
        return text.replace("subsets:\n", "subsets: []\n")
    text += "- addresses:\n" + "".join(f"  - ip: {address}\n" for address in addresses) + "  ports:\n"
    for port_name, port, protocol in ports:
        text += f"  - name: {port_name}\n    port: {port}\n    protocol: {protocol}\n"
    return text


class Manifests:
    """The directory; each write replaces its file in one step, as an editor or kubectl-driven tool would."""

    def __init__(self, directory):
        self.directory = directory

    def path(self, name):
        return os.path.join(self.directory, name + ".yaml")

    def write(self, name, text):
        os.makedirs(self.directory, exist_ok=True)
        temporary = os.path.join(self.directory, f".{name}.new")
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, self.path(name))

    def remove(self, name):
        os.unlink(self.path(name))

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()
