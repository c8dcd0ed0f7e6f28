#!/usr/bin/python3
"""A taken-over agent: owns org.upgradelink.Agent1 and answers with whatever an attacker may choose.

It speaks the D-Bus wire protocol itself and shares no code with upgradelinkd.

    agent.py SOCKET MODE [VALUE]

MODE is one of
  hostile      every text contains control, bidirectional and invisible characters; every error too
  huge         texts of megabytes, and thousands of entries
  flood        hostile, and PropertiesChanged without a pause
  type NAME    the property NAME has another type; "GetAll", "History" and "Inhibit": the reply has another type;
               "empty": replies have no content
  drop COUNT   ends the connection instead of each of the first COUNT replies
  hold COUNT SECONDS   no agent: holds COUNT connections to the bus for this time
  hang         never replies
  former       no attack: the types of 0.2.0, with harmless values
"""
import os
import socket
import struct
import sys
import time

NAME = "org.upgradelink.Agent1"
PATH = "/org/upgradelink/Agent1"
DRIVER = "org.freedesktop.DBus"

# Terminal commands, C1 controls, line breaks, bidirectional marks, zero-width characters, separators, tags, fillers.
HOSTILE = (
    "a\x1b]0;owned\x07b\x1b[2J\x1b[31mc\x9b5md\re\x08f\x7fg\nh\tForged: line\x85i\u2028j\u2029k\u061cl\u200em\u200fn"
    "\u202ao\u202bp\u202cq\u202dr\u202es\u2066t\u2067u\u2068v\u2069w\u200bx\u200cy\u200dz\ufeffA\u2060B\U000e0041C"
    "\U000e007fD\u115fE\u3164F\u034fG\ue000H\ufff9I\U0001f600J"
)


def align(data, boundary):
    return data + b"\0" * (-len(data) % boundary)


BOUNDARY = {"y": 1, "g": 1, "v": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "s": 4, "o": 4, "a": 4, "h": 4}


def first_type(signature):
    if signature[0] == "a":
        return "a" + first_type(signature[1:])
    if signature[0] not in "({":
        return signature[0]
    depth = 0
    for index, character in enumerate(signature):
        depth += (character in "({") - (character in ")}")
        if depth == 0:
            return signature[: index + 1]
    raise ValueError(signature)


def types(signature):
    while signature:
        one = first_type(signature)
        yield one
        signature = signature[len(one):]


def marshal(signature, values, data=b""):
    """Appends values to data. A variant is a pair of a signature and a value."""
    for kind, value in zip(types(signature), values):
        data = align(data, BOUNDARY.get(kind[0], 8))
        if kind in "so":
            raw = value.encode()
            data += struct.pack("<I", len(raw)) + raw + b"\0"
        elif kind == "g":
            data += bytes([len(value)]) + value.encode() + b"\0"
        elif kind[0] in "({":
            data = marshal(kind[1:-1], value, data)
        elif kind[0] == "v":
            data = marshal(value[0], [value[1]], marshal("g", [value[0]], data))
        elif kind[0] == "a":
            element = kind[1:]
            data += b"\0\0\0\0"
            at = len(data)
            data = align(data, BOUNDARY.get(element[0], 8))
            start = len(data)
            # Built on their own, so that long arrays do not copy everything for each element.
            inner = b"\0" * (start % 8)
            shift = len(inner)
            pieces = []
            for item in value:
                piece = marshal(element, [item], inner[: shift] if not pieces else b"\0" * (shift % 8))
                piece = piece[shift if not pieces else shift % 8:]
                pieces.append(piece)
                shift += len(piece)
            data += b"".join(pieces)
            data = data[: at - 4] + struct.pack("<I", len(data) - start) + data[at:]
        else:
            data += struct.pack("<" + {"y": "B", "b": "I", "u": "I", "i": "i", "t": "Q", "x": "q", "d": "d"}[kind], value)
    return data


def unmarshal_string(data, at):
    at += -at % 4
    (length,) = struct.unpack_from("<I", data, at)
    return data[at + 4: at + 4 + length].decode(errors="replace"), at + 5 + length


