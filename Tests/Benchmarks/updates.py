"""Whole updates, from the start of the agent to the installed version, compared with other update agents.

Each update happens on a file system of its own (ext4 on a loop device), so that the bytes that reach the block device, and the
space that is used at most, are known.
"""

import hashlib
import http.server
import io
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import tarfile
import threading
import time

from peers import Mender, write_configuration

HERE = os.path.dirname(os.path.abspath(__file__))


def written_to(device):
    """The bytes that have been written to a block device since it was made."""
    with open(f"/sys/block/{os.path.basename(device)}/stat") as file:
        return int(file.read().split()[6]) * 512


class Disk:
    """A new ext4 on a loop device."""

    def __init__(self, directory, size):
        self.directory, self.image = f"{directory}/disk", f"{directory}/disk.image"
        os.makedirs(self.directory, exist_ok=True)
        with open(self.image, "wb") as file:
            file.truncate(size)
        # Nothing that the kernel would write later.
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image],
                       check=True)
        self.device = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", self.image], check=True,
                                     capture_output=True, text=True).stdout.strip()
        subprocess.run(["mount", self.device, self.directory], check=True)

    def used(self):
        space = os.statvfs(self.directory)
        return (space.f_blocks - space.f_bfree) * space.f_frsize

    def written(self):
        return written_to(self.device)

    def sync(self):
        subprocess.run(["sync", "-f", self.directory], check=True)

    def remove(self):
        subprocess.run(["umount", "-l", self.directory], check=True)
        subprocess.run(["losetup", "-d", self.device], check=True)
        os.unlink(self.image)


class Offer:
    """A server that offers version 2 at an address until it is installed."""

    def __init__(self, url):
        offer = {"code": 200, "msg": "", "data": {
            "urlKey": "k", "versionName": "v2", "versionCode": 2, "urlPath": url, "upgradeType": 2,
            "promptUpgradeContent": ""}}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
                reply = offer if body.get("versionCode") == 1 else {"code": 0, "data": None}
                content = json.dumps(reply).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Peak:
    """The most space that is used while it runs."""

    def __init__(self, disk):
        self.disk, self.most, self.ends = disk, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.ends.wait(0.02):
            self.most = max(self.most, self.disk.used())

    def stop(self):
        self.ends.set()
        self.thread.join()
        return max(self.most, self.disk.used())


def measure(disk, slot, update):
    """Seconds, processor seconds, peak extra bytes, extra bytes afterwards, written bytes."""
    disk.sync()
    before, written = disk.used(), disk.written() + (written_to(slot.device) if slot else 0)
    peak = Peak(disk)
    processor = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    end = update() or time.monotonic()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    disk.sync()
    if slot:
        subprocess.run(["sync", slot.device], check=True)
    most = peak.stop()
    return [end - start, after.ru_utime + after.ru_stime - processor.ru_utime - processor.ru_stime, most - before,
            disk.used() - before, disk.written() + (written_to(slot.device) if slot else 0) - written]


