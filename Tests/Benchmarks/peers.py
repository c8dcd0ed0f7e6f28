"""A server that all three agents accept, and the agents, which poll it."""

import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time


class Stub:
    """Reports no update, in the protocols of UpgradeLink, hawkBit and Mender, and counts the polls."""

    def __init__(self):
        self.polls = 0
        self.sleep = "01:00:00"
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def respond(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, body = 200, b'{"code":0,"data":null}'
                if self.path.startswith("/v1/url/upgrade"):
                    stub.polls += 1
                elif "/controller/" in self.path:
                    stub.polls += 1
                    body = json.dumps({"config": {"polling": {"sleep": stub.sleep}}, "_links": {}}).encode()
                elif "/deployments/next" in self.path:
                    stub.polls += 1
                    status, body = 204, b""
                elif self.path.endswith("/auth_requests"):
                    body = b"token"
                self.send_response(status)
                if status != 204:
                    self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_PATCH = respond

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for_poll(self, before=0, limit=30):
        end = time.monotonic() + limit
        while self.polls <= before:
            if time.monotonic() > end:
                raise RuntimeError("no poll came")
            time.sleep(0.002)


class Daemon:
    """A process that is started and measured."""

    def __init__(self, command, environment=None, log=os.devnull):
        self.started = time.monotonic()
        with open(log, "wb") as errors:
            self.process = subprocess.Popen(
                command, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL, stdout=errors,
                stderr=errors, start_new_session=True)

    def pids(self):
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat") as file:
                    parents[int(name)] = int(file.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                pass
        tree = {self.process.pid}
        while True:
            more = {pid for pid, parent in parents.items() if parent in tree} - tree
            if not more:
                return sorted(tree)
            tree |= more

    def memory(self):
        """PSS and private dirty memory in kB, and threads, of the process and those it started."""
        pss = dirty = threads = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    for line in file:
                        if line.startswith("Pss:"):
                            pss += int(line.split()[1])
                        if line.startswith("Private_Dirty:"):
                            dirty += int(line.split()[1])
                threads += len(os.listdir(f"/proc/{pid}/task"))
            except OSError:
                pass
        return pss, dirty, threads

    def wake_ups(self):
        """How often each thread has waited for something so far."""
        found = {}
        for pid in self.pids():
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/status") as file:
                        found[task] = sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt"))
            except OSError:
                pass
        return found

    def stop(self):
        """Ends the process, and returns the processor time in seconds of it and of the children that it waited for."""
        self.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + 5
        while time.monotonic() < end:
            pid, _, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.01)
        else:
            os.killpg(self.process.pid, signal.SIGKILL)
            _, _, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = 0
        return usage.ru_utime + usage.ru_stime


class Bus:
    """A system bus, as on a device: without one the agent would wake up to look for it."""

    def __init__(self, directory):
        policy = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../packaging/dbus/org.upgradelink.Agent1.conf")
        self.address = f"unix:path={directory}/bus"
        with open(f"{directory}/bus.conf", "w") as file:
            file.write(f"""<busconfig><type>system</type><listen>{self.address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="de.pengutronix.rauc"/><allow send_type="method_call"/><allow send_requested_reply="true"
send_type="method_return"/><allow send_requested_reply="true" send_type="error"/><allow send_type="signal"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/>
<allow receive_type="signal"/></policy><include>{os.path.abspath(policy)}</include></busconfig>""")
        self.process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={directory}/bus.conf", "--nofork", "--nopidfile"], stderr=subprocess.DEVNULL)
        while not os.path.exists(f"{directory}/bus"):
            time.sleep(0.02)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def write_configuration(root, server, rest):
    """The configuration of a device below a directory; rest begins in the table device."""
    path = f"{root}/etc/upgradelinkd/upgradelinkd.toml"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(f'''[server]
url = "{server}"
[credentials]
accessKey = "a"
secretKey = "b"
[device]
urlKey = "k"
devKey = "d"
{rest}''')
    os.chmod(path, 0o600)


class Upgradelinkd:
    name = "upgradelinkd"

    def __init__(self, programs, directory, stub, bus):
        self.programs, self.directory, self.stub, self.bus = programs, f"{directory}/ours", stub, bus

    def configure(self, interval, splay=0):
        shutil.rmtree(self.directory, ignore_errors=True)
        write_configuration(self.directory, f"http://127.0.0.1:{self.stub.port}", f'''versionCode = 1
[poll]
interval = "{interval}s"
splay = "{splay}s"
[download]
directory = "{self.directory}/staging"
[verification]
keysDirectory = "{self.directory}"
[state]
directory = "{self.directory}/state"
''')

    def start(self, interval):
        self.configure(interval)
        return Daemon(
            [f"{self.programs}/upgradelinkd", "--root", self.directory], {"DBUS_SYSTEM_BUS_ADDRESS": self.bus.address},
            f"{self.directory}/log")


class SWUpdate:
    name = "swupdate"

    def __init__(self, directory, stub):
        self.directory, self.stub = f"{directory}/swupdate", stub
        os.makedirs(self.directory, exist_ok=True)
        # Debian's SWUpdate requires a certificate of the publisher.
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=bench", "-out",
             f"{self.directory}/cert.pem"], check=True, stderr=subprocess.DEVNULL)

    def start(self, interval):
        self.stub.sleep = f"{interval // 3600:02}:{interval % 3600 // 60:02}:{interval % 60:02}"
        return Daemon(
            ["swupdate", "-k", f"{self.directory}/cert.pem", "-H", "device:1.0", "-u",
             f"-t default -u http://127.0.0.1:{self.stub.port} -i device -p {interval}"],
            {"TMPDIR": self.directory}, f"{self.directory}/log")


class Mender:
    name = "mender-client"

    def __init__(self, directory, stub):
        self.directory, self.stub = f"{directory}/mender", stub
        os.makedirs(self.directory, exist_ok=True)
        with open(f"{self.directory}/device_type", "w") as file:
            file.write("device_type=device\n")
        # Mender needs a script that prints the device's identity; Debian's package has one as an example only.
        identity = "/usr/share/mender/identity/mender-device-identity"
        if not os.path.exists(identity):
            with open(identity, "w") as file:
                file.write("#!/bin/sh\necho mac=00:11:22:33:44:55\n")
            os.chmod(identity, 0o755)
        # Mender reads the installed version from this file only.
        if not os.path.exists("/etc/mender/artifact_info"):
            os.makedirs("/etc/mender", exist_ok=True)
            with open("/etc/mender/artifact_info", "w") as file:
                file.write("artifact_name=one\n")

    def start(self, interval):
        with open(f"{self.directory}/mender.conf", "w") as file:
            json.dump({
                "ServerURL": f"http://127.0.0.1:{self.stub.port}", "UpdatePollIntervalSeconds": interval,
                "InventoryPollIntervalSeconds": 86400, "RetryPollIntervalSeconds": 1,
                "DeviceTypeFile": f"{self.directory}/device_type",
                "DBus": {"Enabled": False}}, file)
        return Daemon(
            ["mender", "--no-syslog", "--config", f"{self.directory}/mender.conf", "--data", self.directory, "daemon"], {},
            f"{self.directory}/log")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