class Connection:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        assert self.line().startswith(b"OK")
        # Files that are passed are dropped by the system, because nothing receives them.
        self.socket.sendall(b"NEGOTIATE_UNIX_FD\r\n")
        assert self.line().startswith(b"AGREE")
        self.socket.sendall(b"BEGIN\r\n")
        self.serial = 0
        self.buffer = b""

    def line(self):
        line = b""
        while not line.endswith(b"\r\n"):
            byte = self.socket.recv(1)
            if not byte:
                raise EOFError
            line += byte
        return line

    def send(self, kind, fields, signature="", values=(), flags=1):
        """Fields are (code, signature, value): D-Bus specification, "Header Fields"."""
        body = marshal(signature, values)
        if signature:
            fields = fields + [(8, "g", signature)]
        self.serial += 1
        head = struct.pack("<cBBBII", b"l", kind, flags, 1, len(body), self.serial)
        head = marshal("a(yv)", [[(code, (form, value)) for code, form, value in fields]], head)
        self.socket.sendall(align(head, 8) + body)
        return self.serial

    def call(self, path, interface, member, destination, signature="", values=()):
        fields = [(1, "o", path), (2, "s", interface), (3, "s", member), (6, "s", destination)]
        return self.send(1, fields, signature, values, flags=0)

    def signal(self, path, interface, member, signature="", values=()):
        return self.send(4, [(1, "o", path), (2, "s", interface), (3, "s", member)], signature, values)

    def reply(self, message, signature="", values=()):
        return self.send(2, [(5, "u", message["serial"]), (6, "s", message[7])], signature, values)

    def fail(self, message, name, text):
        return self.send(3, [(5, "u", message["serial"]), (6, "s", message[7]), (4, "s", name)], "s", [text])

    def fill(self, count):
        while len(self.buffer) < count:
            more = self.socket.recv(65536)
            if not more:
                raise EOFError
            self.buffer += more

    def receive(self):
        """A message as its type, its serial number and its header fields by code."""
        self.fill(16)
        kind = self.buffer[1]
        body_length, serial, fields_length = struct.unpack_from("<III", self.buffer, 4)
        start = 16 + fields_length + -(16 + fields_length) % 8
        self.fill(start + body_length)
        message = {"type": kind, "serial": serial}
        at = 16
        while at < 16 + fields_length:
            at += -at % 8
            code, form = self.buffer[at], chr(self.buffer[at + 2])
            at += 4
            if form in "so":
                message[code], at = unmarshal_string(self.buffer, at)
            elif form == "g":
                length = self.buffer[at]
                message[code] = self.buffer[at + 1: at + 1 + length].decode()
                at += length + 2
            else:
                at += -at % 4
                (message[code],) = struct.unpack_from("<I", self.buffer, at)
                at += 4
        self.buffer = self.buffer[start + body_length:]
        return message

    def await_reply(self, serial):
        while True:
            message = self.receive()
            if message["type"] in (2, 3) and message.get(5) == serial:
                return message

    def hello(self):
        message = self.await_reply(self.call("/org/freedesktop/DBus", DRIVER, "Hello", DRIVER))
        return message["type"] == 2


def properties(text, inhibitors):
    return {
        "State": ("s", "consent"),
        "StatusText": ("s", text),
        "InstalledVersion": ("(ts)", (2**64 - 1, text)),
        "Offer": ("a{sv}", [
            ("versionCode", ("t", 2**63)), ("versionName", ("s", text)), ("upgradeType", ("s", text)),
            ("text", ("s", text)), ("size", ("t", 2**64 - 1)), ("source", ("s", text)), (text[:200], ("s", text)),
        ]),
        "Progress": ("(ttt)", (2**64 - 1, 2**64 - 1, 2**64 - 1)),
        "NextCheck": ("t", 2**64 - 1),
        "LastCheck": ("t", 1),
        "LastError": ("s", text),
        "Deadline": ("t", 2**64 - 1),
        "DeferralsLeft": ("u", 2**32 - 1),
        "SpeedLimit": ("t", 2**64 - 1),
        "LastErrorCode": ("s", text),
        "Inhibitors": ("aa{sv}", [texts(text, "what", "who", "why")] * inhibitors),
        "RefusedVersions": ("aa{sv}", [
            [("versionCode", ("t", 2**64 - 1)), ("failures", ("t", 2**64 - 1))]
            + texts(text, "versionName", "reason", "reasonCode") + [("why", ("s", why))]
            for why in ("rejected", "blocked", text)
        ]),
    }


def texts(text, *names):
    return [(name, ("s", text)) for name in names]


