#!/usr/bin/env python3
"""The hostile owner of a staged artifact, from which the installer takes it over.

    adoption.py USER STAGING NAME

becomes USER, and carries out the commands that come through the socket that is its standard input, one on each line. The reply to
each is one line: "done", or the name of the error. See docs/security.md.
"""

import errno
import mmap
import os
import socket
import struct
import sys

user, staging, name = int(sys.argv[1]), sys.argv[2], sys.argv[3]
os.setgid(user)
os.setuid(user)
os.chdir(staging)

EVIL = b"forged content\n"
held = {}


def acl():
    """An access control list that lets this user write to the file (acl(5), version 2)."""
    entry = lambda tag, permissions, who: struct.pack("<HHI", tag, permissions, who)
    everybody = 0xFFFFFFFF
    return struct.pack("<I", 2) + b"".join(
        [
            entry(0x01, 6, everybody),
            entry(0x02, 6, user),
            entry(0x04, 4, everybody),
            entry(0x10, 6, everybody),
            entry(0x20, 4, everybody),
        ]
    )


def other(content=EVIL):
    with open("other", "wb") as file:
        file.write(content)


def overwrite(descriptor):
    os.pwrite(descriptor, EVIL, 0)


def write_map():
    held["map"][: len(EVIL)] = EVIL
    held["map"].flush()


def swap():
    os.rename(name, "hidden")
    other()
    os.rename("other", name)


def open_map():
    descriptor = os.open(name, os.O_RDWR)
    held["map"] = mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
    os.close(descriptor)


commands = {
    "open to read": lambda: held.update(read=os.open(name, os.O_RDONLY)),
    "open to write": lambda: held.update(write=os.open(name, os.O_WRONLY | os.O_NONBLOCK)),
    "close": lambda: os.close(held.pop("write")),
    "map": open_map,
    "unmap": lambda: held.pop("map").close(),
    "write": lambda: overwrite(held["write"]),
    "write to the map": write_map,
    "open again": lambda: overwrite(os.open(f"/proc/self/fd/{held['read']}", os.O_WRONLY | os.O_NONBLOCK)),
    "change the mode": lambda: os.fchmod(held["read"], 0o666),
    "change the owner": lambda: os.fchown(held["read"], user, user),
    "truncate": lambda: os.truncate(name, 3),
    "truncate what is open": lambda: os.truncate(f"/proc/self/fd/{held['read']}", 3),
    "link": lambda: os.link(name, "second"),
    "link what is open": lambda: os.link(f"/proc/self/fd/{held['read']}", "second", follow_symlinks=True),
    "rename": lambda: os.rename(name, "hidden"),
    "swap": swap,
    "copy over": lambda: (other(), os.rename("other", name)),
    "replace with a link": lambda: (os.rename(name, "hidden"), os.symlink("hidden", name)),
    "remove": lambda: os.unlink(name),
    "allow by list": lambda: os.setxattr(name, "system.posix_acl_access", acl()),
    "allow by list what is open": lambda: os.setxattr(held["read"], "system.posix_acl_access", acl()),
    "set an attribute": lambda: os.setxattr(name, "user.note", b"x"),
}

with socket.socket(fileno=os.dup(0)) as connection, connection.makefile("rw") as lines:
    print("ready", file=lines, flush=True)
    for line in lines:
        try:
            commands[line.strip()]()
            reply = "done"
        except OSError as error:
            reply = errno.errorcode[error.errno]
        except (KeyError, ValueError) as error:
            reply = f"{type(error).__name__} {error}"
        print(reply, file=lines, flush=True)
