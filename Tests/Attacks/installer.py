#!/usr/bin/env python3
"""Attacks the installer as a client that shares no code with it.

    installer.py TARGET ATTACK [ARGUMENTS...]

TARGET is the path of the installer socket, or "-" and the installer's command line between "{" and "}": the installer then gets
one end of a socket as its standard input. Each attack prints one line of JSON about what it saw. See docs/security.md.
"""

import array
import json
import os
import select
import socket
import subprocess
import sys
import time


class Target:
    def __init__(self, words):
        self.path = None
        self.command = None
        self.processes = []
        first = words.pop(0)
        if first == "-":
            assert words.pop(0) == "{"
            end = words.index("}")
            self.command = words[:end]
            del words[: end + 1]
        else:
            self.path = first

    def connect(self, blocking=True):
        if self.command:
            ours, theirs = socket.socketpair()
            process = subprocess.Popen(self.command, stdin=theirs, stdout=theirs)
            self.processes.append(process)
            theirs.close()
            return ours
        connection = socket.socket(socket.AF_UNIX)
        connection.setblocking(blocking)
        connection.connect(self.path)
        return connection


def send(connection, data, descriptors=()):
    control = []
    if descriptors:
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors).tobytes())]
    sent = connection.sendmsg([data], control)
    try:
        connection.sendall(data[sent:])
    except OSError:
        # The installer has refused it already.
        pass


def reports(connection, seconds=60):
    """Everything that the installer sends until it closes."""
    connection.settimeout(seconds)
    data = b""
    try:
        while True:
            part = connection.recv(65536)
            if not part:
                break
            data += part
    except OSError as error:
        # The installer closed before it had read everything.
        if not data:
            return [{"error": str(error)}]
    return [json.loads(line) for line in data.splitlines() if line]


def result(connection, seconds=60):
    found = reports(connection, seconds)
    return found[-1] if found else None


def job(number, code, sidecar, **changes):
    offer = {
        "urlKey": "device", "versionCode": code, "versionName": "v%d" % code, "urlPath": "http://h/f",
        "upgradeType": {"silent": {}}, "promptUpgradeContent": "",
    }
    offer.update(changes)
    return {"install": {"_0": {"id": number, "offer": offer, "sidecar": sidecar}}}


def line(message):
    # The escape that doubles a slash is legal JSON.
    return json.dumps(message).replace("/", "\\/").encode() + b"\n"


def install(target, code, artifact, **changes):
    connection = target.connect()
    with open(artifact + ".minisig") as file:
        sidecar = file.read()
    sidecar = changes.pop("sidecar", sidecar)
    number = changes.pop("id", code)
    with open(artifact, "rb") as file:
        send(connection, line(job(number, code, sidecar, **changes)), [file.fileno()])
    return connection


def attack_send(target, text):
    """Sends one line, and prints the last report."""
    connection = target.connect()
    try:
        connection.sendall(text.encode() + b"\n")
    except OSError:
        pass
    return {"result": result(connection)}


def attack_long(target, count):
    return attack_send(target, "x" * int(count))


def attack_descriptors(target, artifact, code, extra, count):
    """An installation whose request passes the artifact and many more files, in one message and in several."""
    connection = target.connect()
    with open(artifact + ".minisig") as file:
        sidecar = file.read()
    data = line(job(int(code), int(code), sidecar))
    files = [open(artifact, "rb")] + [open(extra, "rb") for _ in range(int(count))]
    numbers = [file.fileno() for file in files]
    send(connection, data[:10], numbers[:2])
    send(connection, data[10:20], numbers[:1])
    # Two in one message leaked one of them, and the most that one message can have did too.
    send(connection, data[20:], numbers[1:][:253])
    return {"result": result(connection)}


def attack_uninvited(target, extra, text):
    """Files with a request that takes none; the installer is waiting for its directory meanwhile."""
    connection = target.connect()
    file = open(extra, "rb")
    send(connection, text.encode() + b"\n", [file.fileno()] * 2)
    print(json.dumps({"pid": target.processes[0].pid}), flush=True)
    try:
        send(connection, b"more\n", [file.fileno()] * 200)
    except OSError:
        pass
    return {"result": result(connection)}


def attack_slow(target, pause):
    """A byte of a request now and then, without an end."""
    connection = target.connect()
    start = time.monotonic()
    while time.monotonic() - start < 60:
        try:
            connection.send(b"{")
        except OSError:
            break
        ready, _, _ = select.select([connection], [], [], float(pause))
        if ready:
            break
    return {"seconds": time.monotonic() - start, "result": result(connection, 5)}


def attack_deaf(target, artifact, code, seconds):
    """An installation whose reports are never read."""
    connection = install(target, int(code), artifact)
    time.sleep(float(seconds))
    return {"connected": connection.fileno() >= 0}


def become(user):
    if int(user):
        os.setresuid(int(user), int(user), int(user))


def attack_flood(target, count, user):
    """Connects as often as it can, as this user, and leaves at once."""
    become(user)
    connected = refused = 0
    start = time.monotonic()
    for _ in range(int(count)):
        try:
            target.connect(blocking=False).close()
            connected += 1
        except OSError:
            refused += 1
    return {"connected": connected, "refused": refused, "seconds": time.monotonic() - start}


def attack_occupy(target, count, user):
    """Requests that make no sense, as this user, as many as the installer takes."""
    become(user)
    seen = []
    for _ in range(int(count)):
        try:
            connection = target.connect()
            connection.sendall(b"nonsense\n")
        except OSError:
            continue
        seen.append(connection)
    return {"results": [result(connection) for connection in seen]}


def attack_text(target, artifact, code, field, count):
    """A job with a very long text, doubled by the escapes of JSON. The fields are those of a job and its offer."""
    text = {"sidecar": "\x01", "promptUpgradeContent": "e" + "\U0001D165" * 7}.get(field, "/") * int(count)
    return {"result": result(install(target, int(code), artifact, **{field: text}))}


def attack_install(target, artifact, code):
    return {"result": result(install(target, int(code), artifact))}


def main():
    words = sys.argv[1:]
    target = Target(words)
    name = words.pop(0)
    print(json.dumps(globals()["attack_" + name](target, *words)), flush=True)


main()
