"""Members that misbehave, and one that speaks WebSocket: each behaviour on a port of its own, for tests of mode http.

Usage: odd_server.py (listens on every port of PORTS until it is ended). Called by: tests/lab/http_test.py, in a pod.
"""

import base64
import hashlib
import socket
import struct
import sys
import threading
import time

PORTS = {"silent": 8001, "garbage": 8002, "reset": 8003, "short": 8004, "proxied": 8005, "websocket": 8006,
         "slow": 8007}


def head_of(connection):
    """The bytes up to the end of the request's head, or what came until the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
    return data


def answer(body, extra=""):
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body


def silent(connection):
    head_of(connection)
    while connection.recv(65536):
        pass


def garbage(connection):
    head_of(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nBad Name: x\r\n\r\nok")


def reset(connection):
    head_of(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def short(connection):
    """Less than it said, then the end."""
    head_of(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nten bytes.")
    time.sleep(0.2)


def proxied(connection):
    """Answers with the PROXY header that came ahead of the request, in hex."""
    data = head_of(connection)
    end = data.index(b"GET ")
    connection.sendall(answer(data[:end].hex().encode(), "Connection: close\r\n"))


def websocket(connection):
    """RFC 6455's handshake if asked for it (then: echoes bytes), else 426."""
    fields = {}
    for line in head_of(connection).split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields[name.strip().lower()] = value.strip()
    if fields.get(b"upgrade", b"").lower() != b"websocket" or b"upgrade" not in fields.get(b"connection", b"").lower():
        connection.sendall(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                           b"Content-Length: 0\r\n\r\n")
        return
    digest = hashlib.sha1(fields[b"sec-websocket-key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
    while data := connection.recv(65536):
        connection.sendall(data)


def slow(connection):
    """A response that goes on for long: 10 kB each 50 ms, so that a test can end this process in the middle of it."""
    head_of(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 10000)
        time.sleep(0.05)


def serve(behaviour, port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("", port))
    listener.listen(64)

    def one(connection):
        with connection:
            try:
                behaviour(connection)
            except OSError:
                pass

    while True:
        connection, _ = listener.accept()
        threading.Thread(target=one, args=(connection,), daemon=True).start()


def main():
    for name, port in PORTS.items():
        threading.Thread(target=serve, args=(globals()[name], port), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
