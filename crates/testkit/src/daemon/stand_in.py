#!/usr/bin/env python3
"""Stands in for the polybmc program in the tests of the daemon harness: same arguments, one HTTP answer."""

import os
import signal
import socket
import sys

control = sys.argv[sys.argv.index("--control") + 1]
if "serve" not in sys.argv:
    print("asked:", " ".join(sys.argv[3:]))
    sys.exit(0)

with open(sys.argv[sys.argv.index("--config") + 1], encoding="utf-8") as file:
    config = file.read()
if "refuse" in config:
    print("polybmc.toml:1: refused", file=sys.stderr)
    sys.exit(1)
if "deaf" in config:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))

state = sys.argv[sys.argv.index("--state-dir") + 1]
os.makedirs(state, exist_ok=True)
with open(os.path.join(state, "starts"), "a", encoding="utf-8") as file:
    file.write("x")

if os.path.exists(control):
    os.unlink(control)
server = socket.socket(socket.AF_UNIX)
server.bind(control)
server.listen()
print("serving", " ".join(sys.argv), file=sys.stderr, flush=True)
while True:
    client, _ = server.accept()
    with client:
        client.recv(1024)
        client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
