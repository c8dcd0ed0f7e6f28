#!/usr/bin/python3
"""A prompt for upgradelinkd on the terminal, over D-Bus with GLib (Debian: python3-gi).

The user who runs it must be in the group upgradelink. See org.upgradelink.Agent1(5).
"""
import sys

from gi.repository import Gio, GLib

NAME, PATH = "org.upgradelink.Agent1", "/org/upgradelink/Agent1"
bus = Gio.bus_get_sync(Gio.BusType.SYSTEM)
loop = GLib.MainLoop()


def call(interface, method, signature, *arguments):
    # Without ALLOW_INTERACTIVE_AUTHORIZATION polkit asks for no password. -1 is GLib's own time limit.
    reply = bus.call_sync(
        NAME, PATH, interface, method, GLib.Variant(signature, arguments), None, Gio.DBusCallFlags.NONE, -1)
    return reply.unpack()


def read(name):
    return call("org.freedesktop.DBus.Properties", "Get", "(ss)", NAME, name)[0]


def ask():
    """Asks as long as the offered version needs consent. Returns whether the input continues.

    A dictionary may have more fields in later versions.
    """
    while read("State") == "consent" and (offer := read("Offer")):
        code, left = offer["versionCode"], read("DeferralsLeft")
        print(f"Update to {offer['versionName']} ({offer['size']} bytes, from the {offer['source']})")
        print(offer["text"])
        print(f"[n]ow, next [w]indow, [l]ater ({left} left), ne[v]er? ", end="", flush=True)
        answer = sys.stdin.readline()
        if not answer:
            return False
        try:
            match answer.strip():
                case "n": call(NAME, "Accept", "(ts)", code, "now")
                case "w": call(NAME, "Accept", "(ts)", code, "window")
                case "l":
                    call(NAME, "Defer", "(tt)", code, 3600)
                    break
                case "v": call(NAME, "Reject", "(t)", code)
        except GLib.Error as error:
            # The offer was replaced, or the last deferral is used: the message says why.
            print(error.message)
    return True


def received(_connection, _sender, _path, _interface, signal, arguments):
    if signal == "ConsentRequested":
        if not ask():
            loop.quit()
    elif signal == "Finished":
        _code, name, result, reason, _reason_code = arguments.unpack()
        print(f"{name}: {result} {reason}", flush=True)


bus.signal_subscribe(NAME, NAME, None, PATH, None, Gio.DBusSignalFlags.NONE, received)
try:
    # The signal may be older than this program.
    has_input = ask()
except GLib.Error as error:
    print(f"waiting for upgradelinkd: {error.message}", file=sys.stderr)
    has_input = True
# A quit() before run() would have no effect.
if has_input:
    loop.run()
