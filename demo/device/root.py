"""The root file system: Debian's packages, our packages, and the files of the demonstration."""

import dataclasses
import io
import os
import pathlib
import subprocess
import tarfile

import initramfs
import modules
import tools
from architecture import Architecture
from problem import Problem
from publisher import Publisher
from tree import Tree

_GUEST = pathlib.Path(__file__).parent / "guest"
_PACKAGES = (
    "base-files base-passwd bash dash coreutils util-linux mount libc-bin sed grep gzip tar findutils "
    "systemd-sysv dbus udev kmod "
    "rauc rauc-service grub-common busybox-static minisign libcurl4t64 libssl3t64 libstdc++6 libsystemd0"
)
_UNITS = ("upgradelinkd", "publisher", "player", "mark-good", "demo-story")
_LEFT_OUT = (
    "usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/zoneinfo/",
    "usr/share/grub/", "usr/share/bash-completion/", "usr/share/zsh/", "usr/share/fish/", "usr/share/i18n/",
    "usr/share/lintian/", "usr/share/bug/", "usr/share/gettext/", "usr/share/perl5/", "usr/lib/systemd/boot/",
    "usr/lib/udev/hwdb.d/", "usr/lib/gconv/", "usr/sbin/grub-", "usr/bin/grub-", "usr/share/polkit-1/rules.d/",
    "usr/share/pixmaps/", "usr/lib/klibc", "usr/lib/systemd/systemd-networkd", "usr/share/fonts/",
    "usr/share/initramfs-tools/", "etc/grub.d/", "etc/rc", "etc/init.d/", "boot/System.map", "boot/config",
)
_KEPT = ("usr/bin/grub-editenv",)
_LEFT_OUT_INSIDE = ("/gconv/", "/perl", "/e2fsprogs/")


def make_base(architecture: Architecture, suite: str, path: pathlib.Path) -> None:
    """Fetches Debian's packages and unpacks them into an archive. No maintainer script runs, so it needs no foreign programs."""
    new = path.with_name(path.name + ".new")
    packages = [*_PACKAGES.split(), architecture.kernel, architecture.grub]
    # Without root: packages are only unpacked, so fakeroot is enough.
    start = ["mmdebstrap"] if os.geteuid() == 0 else ["fakeroot", "mmdebstrap", "--mode=chrootless"]
    tools.run(
        *start, "--quiet", "--format=tar", "--variant=extract", f"--architectures={architecture.debian}",
        "--skip=check/qemu,output/mknod", "--aptopt=APT::Install-Recommends \"false\"", f"--include={','.join(packages)}",
        suite, new, limit=1200)
    new.rename(path)


def _keep(name: str) -> bool:
    return name in _KEPT or not name.startswith(_LEFT_OUT) and not any(part in name for part in _LEFT_OUT_INSIDE)