class Ours:
    """The agent with one of its modules."""

    #: The line of the agent that ends the measurement. An image is installed when the device can reboot.
    ends = {"image": "Rebooting to finish v2 (code 2)"}

    def __init__(self, programs, disk, files, key, module, options, url):
        self.programs, self.disk, self.url = programs, disk, url
        self.done = self.ends.get(module, "nstalled v2 (code 2)")
        root = self.root = f"{disk.directory}/ours"
        shutil.rmtree(root, ignore_errors=True)
        os.makedirs(f"{root}/modules")
        with open(f"{root}/version", "w") as file:
            file.write("VERSION_CODE=1\n")
        # A module is a link with its name to the one program.
        os.makedirs(f"{root}/program")
        os.symlink(os.path.realpath(f"{programs}/upgradelinkd"), f"{root}/program/{module}")
        # The random content of the artifact has no version, so this module says which one is installed.
        with open(f"{root}/modules/{module}", "w") as file:
            file.write(f'#!/bin/sh\n[ "$1" != ArtifactInstall ] || echo VERSION_CODE=2 >{root}/version\n'
                       f'exec {root}/program/{module} "$@"\n')
        os.chmod(f"{root}/modules/{module}", 0o755)
        options = ", ".join(f"{name} = {json.dumps(value)}" for name, value in options.items())
        self.offer = Offer(url)
        write_configuration(root, self.offer.url, f'''versionFile = "{root}/version"
[poll]
splay = 0
[download]
directory = "{root}/staging"
# What MemoryMax= of the agent's unit leads to: nothing limits the memory here.
keepCache = "64M"
[verification]
keys = ["{key}"]
[install]
module = "{module}"
moduleDirectories = ["{root}/modules"]
gracePeriod = 0
files = {{ {options} }}
[state]
directory = "{root}/state"
''')

    def update(self):
        log = f"{self.root}/log"
        with open(log, "wb") as output:
            process = subprocess.Popen([f"{self.programs}/upgradelinkd", "--root", self.root], stdout=output, stderr=output,
                                       stdin=subprocess.DEVNULL, env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/-"})
        end = None
        while process.poll() is None and end is None:
            with open(log) as text:
                text = text.read()
            if self.done in text:
                end = time.monotonic()
            if "was not installed" in text or "rolled back" in text or "refused" in text:
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.wait()
        if end is None:
            with open(log) as text:
                raise RuntimeError(text.read())
        return end

    def stop(self):
        self.offer.stop()


class SWUpdatePackage:
    """A package of SWUpdate with one image, which SWUpdate installs while it downloads it."""

    def __init__(self, directory, served, content, description):
        self.directory = f"{directory}/swu"
        os.makedirs(self.directory, exist_ok=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
                        "-subj", "/CN=bench", "-addext", "extendedKeyUsage=emailProtection", "-addext",
                        "keyUsage=digitalSignature"], check=True, cwd=self.directory, stderr=subprocess.DEVNULL)
        name = os.path.basename(content)
        target = f"{self.directory}/{name}"
        if not os.path.exists(target):
            os.link(content, target)
        digest = subprocess.run(["sha256sum", target], check=True, capture_output=True, text=True).stdout.split()[0]
        with open(f"{self.directory}/sw-description", "w") as file:
            file.write('software = { version = "2"; hardware-compatibility = [ "1.0" ];\n'
                       + description.replace("@FILE@", f'filename = "{name}"; sha256 = "{digest}";') + "\n}\n")
        subprocess.run("openssl cms -sign -in sw-description -out sw-description.sig -signer cert.pem -inkey key.pem "
                       "-outform DER -nosmimecap -binary && "
                       f"printf 'sw-description\\nsw-description.sig\\n{name}\\n' | cpio -o -H crc --quiet >{served}.swu",
                       shell=True, check=True, cwd=self.directory, stderr=subprocess.DEVNULL)

    def update(self, url, log):
        with open(log, "wb") as output:
            result = subprocess.run(["swupdate", "-k", f"{self.directory}/cert.pem", "-H", "device:1.0", "-d", f"-u {url}.swu"],
                                    stdout=output, stderr=output, env={**os.environ, "TMPDIR": self.directory})
        with open(log) as text:
            text = text.read()
        if result.returncode != 0 or "SWUPDATE successful" not in text:
            raise RuntimeError(text)


