#!/usr/bin/python3
"""Builds the disk of a device with two slots, and shows updates of its whole image in qemu."""

import argparse
import fcntl
import os
import pathlib
import shutil
import signal
import sys
import time

import architecture
import disk
import image
import publisher
import root
import tools
from machine import KVMFailure, Machine, has_kvm
from narrator import Narrator
from problem import Problem
from story import Story

_SUITE = "trixie"
_NEEDED_BYTES = 2 << 30


def packages(directory: pathlib.Path, name: str) -> list[pathlib.Path]:
    """Our two packages for an architecture, as built last: Debian 13 installs those for Debian 12, too."""
    found = []
    for package in ("upgradelinkd", "upgradelink-sim"):
        candidates = list(directory.glob(f"{package}_*_{name}.deb"))
        if not candidates:
            raise Problem(f"{directory} has no {package} for {name}: make deb ARCH={name}")
        found.append(max(candidates, key=lambda path: path.stat().st_mtime))
    return found


class Demonstration:
    def __init__(self, target: architecture.Architecture, module: str, cache: pathlib.Path, debs: list[pathlib.Path]) -> None:
        self._target = target
        self._module = module
        self._debs = debs
        self._narrator = Narrator()
        self._base = cache / f"{_SUITE}-{target.debian}.tar"
        self._directory = cache / target.debian
        self._work = self._directory / "work"
        self._disk = self._directory / "disk.img"
        self._log = self._directory / "console.log"
        self._sizes: dict[str, int] = {}

    def run(self) -> None:
        began = time.monotonic()
        shutil.rmtree(self._directory, ignore_errors=True)
        self._work.mkdir(parents=True)
        try:
            self._build()
        finally:
            shutil.rmtree(self._work, ignore_errors=True)
        built = time.monotonic() - began
        kvm = has_kvm(self._target)
        if not kvm:
            self._narrator.line("build", "no KVM for this machine: every instruction is emulated, which is slower")
        try:
            story = self._follow(kvm)
        except KVMFailure:
            self._narrator.line("build", "KVM cannot run the firmware here: every instruction is emulated, which is slower")
            kvm = False
            story = self._follow(kvm)
        self._summarize(story, built, kvm)

    def _follow(self, kvm: bool) -> Story:
        # Emulated, a boot takes a minute, or several on a busy machine.
        story = Story(self._narrator, step_limit=90 if kvm else 400)
        machine = Machine(self._target, self._disk, self._log, kvm)
        try:
            story.follow(machine.lines())
        except Problem as problem:
            print("\nThe end of the console:", *(f"  | {line}" for line in machine.tail), sep="\n", file=sys.stderr)
            raise Problem(f"{problem} (the whole console: {self._log})") from problem
        finally:
            machine.stop()
        return story

    def _build(self) -> None:
        say = self._narrator
        say.narrate(f"The disk of a device is built: Debian {_SUITE}, {self._target.debian}, GRUB, and upgradelinkd with the module "
                    f"{self._module}.")
        if not self._base.exists():
            say.line("build", "Debian's packages, once (1 min)")
            root.make_base(self._target, _SUITE, self._base)
        for package in self._debs:
            say.line("build", package.name)
        releases = publisher.Publisher.create(self._work / "publisher", self._module)
        tree, grub = root.build(self._target, self._base, self._debs[0], releases, self._work)
        data = self._work / "data"
        for name in ("releases", "publisher", "upgradelinkd", "upgradelink-installer", "downloads", "rauc"):
            (data / name).mkdir(parents=True)
        program = data / "publisher/upgradelink-sim"
        program.write_bytes(root.server(self._debs[1]))
        program.chmod(0o755)
        (data / "releases/v1.release.toml").write_text(publisher.registration(1, "http://127.0.0.1:8480/files/v1"))
        say.line("build", "an image: a root file system with the kernel")
        base = self._work / "base.squashfs"
        image.write_base(tree, base)
        first = self._image(base, root.Version(1))
        artifacts = []
        for version in (root.Version(2), root.Version(3, boots=False), root.Version(4, player=root.BROKEN_PLAYER)):
            artifact = releases.release(self._image(base, version), version.code, data / "releases")
            shutil.move(releases.directory / f"v{version.code}.release.toml", data / "publisher")
            artifacts.append(artifact.stat().st_size)
        layout = disk.Layout.of(first.stat().st_size, artifacts)
        grub_configuration = (pathlib.Path(root.__file__).parent / "guest/grub.cfg").read_text()
        disk.build(self._target, layout, grub, grub_configuration, first, data, self._work, self._disk)
        self._sizes = {"image": first.stat().st_size, "artifact": artifacts[0], "disk": layout.size << 20, "slot": layout.slot << 20,
                       "data": layout.data << 20}
        say.line("build", f"a disk of {layout.size} MB: two slots of {layout.slot} MB, data {layout.data} MB")

    def _image(self, base: pathlib.Path, version: root.Version) -> pathlib.Path:
        path = self._work / f"v{version.code}.squashfs"
        image.write_version(base, version, path)
        return path

    def _summarize(self, story: Story, built: float, kvm: bool) -> None:
        def seconds(begin: str, end: str) -> str:
            return f"{story.times[end] - story.times[begin]:.0f} s"

        used = story.figures.get("data_used_mb", "?")
        how = "KVM" if kvm else "emulated"
        size = {name: f"{count / 1e6:.0f} MB" for name, count in self._sizes.items()}
        self._narrator.narrate("Summary")
        for name, text in (
            ("machine", f"{self._target.debian}, {how}; {story.boots} boots in {seconds('start', 'end')}; built in {built:.0f} s"),
            ("image", f"{size['image']} (squashfs, with the kernel); {size['artifact']} are downloaded"),
            ("disk", f"{size['disk']}: two slots of {size['slot']}, data {size['data']}, {used} MiB of it used"),
            ("v1", f"up {seconds('start', 'v1 up')} after power-on, slot A"),
            ("v2", f"committed {seconds('v2 published', 'v2 committed')} after its release, slot B"),
            ("v3", f"kernel panic, three times; back in slot B {seconds('v3 published', 'v3 left')} after its release"),
            ("v4", f"health check failed; back in slot B {seconds('v4 published', 'v4 left')} after its release"),
            ("end", "v2 in slot B, marked good; the device is off"),
        ):
            self._narrator.line(name, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architecture", choices=architecture.ALL, default="amd64")
    parser.add_argument("--module", choices=publisher.MODULES, default="rauc", help="the update module (rauc)")
    parser.add_argument("--packages", type=pathlib.Path, required=True, help="directory of our two packages")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="directory for everything that is built")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        target = architecture.ALL[options.architecture]
        debs = packages(options.packages, target.debian)
        for name in ("sqfstar", "mke2fs", "mkfs.vfat", "mcopy", "sfdisk", "depmod", "minisign", "rauc", "openssl", target.qemu):
            tools.find(name)
        cache = options.cache.resolve()
        cache.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(cache).free < _NEEDED_BYTES:
            raise Problem(f"less than {_NEEDED_BYTES >> 30} GB are free in {cache}: free some space")
        with open(cache / f"{target.debian}.lock", "w", encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Problem(f"another demonstration for {target.debian} runs in {cache}: wait for its end") from error
            Demonstration(target, options.module, cache, debs).run()
        return 0
    except Problem as problem:
        print(f"demo-device: {problem}", file=sys.stderr)
    except OSError as error:
        print(f"demo-device: {tools.from_system(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\ndemo-device: interrupted; the device is off", file=sys.stderr)
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main())
