#!/usr/bin/env python3
"""Virtual servers in mode http with real curl and nginx: every option, bad input on both sides, what can be seen of it."""

import collections
import ipaddress
import json
import os
import re
import resource
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import odd_server  # noqa: E402
from harness import check  # noqa: E402
from harness.command import LabError, run, wait_until  # noqa: E402
from harness.http_client import Connection  # noqa: E402
from harness.process import Process, wait_ready  # noqa: E402
from harness.scenario import CLIENT_ADDRESS, LB_ADDRESS, STATE_DIR, VS_SCENARIO, running_lab  # noqa: E402

ODD_POD = "10.244.0.79"
ACCESS_LOG = os.path.join(STATE_DIR, "log", "access.log")
WEB = ("10.244.0.76", "10.244.0.77", "10.244.1.37")
(VS_FORWARDED, VS_COOKIE, VS_HASHED, VS_SHARED, VS_PLAIN, VS_ROUTED, VS_REDIRECT, VS_PROXIED, VS_PROXIED_2, VS_LIMITED,
 VS_RATE, VS_REFUSED_PAGE, VS_REFUSED_RESET, VS_SILENT, VS_GARBAGE, VS_RESET, VS_SHORT, VS_WEBSOCKET, VS_NO_UPGRADE,
 VS_SLOW, VS_EMPTY) = (f"172.16.40.{octet}" for octet in range(100, 121))


def odd_pool(name):
    return f"  {name}: {{slow-ramp-time: 0, members: [\"{ODD_POD}:{odd_server.PORTS[name]}\"]}}\n"


def odd_virtual(name, address, http):
    return f"  {name}: {{destination: \"{address}:80\", mode: http, pool: {name}, http: {{{http}}}}}\n"


EXTRA = f"""access-log: {ACCESS_LOG}
pools:
  web: {{slow-ramp-time: 0, members: [{", ".join(f'"{pod}:80"' for pod in WEB)}]}}
  api: {{slow-ramp-time: 0, members: ["10.244.0.78:80"]}}
  closed: {{slow-ramp-time: 0, members: ["10.244.0.76:9999"]}}
  empty: {{}}
{"".join(odd_pool(name) for name in odd_server.PORTS)}
virtual-servers:
  forwarded:
    destination: "{VS_FORWARDED}:80"
    mode: http
    pool: web
    http:
      x-forwarded-for: true
      x-forwarded-proto: true
      x-forwarded-port: true
      access-log: full
      header-rules:
      - {{name: X-Trace, value: lab}}
      - {{action: remove, name: X-Secret}}
      - {{side: response, action: replace, name: Server, value: sluice}}
      - {{side: response, name: X-Served-By, value: the lab}}
  cookie: {{destination: "{VS_COOKIE}:80", mode: http, pool: web, http: {{cookie-persistence: {{kind: insert}}}}}}
  hashed: {{destination: "{VS_HASHED}:80", mode: http, pool: web, http: {{cookie-persistence: {{kind: hashed, name: SRV}}}}}}
  shared: {{destination: "{VS_SHARED}:80", mode: http, pool: web, oneconnect: true}}
  plain: {{destination: "{VS_PLAIN}:80", mode: http, pool: web}}
  routed:
    destination: "{VS_ROUTED}:80"
    mode: http
    pool: web
    http:
      routes:
      - {{host: api.lab.test, path: /v1, pool: api}}
      - {{path: /seen, exact: true, pool: api}}
  redirect: {{destination: "{VS_REDIRECT}:80", mode: http, http: {{redirect: {{status: 308, scheme: https}}}}}}
  proxied: {{destination: "{VS_PROXIED}:80", mode: http, pool: proxied,
            http: {{proxy-protocol-in: required, proxy-protocol-out: v1}}}}
  proxied-2: {{destination: "{VS_PROXIED_2}:80", mode: http, pool: proxied, http: {{proxy-protocol-out: v2}}}}
  limited:
    destination: "{VS_LIMITED}:80"
    mode: http
    pool: web
    http:
      limits: {{head-bytes-max: 1024, target-bytes-max: 256, headers-max: 8, body-bytes-max: 1000, requests-max: 3}}
      times: {{head: 1s, idle: 1s}}
  rate: {{destination: "{VS_RATE}:80", mode: http, pool: web, http: {{limits: {{requests-per-second: 2}}}}}}
  refused-page: {{destination: "{VS_REFUSED_PAGE}:80", mode: http, pool: closed, http: {{fallback: page}}}}
  refused-reset: {{destination: "{VS_REFUSED_RESET}:80", mode: http, pool: closed}}
  empty: {{destination: "{VS_EMPTY}:80", mode: http, pool: empty, http: {{fallback: page}}}}
{odd_virtual("silent", VS_SILENT, "fallback: page, times: {server-response: 1s, idle: 1s}")}\
{odd_virtual("garbage", VS_GARBAGE, "fallback: page")}\
{odd_virtual("reset", VS_RESET, "fallback: page")}\
{odd_virtual("short", VS_SHORT, "fallback: page")}\
{odd_virtual("websocket", VS_WEBSOCKET, "upgrade: true")}\
{odd_virtual("slow", VS_SLOW, "fallback: page")}\
  no-upgrade: {{destination: "{VS_NO_UPGRADE}:80", mode: http, pool: websocket}}
"""


