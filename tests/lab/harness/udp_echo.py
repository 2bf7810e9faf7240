"""A UDP service that answers each datagram with its own name before it: `nginx-76 hello`.

Usage: udp_echo.py PORT NAME. Called by: pod.
"""

import socket
import sys


def main():
    port, name = int(sys.argv[1]), sys.argv[2].encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", port))
        while True:
            data, peer = server.recvfrom(65535)
            try:
                server.sendto(name + b" " + data, peer)
            except OSError:
                continue  # too large with the name before it, or the peer is gone: UDP loses datagrams


if __name__ == "__main__":
    main()