class MenderArtifact:
    """An artifact of Mender's format 3 for the module single-file, without compression, which Mender installs by itself."""

    name = "mender-client"

    def __init__(self, directory, content, served, target):
        # It makes the files that Mender reads in /etc only.
        Mender(directory, None)
        self.directory = f"{directory}/mender-artifact"
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(self.directory)
        name = os.path.basename(target)
        texts = {"dest_dir": os.path.dirname(target), "filename": name, "permissions": "644"}
        sums = {}

        def member(archive, path, data):
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
            return hashlib.sha256(data).hexdigest()

        with tarfile.open(f"{self.directory}/payload.tar", "w") as payload:
            for path, text in texts.items():
                sums[f"data/0000/{path}"] = member(payload, path, text.encode())
            payload.add(content, name)
        digest = subprocess.run(["sha256sum", content], check=True, capture_output=True, text=True).stdout.split()[0]
        sums[f"data/0000/{name}"] = digest
        header = io.BytesIO()
        with tarfile.open(fileobj=header, mode="w") as archive:
            member(archive, "header-info", json.dumps({
                "payloads": [{"type": "single-file"}], "artifact_provides": {"artifact_name": "two"},
                "artifact_depends": {"device_type": ["device"]}}).encode())
            member(archive, "headers/0000/type-info", json.dumps({"type": "single-file"}).encode())
        with tarfile.open(f"{served}.mender", "w") as artifact:
            version = json.dumps({"format": "mender", "version": 3}).encode()
            sums["version"], sums["header.tar"] = (hashlib.sha256(data).hexdigest() for data in (version, header.getvalue()))
            member(artifact, "version", version)
            member(artifact, "manifest", "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items())).encode())
            member(artifact, "header.tar", header.getvalue())
            artifact.add(f"{self.directory}/payload.tar", "data/0000.tar")
        os.unlink(f"{self.directory}/payload.tar")

    def update(self, url, disk, log):
        # Mender's own files are on the disk too: its modules keep the old file there.
        data = f"{disk.directory}/mender"
        os.makedirs(data)
        for name, text in (("device_type", "device_type=device\n"), ("artifact_info", "artifact_name=one\n")):
            with open(f"{data}/{name}", "w") as file:
                file.write(text)
        with open(f"{data}/mender.conf", "w") as file:
            json.dump({"DeviceTypeFile": f"{data}/device_type", "ModulesPath": "/usr/share/mender/modules/v3",
                       "ModulesWorkPath": f"{data}/modules", "DBus": {"Enabled": False}}, file)
        for command in (["install", f"{url}.mender"], ["commit"]):
            with open(log, "ab") as output:
                result = subprocess.run(["mender", "--no-syslog", "--config", f"{data}/mender.conf", "--data", data] + command,
                                        stdout=output, stderr=output, stdin=subprocess.DEVNULL)
            if result.returncode != 0:
                with open(log) as text:
                    raise RuntimeError(text.read())


class RAUCBundle:
    """A plain bundle with one raw image. RAUC cannot install such a bundle from an address: curl downloads it first."""

    def __init__(self, directory, content, served):
        self.directory = f"{directory}/rauc"
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(f"{self.directory}/content")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem",
                        "-subj", "/CN=bench"], check=True, cwd=self.directory, stderr=subprocess.DEVNULL)
        os.link(content, f"{self.directory}/content/rootfs.img")
        with open(f"{self.directory}/content/manifest.raucm", "w") as file:
            file.write("[update]\ncompatible=device\nversion=2\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=rootfs.img\n")
        if os.path.exists(f"{served}.raucb"):
            os.unlink(f"{served}.raucb")
        subprocess.run(["rauc", "bundle", "--cert", "cert.pem", "--key", "key.pem", "content", f"{served}.raucb"], check=True,
                       cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(f"{self.directory}/content")

    def update(self, url, disk, slot, bus, log):
        work = f"{disk.directory}/rauc"
        os.makedirs(f"{work}/mounts")
        program = os.path.abspath(os.path.join(HERE, "../../packaging/bootloaders/file"))
        with open(f"{work}/bootloader", "w") as file:
            file.write(f'#!/bin/sh\nexec {program} {disk.directory}/boot "$@"\n')
        os.chmod(f"{work}/bootloader", 0o755)
        with open(f"{work}/system.conf", "w") as file:
            file.write(f"""[system]
compatible=device
bootloader=custom
mountprefix={work}/mounts
statusfile={work}/status
[keyring]
path={self.directory}/cert.pem
[handlers]
bootloader-custom-backend={work}/bootloader
[slot.rootfs.0]
device={disk.directory}/slot-A
type=raw
bootname=A
[slot.rootfs.1]
device={slot.device}
type=raw
bootname=B
""")
        environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": bus.address}
        with open(log, "wb") as output:
            service = subprocess.Popen(["rauc", f"--conf={work}/system.conf", "--override-boot-slot=A", "service"],
                                       env=environment, stdout=output, stderr=output)
            try:
                ask = ["busctl", f"--address={bus.address}", "status", "de.pengutronix.rauc"]
                while subprocess.run(ask, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
                    time.sleep(0.02)
                subprocess.run(["curl", "-sf", "-o", f"{work}/bundle", f"{url}.raucb"], check=True)
                result = subprocess.run(["rauc", "install", f"{work}/bundle"], env=environment, stdout=output, stderr=output)
            finally:
                service.terminate()
                service.wait()
        if result.returncode != 0:
            with open(log) as text:
                raise RuntimeError(text.read())
        os.unlink(f"{work}/bundle")


def archive(path, count, size):
    """A tar of files with random content."""
    with open("/dev/urandom", "rb") as chance, tarfile.open(path, "w") as archive:
        for number in range(count):
            entry = tarfile.TarInfo(f"{number % 100}/{number}")
            entry.size, entry.mode = size // count, 0o644
            archive.addfile(entry, io.BytesIO(chance.read(entry.size)))


class Slot:
    """A loop device with random content, to which an image is written."""

    def __init__(self, directory, size):
        self.image = f"{directory}/slot.image"
        subprocess.run(["sh", "-c", f"head -c {size} /dev/urandom >{self.image} && sync {self.image}"], check=True)
        self.device = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", self.image], check=True,
                                     capture_output=True, text=True).stdout.strip()

    def remove(self):
        subprocess.run(["losetup", "-d", self.device], check=True)
        os.unlink(self.image)


class Updates:
    """Whole updates of one kind, ours and SWUpdate's in turn."""

    def __init__(self, programs, directory, files, bus, size, rounds):
        self.programs, self.directory, self.files, self.bus = programs, directory, files, bus
        self.size, self.rounds = size, rounds
        with open(f"{files.key}.pub") as file:
            self.key = file.read().split("\n")[1]

    def publish(self, name, make):
        path = f"{self.files.directory}/{name}"
        make(path)
        subprocess.run(["minisign", "-SHm", path, "-s", f"{self.files.key}.sec", "-t", "urlKey=k versionCode=2"], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        return path, f"http://127.0.0.1:{self.files.port}/{name}"

    def random(self, path, size=None):
        subprocess.run(["sh", "-c", f"head -c {size or self.size} /dev/urandom >{path}"], check=True)

    def compare(self, name, make, module, prepare, description, peer=None):
        """The medians of the agents, [seconds, processor, peak extra, extra afterwards, written], and the size of the artifact.

        prepare makes what is there before an update on a disk, and returns the module's options and where SWUpdate installs."""
        path, url = self.publish(name, make)
        found = {"ours": [], "theirs": []} | ({peer: []} if peer else {})
        artifact = None
        for _ in range(self.rounds):
            for who in found:
                disk = Disk(self.directory, 4 * self.size + (1 << 30))
                slot = None
                try:
                    options, target, slot = prepare(disk)
                    if who == "ours":
                        agent = Ours(self.programs, disk, self.files.directory, self.key, module, options, url)
                        try:
                            found[who].append(measure(disk, slot, agent.update))
                        finally:
                            agent.stop()
                    elif who == "mender":
                        artifact = MenderArtifact(self.directory, path, path, target)
                        found[who].append(measure(
                            disk, slot, lambda: artifact.update(url, disk, f"{self.directory}/mender.log")))
                    elif who == "rauc":
                        artifact = artifact or RAUCBundle(self.directory, path, path)
                        found[who].append(measure(
                            disk, slot,
                            lambda: artifact.update(url, disk, slot, self.bus, f"{self.directory}/rauc.log")))
                    else:
                        package = SWUpdatePackage(self.directory, path, path, description.replace("@TARGET@", target))
                        found[who].append(measure(disk, slot, lambda: package.update(url, f"{self.directory}/swupdate.log")))
                finally:
                    if slot:
                        slot.remove()
                    disk.remove()
        size = os.path.getsize(path)
        for leftover in (path, f"{path}.swu", f"{path}.minisig", f"{path}.mender", f"{path}.raucb"):
            if os.path.exists(leftover):
                os.unlink(leftover)
        shutil.rmtree(f"{self.directory}/swu")
        return {who: [statistics.median(column) for column in zip(*values)] for who, values in found.items()}, size

    def file(self):
        def prepare(disk):
            self.random(f"{disk.directory}/app.image")
            return {"destination": f"{disk.directory}/app.image"}, f"{disk.directory}/app.image", None

        return self.compare(
            "file", self.random, "file", prepare,
            'files: ( { @FILE@ path = "@TARGET@"; installed-directly = true; properties: { atomic-install = "true"; } } );',
            peer="mender")

    def archive(self):
        def prepare(disk):
            os.makedirs(f"{disk.directory}/theirs")
            return {"link": f"{disk.directory}/live"}, f"{disk.directory}/theirs", None

        return self.compare(
            "files.tar", lambda path: archive(path, 20000, self.size // 2), "directory", prepare,
            'files: ( { @FILE@ type = "archive"; path = "@TARGET@"; installed-directly = true; } );')

    def image(self):
        def prepare(disk):
            slot = Slot(self.directory, self.size)
            boot = f"{disk.directory}/boot"
            os.makedirs(boot)
            for name, text in (("primary", "A"), ("current", "A"), ("state-A", "good"), ("state-B", "good")):
                with open(f"{boot}/{name}", "w") as file:
                    file.write(f"{text}\n")
            with open(f"{disk.directory}/slot-A", "w") as file:
                file.write("the slot that runs\n")
            program = os.path.join(HERE, "../../packaging/bootloaders/file")
            options = {"slots": f"A={disk.directory}/slot-A B={slot.device}",
                       "bootloader": f"{os.path.abspath(program)} {boot}"}
            return options, slot.device, slot

        return self.compare(
            "image", self.random, "image", prepare,
            'images: ( { @FILE@ device = "@TARGET@"; type = "raw"; installed-directly = true; } );', peer="rauc")