def everything(checks):
    """One lab for all of it: each part has virtual servers of its own."""
    with running_lab(extra=EXTRA, bgp=False) as lab:
        odd = Process(STATE_DIR, "odd-server")
        pod = lab.pods[ODD_POD]
        odd.start([sys.executable, odd_server.__file__], pod.namespace.name)
        wait_ready(odd, lambda: run("ss", "-Hltn", f"sport = {odd_server.PORTS['slow']}", namespace=pod.namespace.name)
                   .stdout.strip(), 10, "starting the odd server")
        # Routes to the pods are by BGP; monitors of the scenario's pool have found its members.
        wait_until(lambda: {"10.244.0.0/24", "10.244.1.0/24"} <= {
            route["prefix"] for route in lab.sluice.json("show", "ip", "route")["routes"]}, 30,
                   "Sluice does not learn the pods' routes")
        wait_until(lambda: get(lab, VS_SCENARIO).status == 200, 30, "the scenario's virtual server does not answer")
        for part in (scenario, forwarded, access_log, cookies, sharing, routing, redirects, proxy_protocol, limits, rate,
                     fallback, upgrades, slow_clients, bad_servers, many_idle, shown, member_killed):
            checks.note(f"{part.__name__}: {part.__doc__.splitlines()[0]}")
            started = time.monotonic()
            part(checks, lab) if part is not member_killed else part(checks, lab, odd)
            checks.note(f"{part.__name__} took {time.monotonic() - started:.1f} s")


def connect(lab, address, **options):
    return Connection(lab.client.namespace, address, **options)


def get(lab, address, path="/", **options):
    with connect(lab, address) as connection:
        return connection.get(path, **options)


def send(lab, address, text):
    """Sends these bytes on a connection of its own; the answer."""
    with connect(lab, address) as connection:
        connection.send(text)
        return connection.answer()


def pod_of(answer):
    words = answer.body.split()
    return words[1].decode() if len(words) > 1 else repr(answer)


def http_of(lab, name):
    return lab.sluice.json("show", "virtual", name)["virtuals"][0]["http"]


def errors_of(lab, name):
    return lab.sluice.json("show", "errors", name)["errors"]


