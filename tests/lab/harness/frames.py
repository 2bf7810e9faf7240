"""Raw frames: builds Ethernet, ARP, IPv4, ICMP, TCP and UDP by hand, right or wrong, and injects them into a namespace.

Usage as a program (in the namespace, so that raw sockets are the namespace's): frames.py INTERFACE < lines of hex.
Called by: robustness_test.
"""

import socket
import struct
import sys


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def ethernet(destination, source, ethertype, payload):
    return mac(destination) + mac(source) + struct.pack("!H", ethertype) + payload


def ipv4(source, destination, protocol, payload, ttl=64, flags_fragment=0, version_ihl=0x45, total_length=None,
         options=b"", header_checksum=None, identification=1):
    length = 20 + len(options) + len(payload) if total_length is None else total_length
    header = struct.pack("!BBHHHBBH4s4s", version_ihl, 0, length & 0xFFFF, identification, flags_fragment, ttl, protocol,
                         0, socket.inet_aton(source), socket.inet_aton(destination)) + options
    right = checksum(header) if header_checksum is None else header_checksum
    return header[:10] + struct.pack("!H", right) + header[12:] + payload


def pseudo(source, destination, protocol, length):
    return socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, protocol, length)


def tcp(source, destination, src_port, dst_port, flags, sequence=1, acknowledgement=0, offset=5, options=b"", payload=b""):
    header = struct.pack("!HHIIBBHHH", src_port, dst_port, sequence, acknowledgement, offset << 4, flags, 65535, 0, 0)
    segment = header + options + payload
    right = checksum(pseudo(source, destination, 6, len(segment)) + segment)
    return segment[:16] + struct.pack("!H", right) + segment[18:]


def udp(source, destination, src_port, dst_port, payload=b"", length=None):
    size = 8 + len(payload) if length is None else length
    datagram = struct.pack("!HHHH", src_port, dst_port, size, 0) + payload
    right = checksum(pseudo(source, destination, 17, len(datagram)) + datagram) or 0xFFFF
    return datagram[:6] + struct.pack("!H", right) + datagram[8:]


def icmp(kind, code, rest=b"\0\0\0\0", payload=b"", right=True):
    message = struct.pack("!BBH", kind, code, 0) + rest + payload
    value = checksum(message) if right else checksum(message) ^ 0x5555
    return message[:2] + struct.pack("!H", value) + message[4:]


def arp(operation, sender_mac, sender, target_mac, target, hardware=1, protocol=0x0800):
    return struct.pack("!HHBBH", hardware, protocol, 6, 4, operation) + mac(sender_mac) + socket.inet_aton(sender) + \
        mac(target_mac) + socket.inet_aton(target)


def main():
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((sys.argv[1], 0))
        sent = 0
        for line in sys.stdin:
            frame = bytes.fromhex(line.strip())
            # A packet socket refuses less than an Ethernet header; what is shorter cannot be on the wire either.
            if len(frame) < 14:
                continue
            raw.send(frame)
            sent += 1
    print(sent)


if __name__ == "__main__":
    main()
