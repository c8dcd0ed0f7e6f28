#!/usr/bin/env python3
"""A hostile D-Bus client: bus.py SOCKET ATTACK [COUNT]. It becomes the user 65534 (except for "inhibit"), speaks the wire protocol itself,
and shares no code with the agent.

It prints one line of JSON about the replies that it got. With "held" on its own line it says that it has attacked and waits for
its standard input to close.
"""
import array
import json
import os
import socket
import struct
import sys
import threading
import time

NAME, PATH = "org.upgradelink.Agent1", "/org/upgradelink/Agent1"
DRIVER = "org.freedesktop.DBus"


def pad(data, size):
    return data + b"\0" * (-len(data) % size)


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        user = str(os.getuid()).encode().hex().encode()
        self.socket.sendall(b"\0AUTH EXTERNAL " + user + b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        answer = b""
        while b"AGREE_UNIX_FD" not in answer:
            answer += self.socket.recv(1)
        self.socket.recv(2)
        self.serial = 0
        self.data = b""
        self.files = []
        self.call(DRIVER, "/org/freedesktop/DBus", DRIVER, "Hello")
        self.reply(self.serial)

    def message(self, destination, path, interface, member, signature="", body=b"", descriptors=0):
        self.serial += 1
        fields = b""
        for code, kind, value in ((1, "o", path), (6, "s", destination), (2, "s", interface), (3, "s", member)):
            if value:
                fields = pad(fields, 8) + bytes([code, 1]) + kind.encode() + b"\0" + string(value)
        if signature:
            fields = pad(fields, 8) + bytes([8, 1]) + b"g\0" + bytes([len(signature)]) + signature.encode() + b"\0"
        if descriptors:
            fields = pad(fields, 8) + bytes([9, 1]) + b"u\0" + pad(b"", 4) + struct.pack("<I", descriptors)
        head = struct.pack("<cBBBIII", b"l", 1, 0, 1, len(body), self.serial, len(fields)) + fields
        return pad(head, 8) + body

    def call(self, *arguments, files=(), **named):
        data = self.message(*arguments, descriptors=len(files), **named)
        if files:
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))]
            sent = self.socket.sendmsg([data], passed)
            data = data[sent:]
        self.socket.sendall(data)
        return self.serial

    def agent(self, member, signature="", body=b"", files=(), interface=NAME):
        return self.call(NAME, PATH, interface, member, signature, body, files=files)

    def receive(self):
        """The next message: its type, the serial it replies to, and its error name."""
        while True:
            if len(self.data) >= 16:
                kind = self.data[1]
                body, _, fields = struct.unpack("<III", self.data[4:16])
                size = 16 + fields + (-fields % 8) + body
                if len(self.data) >= size:
                    head, content = self.data[16:16 + fields], self.data[size - body:size]
                    self.data = self.data[size:]
                    return kind, *self.header(head), content
            data, files, _, _ = socket.recv_fds(self.socket, 1 << 16, 16)
            self.files += files
            if not data:
                raise EOFError
            self.data += data

    def header(self, fields):
        serial, error, at = None, None, 0
        while at < len(fields):
            at += -at % 8
            code, kind = fields[at], fields[at + 2:at + 3]
            at += 4
            if kind == b"u":
                at += -at % 4
                value, at = struct.unpack("<I", fields[at:at + 4])[0], at + 4
            elif kind == b"g":
                size = fields[at]
                value, at = fields[at + 1:at + 1 + size].decode(), at + size + 2
            else:
                at += -at % 4
                size = struct.unpack("<I", fields[at:at + 4])[0]
                value, at = fields[at + 4:at + 4 + size].decode(), at + size + 5
            if code == 5:
                serial = value
            if code == 4:
                error = value
        return serial, error

    def reply(self, serial):
        """The name of the error, or "" for a success."""
        while True:
            kind, answered, error, _ = self.receive()
            if answered == serial:
                return error or ""


def nested(path):
    """Descriptors in all places where they do not belong."""
    client = Client(path)
    results = {}
    calls = [
        ("Check", "ah", struct.pack("<II", 4, 0), 1),
        ("Check", "aah", struct.pack("<III", 8, 4, 0), 1),
        ("Check", "(h)", struct.pack("<I", 0), 1),
        ("Check", "v", b"\1h\0\0" + struct.pack("<I", 0), 1),
        ("Check", "v", b"\2ah\0" + struct.pack("<II", 4, 0), 1),
        ("Check", "a{sv}", pad(struct.pack("<I", 16), 8) + string("a") + b"\1h\0" + bytes(3) + bytes(4), 1),
        ("Check", "", b"", 2),
        ("History", "", b"", 2),
        ("Accept", "ts", struct.pack("<Q", 2) + string("now"), 2),
        ("SetSpeedLimit", "h", struct.pack("<I", 0), 1),
        ("Nonsense", "hhhh", struct.pack("<IIII", 0, 1, 0, 1), 2),
        ("InstallDescriptor", "hhh", struct.pack("<III", 0, 1, 1), 2),
        ("InstallDescriptor", "h", struct.pack("<I", 0), 2),
        ("InstallDescriptor", "ah", struct.pack("<III", 8, 0, 1), 2),
        ("InstallDescriptor", "hh", struct.pack("<II", 0, 1), 2),
        ("InstallDescriptor", "hh", struct.pack("<II", 0, 0), 1),
    ]
    for member, signature, body, count in calls * COUNT:
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(count)]
        error = client.reply(client.agent(member, signature, body, files))
        for file in files:
            os.close(file)
        results.setdefault(error.split(".")[-1], 0)
        results[error.split(".")[-1]] += 1
    return results