def scenario(checks, lab):
    """The scenario's ConfigMap, word for word, in mode http: curl gets the pods' pages."""
    text = lab.client.namespace.output("curl", "-s", "-m", "5", f"http://{VS_SCENARIO}/")
    checks.ok(text.startswith("cka nginx-"), "curl gets a pod's page", text)
    virtual = lab.sluice.json("show", "virtual", "default_nginx-vs")["virtuals"][0]
    checks.equal(virtual["mode"], "http", "it is in mode http")
    checks.ok(virtual["http"]["responses"]["2xx"] >= 1, "its requests are counted", virtual["http"])
    answers = collections.Counter(pod_of(get(lab, VS_SCENARIO)) for _ in range(36))
    checks.ok(len(answers) > 1 and sum(answers.values()) == 36 and all(name.startswith("nginx-") for name in answers),
              f"36 connections are spread: {dict(answers)}", answers)
    sizes = lab.client.namespace.output("curl", "-s", "-m", "20", "-o", "/dev/null", "-w", "%{size_download} %{http_code}",
                                        f"http://{VS_SCENARIO}/1m")
    checks.equal(sizes, f"{1 << 20} 200", "a megabyte arrives whole")
    head = lab.client.namespace.output("curl", "-sI", "-m", "5", f"http://{VS_SCENARIO}/1m")
    checks.ok(re.search(r"(?im)^content-length: 1048576", head), "HEAD has its length and no body", head)


def forwarded(checks, lab):
    """X-Forwarded-* and header rules, as nginx sees them."""
    with connect(lab, VS_FORWARDED) as connection:
        answer = connection.get("/seen", X_Secret="s3cret", X_Forwarded_For="192.0.2.1")
    text = answer.body.decode()
    for words in (f"xff=[192.0.2.1, {CLIENT_ADDRESS}]", "proto=[http]", "port=[80]", "trace=[lab]", "secret=[]",
                  "host=[lab.test]", f"via={LB_ADDRESS}"):
        checks.ok(words in text, f"nginx sees {words}", text)
    checks.equal((answer.field("server"), answer.field("x-served-by")), ("sluice", "the lab"), "response rules")
    answer = get(lab, VS_PLAIN, "/seen")
    checks.ok("xff=[]" in answer.body.decode() and answer.field("server").startswith("nginx"),
              "without options nothing is added", answer)


def log_lines(path=ACCESS_LOG):
    try:
        with open(path, encoding="ascii") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def access_log(checks, lab):
    """A JSON line for each request; after logrotate's rename SIGHUP makes a new file."""
    def mine():
        return [line for line in log_lines() if line["target"].startswith("/100?n=")]

    with connect(lab, VS_FORWARDED) as connection:
        for number in range(3):
            connection.get(f"/100?n={number}")
        client = "%s:%s" % connection.socket.getsockname()
    checks.eventually(lambda: len(mine()) == 3, 5, "three requests, three lines", log_lines)
    lines = mine()
    checks.equal([(line["target"], line["client"], line["status"], line["virtual_server"]) for line in lines],
                 [(f"/100?n={number}", client, 200, "forwarded") for number in range(3)], "with what was asked, by whom")
    checks.ok(all(line["member"] in [f"{pod}:80" for pod in WEB] and line["response_bytes"] == 100 and line["complete"]
                  and line["total_ms"] >= line["first_byte_ms"] > 0 for line in lines)
              and [line["reused"] for line in lines] == [False, True, True], "who answered, how much, how long", lines)
    os.rename(ACCESS_LOG, ACCESS_LOG + ".1")
    lab.sluice.reload()

    def anew():
        get(lab, VS_FORWARDED, "/100")
        return os.path.exists(ACCESS_LOG)

    checks.eventually(anew, 10, "SIGHUP: a new file")
    status = lab.sluice.json("show", "access-log")
    checks.ok(status["file"] == ACCESS_LOG and status["open"] and not status["error"] and status["lost"] == 0,
              "show access-log: nothing lost", status)


