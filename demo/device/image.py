"""Images of versions, and what a publisher makes of them: a bundle for RAUC, signed for RAUC and for the agent."""

import dataclasses
import pathlib
import shutil
import subprocess

import root
import tools
from tree import Tree


# By default, every user could write to the root directory.
_ROOT = ("-root-mode", "755", "-root-uid", "0", "-root-gid", "0")


@dataclasses.dataclass(frozen=True)
class Publisher:
    """Keys for one run."""

    directory: pathlib.Path
    minisign_key: str

    @staticmethod
    def create(directory: pathlib.Path) -> "Publisher":
        directory.mkdir()
        tools.run("minisign", "-G", "-W", "-p", "release.pub", "-s", "release.key", directory=directory)
        tools.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "rauc.key", "-out", "rauc.pem", "-days", "2",
            "-subj", "/CN=demo-device", directory=directory)
        return Publisher(directory, (directory / "release.pub").read_text().splitlines()[-1])

    @property
    def certificate(self) -> bytes:
        return (self.directory / "rauc.pem").read_bytes()

    def release(self, image: pathlib.Path, code: int, into: pathlib.Path) -> pathlib.Path:
        """Makes the bundle vN.raucb, its signature, and the registration for the simulated server."""
        content = self.directory / f"bundle-{code}"
        content.mkdir()
        (content / "root.img").hardlink_to(image)
        (content / "manifest.raucm").write_text(
            f"[update]\ncompatible=upgradelinkd-demo\nversion=v{code}\n\n"
            "[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=root.img\n")
        bundle = into / f"v{code}.raucb"
        tools.run("rauc", "--cert=rauc.pem", "--key=rauc.key", "bundle", content, bundle, directory=self.directory)
        tools.run(
            "minisign", "-S", "-s", self.directory / "release.key", "-m", bundle, "-t", f"urlKey=device versionCode={code}")
        (self.directory / f"v{code}.release.toml").write_text(registration(code, bundle.name))
        return bundle


def registration(code: int, file: str) -> str:
    """What `upgradelink-sim release` writes next to an artifact."""
    return (
        f'urlKey = "device"\nversion.versionCode = {code}\nversion.versionName = "v{code}"\nversion.file = "{file}"\n'
        "version.upgradeType = 2\n")


def write_base(tree: Tree, path: pathlib.Path) -> None:
    """What all versions share. GRUB reads the kernel from it, so it is compressed with gzip."""
    command = [tools.find("sqfstar"), "-quiet", "-no-progress", "-comp", "gzip", *_ROOT, "-exit-on-error", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            tree.write(process.stdin)
            process.stdin.close()
        except BrokenPipeError:
            pass
        output = process.stdout.read().decode(errors="replace")
    if process.returncode != 0:
        raise tools.failure("sqfstar", output, process.returncode)


def write_version(base: pathlib.Path, version: root.Version, path: pathlib.Path) -> None:
    """Appends the directory /device, so that the rest is compressed only once."""
    shutil.copyfile(base, path)
    files = path.with_suffix("") / "device"
    version.write(files)
    tools.run("mksquashfs", files, path, "-keep-as-directory", "-all-root", *_ROOT, "-quiet", "-no-progress", "-no-recovery")