def _package(path: pathlib.Path) -> tarfile.TarFile:
    done = subprocess.run(
        [tools.find("dpkg-deb"), "--fsys-tarfile", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise tools.failure("dpkg-deb", done.stderr.decode(errors="replace"), done.returncode)
    return tarfile.open(fileobj=io.BytesIO(done.stdout))


def server(package: pathlib.Path) -> bytes:
    """The program of the simulated server. It is no part of a device, so it is not in the image."""
    stream = _package(package).extractfile("./usr/bin/upgradelink-sim")
    if stream is None:
        raise Problem(f"{package} has no upgradelink-sim: build it again (make deb)")
    return stream.read()


def _add_users(tree: Tree, work: pathlib.Path) -> int:
    """Makes the users of the packages, and returns the number of the agent's group."""
    for name in tree.names("usr/lib/sysusers.d/"):
        target = work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".conf"):
            target.write_bytes(tree.read(name))
    (work / "etc").mkdir(exist_ok=True)
    for name in ("passwd", "group"):
        (work / "etc" / name).write_bytes(tree.read(f"usr/share/base-passwd/{name}.master"))
    tools.run("systemd-sysusers", f"--root={work}")
    for name in ("passwd", "group", "shadow", "gshadow"):
        tree.file(f"etc/{name}", (work / "etc" / name).read_bytes(), 0o640 if "shadow" in name else 0o644)
    for line in (work / "etc/group").read_text().splitlines():
        if line.startswith("upgradelinkd:"):
            return int(line.split(":")[2])
    raise Problem("the package upgradelinkd does not make the group upgradelinkd: build it again (make deb)")


def _guest(name: str) -> str:
    return (_GUEST / name).read_text()


def build(
    architecture: Architecture, base: pathlib.Path, agent: pathlib.Path, publisher: Publisher, work: pathlib.Path,
) -> tuple[Tree, bytes]:
    """The tree that all versions share, and GRUB's program."""
    tree = Tree()
    tree.add(tarfile.open(base), _keep)
    tree.add(_package(agent), _keep)
    grub = tree.read(architecture.grub_path)
    tree.remove("usr/lib/grub/")

    for name in ("users", "modules"):
        (work / name).mkdir()
    group = _add_users(tree, work / "users")
    files = modules.reduce(tree, work / "modules")
    kernel = next((name for name in tree.names("boot/vmlinuz-")), None)
    if kernel is None:
        raise Problem(f"{architecture.kernel} has no kernel in /boot: remove {base} and try again")
    tree.file("boot/vmlinuz", tree.read(kernel))
    tree.remove(kernel)
    tree.file("boot/initrd", initramfs.build(tree, files, _guest("init").encode()))

    tree.link("usr/sbin/init", "/device/init")
    for name in ("dev", "proc", "sys", "run", "tmp", "var", "efi", "data", "root"):
        tree.directory(name)
    for name in tree.names("var/"):
        del tree.entries[name]
    tree.file("etc/machine-id", "")
    tree.file("etc/hostname", "demo-device\n")
    tree.file("etc/fstab", _guest("fstab"))
    tree.file("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n")
    tree.file("etc/hosts", "127.0.0.1 localhost demo-device\n")
    if publisher.module == "rauc":
        tree.file("etc/rauc/system.conf", _guest("rauc/system.conf"))
        tree.file("etc/rauc/keyring.pem", publisher.certificate)
    configuration = _guest("upgradelinkd.toml").replace("@KEY@", publisher.minisign_key)
    tree.file("etc/upgradelinkd/upgradelinkd.toml", configuration, 0o640, group)
    tree.file("etc/upgradelinkd/upgradelinkd.toml.d/module.toml", _guest(f"{publisher.module}/module.toml"), 0o640, group)
    tree.file("usr/lib/systemd/system/mark-good.service", _guest(f"{publisher.module}/mark-good.service"))
    tree.file("usr/libexec/demo-story", _guest("demo-story"), 0o755)
    for name in _UNITS:
        if f"usr/lib/systemd/system/{name}.service" not in tree.entries:
            tree.file(f"usr/lib/systemd/system/{name}.service", _guest(f"{name}.service"))
        tree.link(f"etc/systemd/system/multi-user.target.wants/{name}.service", f"/usr/lib/systemd/system/{name}.service")
    for name in (
        f"serial-getty@{architecture.console}.service", "getty.target", "systemd-firstboot.service", "ldconfig.service",
        "systemd-hwdb-update.service", "systemd-journal-catalog-update.service", "systemd-sysusers.service",
        "proc-sys-fs-binfmt_misc.automount",
    ):
        tree.link(f"etc/systemd/system/{name}", "/dev/null")
    return tree, grub


@dataclasses.dataclass(frozen=True)
class Version:
    """A version of the image: the files of /device, which is all that differs."""

    code: int
    player: str = "#!/bin/sh\nexec sleep infinity\n"
    boots: bool = True

    def write(self, directory: pathlib.Path) -> None:
        directory.mkdir(parents=True)
        (directory / "version").write_text(f'VERSION="v{self.code}"\nVERSION_CODE={self.code}\n')
        (directory / "player").write_text(self.player)
        (directory / "player").chmod(0o755)
        if self.boots:
            (directory / "init").symlink_to("/usr/lib/systemd/systemd")
        else:
            (directory / "init").write_text("damaged\n")
            (directory / "init").chmod(0o755)


BROKEN_PLAYER = "#!/bin/sh\necho 'the player cannot start' >&2\nexit 1\n"