def large(path):
    """Messages of 30 MB."""
    client = Client(path)
    size = 30 << 20
    numbers = struct.pack("<I", size) + bytes(size)
    names = pad(string("x"), 4) * (1 << 20) + string("x")
    text = string(b"x" * size)
    calls = [
        ("Check", "ay", numbers, NAME), ("Nonsense", "ay", numbers, NAME),
        ("Check", "as", struct.pack("<I", len(names)) + names, NAME),
        ("Accept", "ts", struct.pack("<Q", 2) + text, NAME),
        ("Inhibit", "sss", pad(string("install"), 4) + pad(string("w"), 4) + text, NAME),
        ("InstallFile", "s", string(b"/" + b"x" * size), NAME),
        ("Get", "ss", pad(string(NAME), 4) + text, "org.freedesktop.DBus.Properties"),
        ("Set", "ssv", pad(string(NAME), 4) + pad(string("State") + b"\2ay\0", 4) + numbers,
         "org.freedesktop.DBus.Properties"),
    ]
    results = {}
    for member, signature, body, interface in calls:
        results[f"{member} {signature}"] = client.reply(client.agent(member, signature, body, interface=interface))
    return results


def flood(path):
    """Calls with descriptors from several connections, none of which is authorized; replies are read by another thread."""
    counts, lock = {}, threading.Lock()

    def attack():
        client = Client(path)

        def read():
            try:
                for _ in range(COUNT):
                    kind, _, error, _ = client.receive()
                    with lock:
                        name = (error or "").split(".")[-1]
                        counts[name] = counts.get(name, 0) + 1
            except (EOFError, OSError):
                pass

        reader = threading.Thread(target=read)
        reader.start()
        files = [os.open("/dev/null", os.O_RDONLY) for _ in range(2)]
        try:
            for number in range(COUNT):
                if number % 2:
                    client.agent("InstallDescriptor", "hh", struct.pack("<II", 0, 1), files)
                else:
                    client.agent("Check")
        except OSError:
            pass
        reader.join()

    threads = [threading.Thread(target=attack) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return counts


def deaf(path):
    """Questions from two connections whose replies are not read: more than the bus keeps of the agent's messages (127 MB). It
    permits 128 open questions for a connection, so they come in batches."""
    clients = [Client(path) for _ in range(2)]
    question = clients[0].message(NAME, PATH, "org.freedesktop.DBus.Introspectable", "Introspect")
    sent = 0
    try:
        for first in range(10, COUNT, 100):
            for client in clients:
                client.socket.settimeout(2)
                serials = range(first, first + 100)
                client.socket.sendall(b"".join(question[:8] + struct.pack("<I", n) + question[12:] for n in serials))
                sent += 100
            time.sleep(0.02)
    except TimeoutError:
        pass
    print("held", flush=True)
    sys.stdin.read()
    return {"sent": sent}


def headers(path):
    """Headers that name nothing, or something else."""
    client = Client(path)
    results = {}
    for name, interface, member in [
        ("no interface", "", "Check"), ("other interface", "org.example.Other", "Check"),
        ("properties", "org.freedesktop.DBus.Properties", "Check"), ("no such", NAME, "Explode"),
        ("lower case", NAME, "check"), ("long", NAME, "x" * 255), ("peer", "org.freedesktop.DBus.Peer", "Ping"),
    ]:
        results[name] = client.reply(client.agent(member, interface=interface)).split(".")[-1]
    return results


def inhibit(path):
    """Inhibitors whose descriptors stay open."""
    client = Client(path)
    results, body = {}, b""
    for text in ("install", "x", "y"):
        body = pad(body, 4) + string(text)
    for _ in range(COUNT):
        error = client.reply(client.agent("Inhibit", "sss", body))
        name = error.split(".")[-1]
        results[name] = results.get(name, 0) + 1
    print(len(client.files), flush=True)
    return results


ATTACKS = {"nested": nested, "large": large, "flood": flood, "deaf": deaf, "headers": headers, "inhibit": inhibit}
if sys.argv[2] != "inhibit":
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
COUNT = int(sys.argv[3]) if len(sys.argv) > 3 else 1
print(json.dumps(ATTACKS[sys.argv[2]](sys.argv[1])))
