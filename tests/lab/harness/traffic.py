"""Requests from a client of the lab, counted by who answered: one process in the client's namespace, JSON on stdout.

Usage: traffic.py http URL COUNT [CONCURRENCY] | traffic.py stream URL SECONDS [TIMEOUT] | traffic.py udp ADDRESS PORT COUNT
       | traffic.py hold ADDRESS PORT COUNT (opens connections, says so, keeps them until stdin closes)
       | traffic.py talk ADDRESS PORT COUNT (the same, and asks on each every 50 ms: answers, errors, longest silence)
Each http request is a connection of its own. Called by: scenario.Client.
"""

import collections
import concurrent.futures
import json
import socket
import sys
import threading
import time
import urllib.parse


def http_get(host, port, path, timeout):
    """One request on a new connection; returns the body's second word (the pod's name) or raises OSError."""
    with socket.create_connection((host, port), timeout=timeout) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"answer {head[:40]!r}")
    words = body.split()
    return words[1].decode() if len(words) > 1 else "?"


def split_url(url):
    parts = urllib.parse.urlsplit(url)
    return parts.hostname, parts.port or 80, parts.path or "/"


def http(url, count, concurrency=1):
    answers, errors = collections.Counter(), []

    def one(_):
        try:
            return http_get(*split_url(url), timeout=5), None
        except OSError as error:
            return None, str(error)

    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        for name, error in pool.map(one, range(count)):
            if error:
                errors.append(error)
            else:
                answers[name] += 1
    return {"answers": answers, "errors": errors}


def stream(url, seconds, timeout=3):
    """One request after the other for `seconds`; the time of each answer or failure since the start."""
    started = time.monotonic()
    events = []
    while time.monotonic() - started < seconds:
        at = time.monotonic() - started
        try:
            events.append([round(at, 3), http_get(*split_url(url), timeout=timeout), None])
        except OSError as error:
            events.append([round(at, 3), None, str(error)])
        time.sleep(0.02)
    return {"events": events}


def udp(address, port, count):
    answers, errors = collections.Counter(), []
    for number in range(count):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(2)
            client.connect((address, port))
            try:
                client.send(b"n%d" % number)
                name, _, rest = client.recv(65535).partition(b" ")
                if rest != b"n%d" % number:
                    raise OSError(f"answer {rest!r}")
                answers[name.decode()] += 1
            except OSError as error:
                errors.append(str(error))
    return {"answers": answers, "errors": errors}


def hold(address, port, count):
    connections = []
    for _ in range(count):
        connections.append(socket.create_connection((address, port), timeout=5))
    print(json.dumps({"open": len(connections)}), flush=True)
    sys.stdin.read()
    return {"closed": len(connections)}


def talk(address, port, count):
    stop = threading.Event()

    def one(connection):
        answered, longest, error, silent_since = 0, 0.0, None, time.monotonic()
        request = f"GET / HTTP/1.1\r\nHost: {address}\r\n\r\n".encode()
        try:
            while not stop.is_set():
                connection.sendall(request)
                answer = b""
                while not answer.endswith(b"\n") or b"\r\n\r\n" not in answer or answer.endswith(b"\r\n\r\n"):
                    chunk = connection.recv(65536)
                    if not chunk:
                        raise OSError("closed by the other side")
                    answer += chunk
                longest = max(longest, time.monotonic() - silent_since)
                silent_since = time.monotonic()
                answered += 1
                time.sleep(0.05)
        except OSError as problem:
            error = str(problem)
        return {"answered": answered, "longest_s": round(longest, 2), "error": error}

    connections = [socket.create_connection((address, port), timeout=20) for _ in range(count)]
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        results = [pool.submit(one, connection) for connection in connections]
        print(json.dumps({"open": count}), flush=True)
        sys.stdin.read()
        stop.set()
        return {"connections": [result.result() for result in results]}


def main():
    kind, words = sys.argv[1], sys.argv[2:]
    if kind == "http":
        result = http(words[0], int(words[1]), int(words[2]) if len(words) > 2 else 1)
    elif kind == "stream":
        result = stream(words[0], *map(float, words[1:]))
    elif kind == "udp":
        result = udp(words[0], int(words[1]), int(words[2]))
    elif kind == "talk":
        result = talk(words[0], int(words[1]), int(words[2]))
    elif kind == "hold":
        result = hold(words[0], int(words[1]), int(words[2]))
    else:
        sys.exit(__doc__)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
