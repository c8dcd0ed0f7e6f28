"""Compares the installed agent with other update agents in one run, and prints a table.

Usage: bench.py PROGRAMS-DIRECTORY [--quick] [--updates]
--updates measures whole updates only.
Each number is the median of five measurements (three with --quick), which alternate with the peer's.
"""

import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import updates
from peers import Bus, Daemon, Mender, Stub, SWUpdate, Upgradelinkd, free_port

PROGRAMS = os.path.abspath(sys.argv[1])
QUICK = "--quick" in sys.argv
ONLY_UPDATES = "--updates" in sys.argv
ROUNDS = 3 if QUICK else 5
SIZE = (64 if QUICK else 1024) << 20
HUGE = (256 if QUICK else 4096) << 20

rows = []


def say(text):
    print(text, file=sys.stderr, flush=True)


def row(what, ours, peer, theirs, unit, target="", met=None):
    # A negative difference of two measurements is noise, and has no ratio.
    if theirs is not None and theirs < 0:
        theirs = 0
    ratio = f"{ours / theirs:.2f}" if theirs else "–"
    mark = "" if met is None else " (met)" if met else " (**missed**)"
    theirs = f"{theirs:,.{digits(theirs)}f} {unit} ({peer})" if theirs is not None else f"– ({peer})"
    rows.append(f"| {what} | {ours:,.{digits(ours)}f} {unit} | {theirs} | {ratio} | {target}{mark} |")
    say(rows[-1])


def digits(number):
    return 0 if number >= 100 or number == 0 else 1 if number >= 10 else 2


def median(values):
    return statistics.median(values)


def run(command, **options):
    """Wall time and processor time in seconds, and the peak memory of one process in kB."""
    before = time.monotonic()
    process = subprocess.Popen(command, **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options})
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command}: exit status {process.returncode}")
    return time.monotonic() - before, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


# MARK: the agents

def in_turns(agents, measure):
    """The medians of each agent's measurements, by name. The agents alternate: other load affects all of them."""
    found = {agent.name: [] for agent in agents}
    for _ in range(ROUNDS):
        for agent in agents:
            found[agent.name].append(measure(agent))
    return {name: [median(column) for column in zip(*values)] for name, values in found.items()}


def start(agent, stub, interval=3600):
    """Starts an agent, and waits for its first poll."""
    before = stub.polls
    daemon = agent.start(interval)
    stub.wait_for_poll(before)
    return daemon


def idle(agent, stub):
    daemon = start(agent, stub)
    # Dispatch keeps a spare thread for five seconds after an event.
    time.sleep(8)
    memory = daemon.memory()
    before = daemon.wake_ups()
    time.sleep(6)
    # Threads that have ended were not idle, and are not counted.
    wakes = sum(count - before.get(task, 0) for task, count in daemon.wake_ups().items()) * 600
    daemon.stop()
    return *memory, wakes


def poll_cost(agent, stub):
    """Processor time of one poll in ms: that of a run with polls minus that of an equally long run without."""
    cost = {}
    for interval in (1, 3600):
        before = stub.polls
        daemon = start(agent, stub, interval)
        time.sleep(10)
        cost[interval] = (daemon.stop(), stub.polls - before)
    return [(cost[1][0] - cost[3600][0]) / max(cost[1][1] - cost[3600][1], 1) * 1000]


def first_poll(agent, stub):
    daemon = start(agent, stub)
    milliseconds = (time.monotonic() - daemon.started) * 1000
    daemon.stop()
    return [milliseconds]