FORMER = {
    "State": ("s", "consent"),
    "StatusText": ("s", "Waiting for consent"),
    "InstalledVersion": ("(ts)", (1, "v1")),
    "Offer": ("(tssst)", (2, "v2", "prompt", "Better", 10_240)),
    "Progress": ("(ttt)", (0, 0, 0)),
    "NextCheck": ("t", 1_800_000_000),
    "LastCheck": ("t", 0),
    "LastError": ("s", "it failed"),
    "Deadline": ("t", 0),
    "DeferralsLeft": ("u", 3),
    "SpeedLimit": ("t", 0),
    "Inhibitors": ("a(sss)", [("install", "TV", "a film")]),
    "Warnings": ("as", []),
    "InstallsAtBoot": ("b", 0),
}
FORMER_ATTEMPT = (1, "v1", "silent", 1_700_000_000, 1_700_000_004, 10_240, "rolledBack", "no")


class Agent:
    def __init__(self, path, mode, value):
        self.path, self.mode, self.value = path, mode, value
        self.drops = int(value) if mode == "drop" else 0
        self.answers = 0
        self.is_huge = mode == "huge"
        self.text = "\u202e\x1b[2J" + "x" * 2_000_000 if self.is_huge else HOSTILE
        self.connect()

    def connect(self):
        self.bus = Connection(self.path)
        assert self.bus.hello()
        call = self.bus.call("/org/freedesktop/DBus", DRIVER, "RequestName", DRIVER, "su", [NAME, 4])
        assert self.bus.await_reply(call)["type"] == 2, "the name cannot be owned"

    def answer(self, message):
        member = message.get(3)
        wrong = self.value if self.mode == "type" else None
        if self.mode == "hang":
            return
        if self.drops > 0:
            self.drops -= 1
            self.bus.socket.close()
            return self.connect()
        if wrong == "empty":
            return self.bus.reply(message)
        if self.mode == "former" and member == "GetAll":
            return self.bus.reply(message, "a{sv}", [list(FORMER.items())])
        if self.mode == "former" and member == "History":
            return self.bus.reply(message, "a(tsstttss)", [[FORMER_ATTEMPT]])
        if member == "GetAll":
            if wrong == "GetAll":
                return self.bus.reply(message, "s", [HOSTILE])
            values = properties(self.text, 2)
            if self.is_huge:
                values["Inhibitors"] = ("aa{sv}", [texts("x", "what", "who", "why")] * 20_000)
                values["RefusedVersions"] = ("aa{sv}", [[("why", ("s", "blocked"))]] * 5_000)
            if self.mode == "flood":
                self.answers += 1
                values["StatusText"] = ("s", f"{self.answers} {self.text}")
            if self.mode == "without":
                del values[self.value]
            if wrong in values:
                values[wrong] = ("u", 7) if values[wrong][0] == "s" else ("s", HOSTILE)
            return self.bus.reply(message, "a{sv}", [list(values.items())])
        if member == "History":
            if wrong == "History":
                return self.bus.reply(message, "a(ts)", [[(1, HOSTILE)]])
            short = "x" * 20_000 if self.is_huge else self.text
            entry = texts(short, "versionName", "upgradeType", "result", "reason", "reasonCode")
            entry += [(name, ("t", 2**64 - 1)) for name in ("versionCode", "started", "bytes")] + [("ended", ("t", 5))]
            return self.bus.reply(message, "aa{sv}", [[entry] * (100 if self.is_huge else 5)])
        if member == "Inhibit" and wrong == "Inhibit":
            return self.bus.reply(message, "s", [HOSTILE])
        self.bus.fail(message, NAME + ".Error.NotNow", self.text)

    def serve(self):
        print("ready", flush=True)
        if self.mode == "flood":
            self.bus.socket.settimeout(0.001)
        number = 0
        while True:
            try:
                message = self.bus.receive()
                if message["type"] == 1:
                    self.answer(message)
            except TimeoutError:
                number += 1
                changes = {"StatusText": ("s", HOSTILE + str(number))}
                for _ in range(50):
                    self.bus.socket.settimeout(None)
                    self.bus.signal(
                        PATH, DRIVER + ".Properties", "PropertiesChanged", "sa{sv}as",
                        [NAME, list(changes.items()), []])
                self.bus.socket.settimeout(0.001)


def hold(path, count, seconds):
    connections = []
    for _ in range(count):
        connection = Connection(path)
        if not connection.hello():
            break
        connections.append(connection)
    print("ready", flush=True)
    time.sleep(seconds)
    for connection in connections:
        connection.socket.close()
    time.sleep(60)


if __name__ == "__main__":
    _, path, mode, *rest = sys.argv
    if mode == "hold":
        hold(path, int(rest[0]), float(rest[1]))
    else:
        Agent(path, mode, rest[0] if rest else None).serve()
