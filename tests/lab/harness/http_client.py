"""A plain HTTP/1.1 client on a socket inside a namespace: it can be as slow, silent or wrong as a test wants.

Called by: tests/lab/http_test.py.
"""

import socket
import struct

from .command import LabError


class Answer:
    def __init__(self, status, fields, body, end):
        self.status = status  # 0: the connection was reset; -1: it was closed without an answer
        self.fields = fields  # name in lower case -> the values of all its lines
        self.body = body
        self.end = end  # "open", "closed" or "reset", after the response

    def field(self, name):
        return ", ".join(self.fields.get(name.lower(), []))

    def __repr__(self):
        return f"{self.status} {self.fields} {self.body[:200]!r} {self.end}"


class Connection:
    def __init__(self, namespace, address, port=80, timeout=10, receive_buffer=None):
        self.socket = namespace.sockets()[0]
        self.socket.settimeout(timeout)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            self.socket.connect((address, port))
        except OSError as error:
            raise LabError(f"no connection to {address}:{port}: {error}") from None
        self.data = b""
        self.end = "open"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data.encode() if isinstance(data, str) else data)
        except (ConnectionResetError, BrokenPipeError):
            self.end = "reset"

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read(self):
        """More bytes into self.data; False at the end."""
        if self.end != "open":
            return False
        try:
            piece = self.socket.recv(262144)
        except ConnectionResetError:
            self.end = "reset"
            return False
        except TimeoutError:
            raise LabError(f"nothing came for {self.socket.gettimeout()} s behind {self.data[-100:]!r}") from None
        if not piece:
            self.end = "closed"
        self.data += piece
        return bool(piece)

    def answer(self, bodiless=False):
        """The next response: its body by Content-Length or chunks, or until the end."""
        while b"\r\n\r\n" not in self.data:
            if not self.read():
                return Answer(0 if self.end == "reset" else -1, {}, self.data, self.end)
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        status = int(lines[0].split()[1])
        body = b"" if bodiless or status in (101, 204, 304) else self._body(fields)
        return Answer(status, fields, body, self.end)

    def _body(self, fields):
        if "chunked" in fields.get("transfer-encoding", []):
            body = b""
            while True:
                while b"\r\n" not in self.data:
                    if not self.read():
                        return body
                size, _, self.data = self.data.partition(b"\r\n")
                length = int(size.split(b";")[0], 16)
                piece = self._take(length + 2)
                if length == 0:
                    return body
                body += piece[:length]
        if "content-length" in fields:
            return self._take(int(fields["content-length"][0]))
        while self.read():
            pass
        body, self.data = self.data, b""
        return body

    def _take(self, count):
        while len(self.data) < count and self.read():
            pass
        body, self.data = self.data[:count], self.data[count:]
        return body

    def get(self, path="/", host="lab.test", **fields):
        """One GET on this connection, and its answer. Underscores in field names are hyphens."""
        lines = [f"GET {path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        self.send("\r\n".join(lines) + "\r\n\r\n")
        return self.answer()

    def wait_end(self):
        """Reads until the other side ends the connection; how it did."""
        while self.read():
            pass
        return self.end