def ready(agent, directory):
    times = []
    for _ in range(ROUNDS * 2):
        path = f"{directory}/notify"
        if os.path.exists(path):
            os.unlink(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.bind(path)
            notify.settimeout(10)
            agent.configure(3600, splay=600000)
            daemon = Daemon(
                [f"{PROGRAMS}/upgradelinkd", "--root", agent.directory],
                {"DBUS_SYSTEM_BUS_ADDRESS": agent.bus.address, "NOTIFY_SOCKET": path})
            while b"READY=1" not in notify.recv(65536):
                pass
            times.append((time.monotonic() - daemon.started) * 1000)
            daemon.stop()
    return median(times)


# MARK: downloads

class Files:
    """nginx with a file and its signature."""

    def __init__(self, directory):
        self.directory = f"{directory}/files"
        os.makedirs(self.directory)
        self.port = free_port()
        self.key = f"{directory}/key"
        subprocess.run(["minisign", "-GW", "-s", f"{self.key}.sec", "-p", f"{self.key}.pub"], check=True,
                       stdout=subprocess.DEVNULL)
        with open(f"{directory}/nginx.conf", "w") as file:
            file.write(f"""daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;
events {{}}
http {{ access_log off; sendfile on; client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2;
fastcgi_temp_path {directory}/t3; uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
server {{ listen 127.0.0.1:{self.port}; root {self.directory}; }} }}""")
        self.process = subprocess.Popen(
            ["nginx", "-p", directory, "-c", f"{directory}/nginx.conf", "-e", "stderr"], stderr=subprocess.DEVNULL)
        time.sleep(0.5)

    def make(self, name, size):
        path = f"{self.directory}/{name}"
        chance = random.Random(size)
        with open(path, "wb") as file:
            block = chance.randbytes(1 << 20)
            for number in range(size >> 20):
                file.write(number.to_bytes(8, "little") + block[8:])
        subprocess.run(["minisign", "-SHm", path, "-s", f"{self.key}.sec", "-t", "urlKey=k versionCode=2"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return f"http://127.0.0.1:{self.port}/{name}"

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Download:
    def __init__(self, files, directory, name, size):
        self.files, self.directory, self.size = files, f"{directory}/to", size
        self.url = files.make(name, size)
        with open(f"{files.key}.pub") as file:
            self.public_key = file.read().split("\n")[1]

    def job(self, priority):
        return json.dumps({"download": {"_0": {
            "offer": {"urlKey": "k", "versionName": "v2", "versionCode": 2, "urlPath": self.url,
                      "upgradeType": {"silent": {}}, "promptUpgradeContent": ""},
            "connection": {"url": "http://unused", "connectTimeout": 20, "requestTimeout": 60},
            "directory": self.directory, "speedLimit": 0, "sizeLimit": 1 << 40, "keepFree": 0, "lowSpeed": 0,
            "lowSpeedTime": 60, "priority": priority,
            "verification": {"mode": "minisign", "keys": [self.public_key], "sidecarURL": "{url}.minisig",
                             "requireVersionCode": True}}}}).encode() + b"\n"

    def clear(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        os.sync()

    def ours(self, resumed=False, priority=None):
        self.clear()
        if resumed:
            half = self.size // 2
            subprocess.run(["sh", "-c", f"head -c {half} {self.files.directory}/{self.url.rsplit('/', 1)[1]} "
                            f">{self.directory}/2.part"], check=True)
            with open("/proc/sys/kernel/random/boot_id") as file:
                boot = file.read().strip()
            status = os.stat(f"{self.files.directory}/{self.url.rsplit('/', 1)[1]}")
            with open(f"{self.directory}/2.part.json", "w") as file:
                json.dump({"origin": {"url": self.url, "validator": f'"{int(status.st_mtime):x}-{status.st_size:x}"',
                                      "total": self.size}, "synced": half, "bootID": boot}, file)
            os.sync()
        read, write = os.pipe()
        os.write(write, self.job(priority or {"ioClass": "idle", "nice": 10, "flushEvery": 4 << 20, "keepCache": 0}))
        result = run([f"{PROGRAMS}/upgradelink-fetch"], stdin=read)
        os.close(read)
        os.close(write)
        if not os.path.exists(f"{self.directory}/2.artifact"):
            raise RuntimeError("the download failed")
        return result

    def peer(self, resumed=False, sync=False):
        self.clear()
        target = f"{self.directory}/f"
        if resumed:
            subprocess.run(["sh", "-c", f"head -c {self.size // 2} {self.files.directory}/{self.url.rsplit('/', 1)[1]} "
                            f">{target}"], check=True)
            os.sync()
        command = (f"curl -sf {'-C -' if resumed else ''} -o {target} {self.url} && curl -sf -o {target}.minisig "
                   f"{self.url}.minisig && minisign -Vm {target} -P {self.public_key}" + (f" && sync {target}" if sync else ""))
        return run(["sh", "-c", command])


def compare(download, **options):
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(download.ours(**{key: value for key, value in options.items() if key != "sync"}))
        theirs.append(download.peer(**{key: value for key, value in options.items() if key != "priority"}))
    return [[median(column) for column in zip(*side)] for side in (ours, theirs)]


# MARK: whole updates

def whole_updates(directory):
    """From the start of the agent to the installed version, on a file system of its own."""
    files = Files(directory)
    bus = Bus(directory)
    try:
        update = updates.Updates(PROGRAMS, directory, files, bus, SIZE, ROUNDS)
        for label, measured in (
                (f"an update of a file of {SIZE >> 20} MiB", update.file),
                (f"an update of a directory, a tar of 20,000 files, {SIZE >> 21} MiB", update.archive),
                (f"an update of an image of {SIZE >> 20} MiB on a block device", update.image)):
            say(f"{label} …")
            found, size = measured()
            ours, theirs = found["ours"], found["theirs"]
            row(f"{label}: time", ours[0], "swupdate", theirs[0], "s", "≤ 0.8 ×", ours[0] <= 0.8 * theirs[0])
            row(f"{label}: processor", ours[1], "swupdate", theirs[1], "s", "≤ 0.8 ×", ours[1] <= 0.8 * theirs[1])
            megabytes = {who: [value / 1e6 for value in side] for who, side in found.items()}
            # A file system needs some blocks of its own for a large file.
            row(f"{label}: most extra disk space", megabytes["ours"][2], "swupdate", megabytes["theirs"][2], "MB",
                "≤ 1.0 × the artifact", ours[2] <= 1.001 * size)
            # An image is measured until the reboot, before the artifact is removed.
            if measured != update.image:
                row(f"{label}: extra disk space afterwards", megabytes["ours"][3], "swupdate", megabytes["theirs"][3], "MB",
                    "≤ SWUpdate's", ours[3] <= 1.001 * theirs[3] + 1e6)
            row(f"{label}: written to the disk", megabytes["ours"][4], "swupdate", megabytes["theirs"][4], "MB",
                "≤ 1.05 × the artifact", ours[4] <= 1.05 * size)
            for who, name in (("mender", "mender-client, single-file"), ("rauc", "curl, rauc, plain bundle")):
                if who not in found:
                    continue
                row(f"{label}: time", ours[0], name, found[who][0], "s")
                row(f"{label}: processor", ours[1], name, found[who][1], "s")
                row(f"{label}: most extra disk space", megabytes["ours"][2], name, megabytes[who][2], "MB")
                row(f"{label}: written to the disk", megabytes["ours"][4], name, megabytes[who][4], "MB")
    finally:
        bus.stop()
        files.stop()


# MARK: size

def size_of(paths):
    return sum(os.path.getsize(path) for path in paths) / 1e6


def package_size(*names):
    """The programs and libraries of a Debian package, in MB."""
    listed = subprocess.run(["dpkg", "-L", *names], capture_output=True, text=True, check=True).stdout.split("\n")
    return size_of([path for path in listed if os.path.isfile(path) and not os.path.islink(path)
                    and open(path, "rb").read(4) == b"\x7fELF"])


def main():
    directory = tempfile.mkdtemp(prefix="/var/tmp/upgradelink-bench.")
    if ONLY_UPDATES:
        try:
            whole_updates(directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        return table()
    stub = Stub()
    bus = Bus(directory)
    agent = Upgradelinkd(PROGRAMS, directory, stub, bus)
    agents = [agent, SWUpdate(directory, stub), Mender(directory, stub)]
    try:
        os.makedirs(f"{directory}/updates")
        whole_updates(f"{directory}/updates")
        say("idle …")
        found = in_turns(agents, lambda agent: idle(agent, stub))
        ours, swupdate, mender = (found[agent.name] for agent in agents)
        for name, theirs in (("swupdate", swupdate), ("mender-client", mender)):
            row("idle: PSS", ours[0], name, theirs[0], "kB", *(("below SWUpdate's", ours[0] < theirs[0])
                                                               if name == "swupdate" else ()))
            row("idle: private dirty", ours[1], name, theirs[1], "kB", *(("≤ 1,536 kB", ours[1] <= 1536)
                                                                         if name == "swupdate" else ()))
            row("idle: threads", ours[2], name, theirs[2], "", *(("≤ 2", ours[2] <= 2) if name == "swupdate" else ()))
            row("idle: wake-ups", ours[3], name, theirs[3], "/h", *(("none but the watchdog's", ours[3] == 0) if name == "swupdate" else ()))
        say("the cost of a poll …")
        found = in_turns(agents, lambda agent: poll_cost(agent, stub))
        for peer in agents[1:]:
            row("one poll: processor", found[agent.name][0], peer.name, found[peer.name][0], "ms")
        found = in_turns(agents, lambda agent: first_poll(agent, stub))
        for peer in agents[1:]:
            row("from exec to the first poll", found[agent.name][0], peer.name, found[peer.name][0], "ms")
        time_to_ready = ready(agent, directory)
        row("from exec to READY", time_to_ready, "–", None, "ms", "≤ 50 ms", time_to_ready <= 50)

        say("downloads …")
        files = Files(directory)
        try:
            download = Download(files, directory, "big", SIZE)
            name = "curl, minisign"
            label = f"download and verify {SIZE >> 20} MiB"
            normal = {"ioClass": "best-effort", "nice": 0, "flushEvery": 0, "keepCache": 1 << 62}
            ours, theirs = compare(download)
            row(f"{label}: time", ours[0], name, theirs[0], "s", "≤ 1.0 ×", ours[0] <= theirs[0])
            row(f"{label}: processor", ours[1], name, theirs[1], "s", "≤ 1.0 ×", ours[1] <= theirs[1])
            row(f"{label}: most memory", ours[2], name, theirs[2], "kB")
            ours, theirs = compare(download, sync=True)
            row(f"{label}, synced to the disk: time", ours[0], f"{name}, sync", theirs[0], "s", "≤ 1.0 ×", ours[0] <= theirs[0])
            ours, theirs = compare(download, resumed=True, sync=True)
            row(f"the same from the half: time", ours[0], f"{name}, sync", theirs[0], "s", "≤ 1.0 ×", ours[0] <= theirs[0])
            row(f"the same from the half: processor", ours[1], f"{name}, sync", theirs[1], "s", "≤ 1.0 ×", ours[1] <= theirs[1])
            ours, theirs = compare(download, priority=normal, sync=True)
            row(f"{label}, without low priority: time", ours[0], f"{name}, sync", theirs[0], "s")
            small = Download(files, directory, "small", 1 << 20)
            huge = Download(files, directory, "huge", HUGE)
            growth = huge.ours()[2] - small.ours()[2]
            peer_growth = huge.peer()[2] - small.peer()[2]
            row(f"memory of {HUGE >> 20} MiB over that of 1 MiB", growth, name, peer_growth, "kB", "≤ 4,096 kB", growth <= 4096)
        finally:
            files.stop()

        say("size …")
        program = size_of([os.path.realpath(f"{PROGRAMS}/upgradelinkd")])
        row("installed programs and private runtime", program, "swupdate and its library",
            package_size("swupdate", "libswupdate0.1"), "MB", "< 18.8 MB", program < 18.8)
        row("installed programs and private runtime", program, "mender-client", package_size("mender-client"), "MB")

        say("status …")
        control(agent, bus)
    finally:
        bus.stop()
        shutil.rmtree(directory, ignore_errors=True)
    table()


def table():
    print("| what | upgradelinkd | peer | ratio | target |\n|---|---:|---:|---:|---|")
    print("\n".join(rows))


def control(agent, bus):
    """The time of upgradelinkctl status, compared with busctl reading one property."""
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address}
    daemon = agent.start(3600)
    get = ["busctl", f"--address={bus.address}", "get-property", "org.upgradelink.Agent1", "/org/upgradelink/Agent1",
           "org.upgradelink.Agent1", "State"]
    while subprocess.run(get, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
        time.sleep(0.05)
    time.sleep(1)
    ours, theirs = [], []
    for _ in range(ROUNDS * 4):
        ours.append(run([f"{PROGRAMS}/upgradelinkctl", "status"], env=environment)[0] * 1000)
        theirs.append(run(get)[0] * 1000)
    row("upgradelinkctl status", median(ours), "busctl get-property", median(theirs), "ms")
    daemon.stop()


main()