def cookies(checks, lab):
    """Cookie persistence, BIG-IP's encoding and the hashed one, holds a client to its member."""
    first = get(lab, VS_COOKIE)
    cookie = first.field("set-cookie").split(";")[0]
    match = re.fullmatch(r"BIGipServerweb=(\d+)\.(\d+)\.0000", cookie)
    checks.ok(match, f"BIG-IP's cookie: {cookie}", first)
    if match:
        address = ipaddress.ip_address(int(match[1]).to_bytes(4, "little"))
        port = int.from_bytes(int(match[2]).to_bytes(2, "little"), "big")
        checks.ok(pod_of(first) == f"nginx-{str(address).rpartition('.')[2]}" and port == 80, "it names the member",
                  f"{address}:{port} {first}")
    hashed = get(lab, VS_HASHED)
    srv = hashed.field("set-cookie").split(";")[0]
    checks.ok(re.fullmatch(r"SRV=[0-9a-f]{16}", srv), f"the hashed cookie tells no address: {srv}", hashed)
    for name, address, value, pod in (("insert", VS_COOKIE, cookie, first), ("hashed", VS_HASHED, srv, hashed)):
        answers = [get(lab, address, "/seen", Cookie=f"a=b; {value}") for _ in range(9)]
        checks.equal({pod_of(answer) for answer in answers}, {pod_of(pod)}, f"{name}: nine connections, one member")
        checks.ok(all("set-cookie" not in answer.fields and "cookie=[a=b]" in answer.body.decode() for answer in answers),
                  f"{name}: it is not set again, and nginx does not see it", answers[0])
    answers = {pod_of(get(lab, VS_COOKIE)) for _ in range(9)}
    checks.equal(len(answers), 3, "without the cookie all members answer")


def sharing(checks, lab):
    """OneConnect balances each request; without it a client's connection stays with its member."""
    with connect(lab, VS_PLAIN) as connection:
        answers = {pod_of(connection.get()) for _ in range(9)}
    checks.equal(len(answers), 1, "plain: nine requests on one connection, one member")
    with connect(lab, VS_SHARED) as connection:
        answers = collections.Counter(pod_of(connection.get()) for _ in range(9))
    checks.equal(sorted(answers.values()), [3, 3, 3], "oneconnect: nine requests, three for each member")
    connects = http_of(lab, "shared")["server_connects"]
    checks.equal([get(lab, VS_SHARED).status for _ in range(5)], [200] * 5, "five more clients are answered")
    http = http_of(lab, "shared")
    checks.equal(http["server_connects"], connects, "and open no further server connection")
    checks.ok(http["server_reuse"] >= 5 and http["server_idle"] >= 3, "they reuse idle ones", http)


def routing(checks, lab):
    """Host and path decide the pool."""
    log = os.path.join(lab.pods["10.244.0.78"].directory, "access.log")
    for number, (path, host, there) in enumerate((
            ("/v1", "api.lab.test", True), ("/v1/x", "API.Lab.test:80", True), ("/v12", "api.lab.test", False),
            ("/v1", "www.lab.test", False), ("/seen", "www.lab.test", True), ("/seen/x", "www.lab.test", False))):
        target = f"{path}?route={number}"
        get(lab, VS_ROUTED, target, host=host)
        with open(log, encoding="ascii") as file:
            found = any(f"\"GET {target} " in line for line in file)
        checks.equal(found, there, f"{host}{path} {'goes' if there else 'does not go'} to pool api")
    with connect(lab, VS_ROUTED) as connection:
        pods = [pod_of(connection.get("/seen")), pod_of(connection.get("/")), pod_of(connection.get("/seen"))]
    checks.ok(pods[0] == pods[2] == "nginx-78" and pods[1] != "nginx-78", "each request on one connection", pods)


def redirects(checks, lab):
    """A virtual server that redirects everything needs no pool."""
    answer = get(lab, VS_REDIRECT, "/a/b?c=d", host="www.lab.test:80")
    checks.equal((answer.status, answer.field("location")), (308, "https://www.lab.test/a/b?c=d"), "308 to https")
    code = lab.client.namespace.output("curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}",
                                       f"http://{VS_REDIRECT}/x")
    checks.equal(code, f"308 https://{VS_REDIRECT}/x", "as curl reads it")


def proxy_protocol(checks, lab):
    """PROXY headers: required of the client, and sent to the member, as text and as binary."""
    line = b"PROXY TCP4 192.0.2.7 203.0.113.9 5000 80\r\n"
    answer = send(lab, VS_PROXIED, line + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    seen = bytes.fromhex(answer.body.decode()) if answer.status == 200 else b""
    checks.ok(seen.startswith(b"PROXY TCP4 192.0.2.7 ") and seen.endswith(b" 80\r\n"), f"in and out, v1: {seen}", answer)
    answer = send(lab, VS_PROXIED, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    checks.ok(answer.status <= 0, "a client without one is let go", answer)
    checks.ok(errors_of(lab, "proxied"), "and show errors says why", errors_of(lab, "proxied"))
    answer = get(lab, VS_PROXIED_2)
    seen = bytes.fromhex(answer.body.decode()) if answer.status == 200 else b""
    checks.ok(seen.startswith(b"\r\n\r\n\0\r\nQUIT\n\x21\x11") and seen[16:20] == ipaddress.ip_address(CLIENT_ADDRESS).packed,
              f"out, v2: {seen.hex()}", answer)
    text = lab.client.namespace.output("curl", "-s", "-m", "5", "--haproxy-protocol", f"http://{VS_PROXIED}/")
    checks.ok(bytes.fromhex(text).startswith(f"PROXY TCP4 {CLIENT_ADDRESS} ".encode()), "curl's header is taken", text)


def limits(checks, lab):
    """What is too large or wrong gets its status, and the connection ends."""
    long_value, line = "x" * 1100, "GET / HTTP/1.1\r\nHost: x\r\n"
    for what, text, status in (
            ("a head over its limit", line + f"A: {long_value}\r\n\r\n", 431),
            ("too many fields", line + "A: b\r\n" * 9 + "\r\n", 431),
            ("a target over its limit", f"GET /{'x' * 300} HTTP/1.1\r\nHost: x\r\n\r\n", 414),
            ("a body over its limit", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", 413),
            ("a field without a colon", line + "what is this\r\n\r\n", 400),
            ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
            ("both framings", line + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
            ("CONNECT", "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", 405)):
        with connect(lab, VS_LIMITED) as connection:
            connection.send(text)
            answer = connection.answer()
            checks.ok(answer.status == status and connection.wait_end() == "closed", f"{what}: {status}, and the end",
                      answer)
    found = {error["status"] for error in errors_of(lab, "limited")}
    checks.ok({400, 413, 414, 431} <= found, "show errors has them", found)
    colon = [error for error in errors_of(lab, "limited") if error["status"] == 400 and error["offset"] >= len(line)]
    checks.ok(colon and colon[-1]["side"] == "request" and colon[-1]["reason"], "with the byte's offset and the reason",
              errors_of(lab, "limited"))
    with connect(lab, VS_LIMITED) as connection:
        statuses = [connection.get().status for _ in range(3)]
        checks.equal((statuses, connection.wait_end()), ([200] * 3, "closed"), "requests-max: three on a connection")


def rate(checks, lab):
    """Beyond two requests a second: 503."""
    statuses = collections.Counter(get(lab, VS_RATE).status for _ in range(20))
    checks.ok(set(statuses) == {200, 503} and statuses[200] >= 2, f"20 requests at once: {dict(statuses)}", statuses)
    checks.equal(http_of(lab, "rate")["errors"]["limited"], statuses[503], "counted as limited")
    checks.eventually(lambda: get(lab, VS_RATE).status == 200, 5, "a moment later: served again")


def fallback(checks, lab):
    """A member that cannot be asked: a page, or a reset as BIG-IP does."""
    answer = get(lab, VS_REFUSED_PAGE)
    checks.ok(answer.status == 503 and b"503" in answer.body, "refused, fallback page: 503", answer)
    answer = get(lab, VS_REFUSED_RESET)
    checks.ok(answer.status == 0, "refused, without a fallback: reset", answer)
    answer = get(lab, VS_EMPTY)
    checks.ok(answer.status == 503, "no member at all: 503", answer)
    errors = errors_of(lab, "refused-page") + errors_of(lab, "refused-reset")
    checks.equal([(error["status"], error["member"], error["side"]) for error in errors],
                 [(503, "10.244.0.76:9999", "connect"), (0, "10.244.0.76:9999", "connect")], "show errors says who and why")
    checks.equal(http_of(lab, "empty")["errors"]["no_member"], 1, "no_member is counted")


def upgrades(checks, lab):
    """WebSocket passes where upgrades are enabled, and is refused elsewhere."""
    ask = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
           "Sec_WebSocket_Version": "13"}
    with connect(lab, VS_WEBSOCKET) as connection:
        answer = connection.get("/chat", **ask)
        checks.equal((answer.status, answer.field("sec-websocket-accept")), (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "101")
        frame = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58" * 1000
        connection.send(frame)
        while len(connection.data) < len(frame) and connection.read():
            pass
        checks.equal(connection.data, frame, "bytes pass both ways")
    checks.equal(http_of(lab, "websocket")["upgrades"], 1, "counted")
    answer = get(lab, VS_NO_UPGRADE, "/chat", **ask)
    checks.equal(answer.status, 426, "not enabled: the member is not asked to upgrade")


def slow_clients(checks, lab):
    """Slowloris, a body that does not come, a client that does not read, resets: each ends and is counted."""
    def timeouts():
        return sum(http_of(lab, name)["errors"]["client_timeouts"] for name in ("limited", "silent"))

    before = timeouts()
    silent, trickle, idle, deaf = (connect(lab, VS_LIMITED, **options) for options in
                                   ({}, {}, {}, {"receive_buffer": 4096}))
    body = connect(lab, VS_SILENT)
    started = time.monotonic()
    silent.send("GET / HTTP/1.1\r\nHost:")
    body.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
    deaf.send("GET /1m HTTP/1.1\r\nHost: x\r\n\r\n")
    trickle.send("GET / HTTP/1.1\r\nHost: x\r\nA: ")
    for _ in range(25):  # a byte now and then does not help
        trickle.send("a")
        if trickle.end != "open":
            break
        time.sleep(0.1)
    for what, connection in (("half a head", silent), ("a head in trickles", trickle), ("half a body", body)):
        answer = connection.answer()
        checks.equal((answer.status, connection.wait_end() != "open"), (408, True), f"{what}: 408")
    checks.equal(idle.wait_end(), "closed", "a connection without a request is closed")
    checks.ok(time.monotonic() - started < 10, "all within their times")
    checks.eventually(lambda: timeouts() == before + 4, 10,
                      "and a client that reads nothing is let go; all are counted",
                      lambda: http_of(lab, "limited")["errors"])
    for connection in (silent, trickle, body, idle, deaf):
        connection.socket.close()
    aborted = http_of(lab, "slow")["errors"]["aborted_by_client"]
    with connect(lab, VS_SLOW) as connection:
        connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.read()
        connection.reset()
    checks.eventually(lambda: http_of(lab, "slow")["errors"]["aborted_by_client"] == aborted + 1, 5,
                      "a client that resets in mid-response is counted")
    for cut in range(1, 40, 6):  # resets within a head, at several bytes
        with connect(lab, VS_PLAIN) as connection:
            connection.send("GET /seen HTTP/1.1\r\nHost: lab.test\r\n\r\n"[:cut])
            connection.reset()
    checks.equal(get(lab, VS_PLAIN).status, 200, "others are served as before")


def bad_servers(checks, lab):
    """Members that do not answer, send garbage, reset or end too early: 504 or 502, with the reason."""
    for name, address, status, words in (("silent", VS_SILENT, 504, "did not answer"),
                                         ("garbage", VS_GARBAGE, 502, ""), ("reset", VS_RESET, 502, "reset")):
        answer = get(lab, address)
        errors = errors_of(lab, name)
        checks.ok(answer.status == status and errors and errors[0]["status"] == status and words in errors[0]["reason"]
                  and errors[0]["member"] == f"{ODD_POD}:{odd_server.PORTS[name]}" and errors[0]["side"] == "response",
                  f"{name}: {status}, {errors[0]['reason'] if errors else 'no reason'}", f"{answer} {errors}")
    checks.ok(errors_of(lab, "garbage")[0]["offset"] >= len("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"),
              "garbage: at which byte", errors_of(lab, "garbage"))
    answer = get(lab, VS_SHORT)
    checks.ok(answer.status == 200 and answer.body == b"ten bytes." and answer.end == "reset",
              "less than it said: passed on, and the client learns of it by a reset", answer)
    checks.ok(errors_of(lab, "short"), "with its reason", errors_of(lab, "short"))


def many_idle(checks, lab):
    """Two thousand idle connections leave others untouched."""
    count = 2000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
    sockets = lab.client.namespace.sockets(count)
    try:
        for one in sockets:
            one.settimeout(10)
            one.connect((VS_PLAIN, 80))
        tcp = lab.sluice.json("show", "tcp")["tcp"]
        checks.ok(sum(worker["sessions"] for worker in tcp) >= count, f"{count} connections are open", tcp)
        statuses = collections.Counter(get(lab, VS_PLAIN).status for _ in range(50))
        checks.equal(dict(statuses), {200: 50}, "50 requests beside them")
        sockets[0].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        checks.ok(sockets[0].recv(100).startswith(b"HTTP/1.1 200"), "and an idle one is served when it asks")
    finally:
        for one in sockets:
            one.close()
    checks.eventually(lambda: sum(worker["sessions"] for worker in lab.sluice.json("show", "tcp")["tcp"]) < 100, 20,
                      "all are gone when the clients close")


def shown(checks, lab):
    """What people and Prometheus see of all that."""
    text = lab.sluice.show("show", "virtual", "limited")
    for words in ("HTTP Errors", "Bad Requests", "Client Timeouts", "Latency in ms", "First Byte", "p99"):
        checks.ok(words in text, f"show virtual: {words}", text)
    latency = http_of(lab, "plain")["latency"]["total"]
    checks.ok(0 < latency["p50_ms"] <= latency["p90_ms"] <= latency["p99_ms"] <= latency["max_ms"] and latency["count"] > 50,
              f"quantiles rise: {latency['p50_ms']}, {latency['p90_ms']}, {latency['p99_ms']}, {latency['max_ms']}", latency)
    text = lab.sluice.show("show", "errors")
    checks.ok("Offset" in text and "did not answer the request" in text, "show errors", text)
    tcp = lab.sluice.show("show", "tcp")
    checks.ok("Established" in tcp and "Accepts" in tcp, "show tcp", tcp)
    page = lab.lb.output("curl", "-s", "-m", "5", "http://127.0.0.1:9100/metrics")
    for line in (r'sluice_http_requests_total\{virtual="plain",partition="Common"\} \d+',
                 r'sluice_http_total_seconds_bucket\{virtual="plain",partition="Common",le="\+Inf"\} \d+',
                 r'sluice_http_errors_total\{virtual="limited",partition="Common",reason="bad_requests"\} [1-9]',
                 r'sluice_tcp_established_total\{worker="0"\} [1-9]', r"sluice_access_log_written_total [1-9]"):
        checks.ok(re.search(f"(?m)^{line}", page), f"Prometheus: {line}", page[:3000])


def member_killed(checks, lab, odd):
    """A member killed in mid-response ends its own exchanges only."""
    with connect(lab, VS_SLOW) as slow, connect(lab, VS_PLAIN) as other:
        slow.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        slow.read()
        checks.equal(other.get().status, 200, "another client is served before")
        odd.kill()
        checks.ok(slow.wait_end() in ("closed", "reset"), f"the client learns of it: {slow.end}")
        checks.equal(other.get().status, 200, "the other one is served on the same connection")
    errors = errors_of(lab, "slow")
    checks.ok(errors and errors[0]["side"] == "response" and errors[0]["member"] == f"{ODD_POD}:{odd_server.PORTS['slow']}",
              "show errors has it", errors)
    counts = http_of(lab, "slow")["errors"]
    checks.ok(counts["aborted_by_server"] + counts["bad_responses"] >= 1, "counted", counts)
    answer = get(lab, VS_SLOW)
    checks.equal(answer.status, 503, "the next request finds nobody")
    drops = lab.sluice.json("show", "drops")
    checks.equal(drops["total"], sum(reason["count"] for reason in drops["reasons"]), "every drop has its reason")
    checks.ok(lab.sluice.running(), "sluiced runs", lab.sluice.process.log())


if __name__ == "__main__":
    try:
        check.main(everything)
    except LabError as error:
        sys.exit(str(error))
