"""What a publisher makes of an image: the signed image itself, or a bundle for RAUC, signed for RAUC and for the agent."""

import dataclasses
import pathlib
import shutil

import tools

MODULES = ("rauc", "image")


@dataclasses.dataclass(frozen=True)
class Publisher:
    """Keys for one run."""

    directory: pathlib.Path
    minisign_key: str
    module: str
    """The update module of the devices, one of MODULES."""

    @staticmethod
    def create(directory: pathlib.Path, module: str) -> "Publisher":
        directory.mkdir()
        tools.run("minisign", "-G", "-W", "-p", "release.pub", "-s", "release.key", directory=directory)
        tools.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "rauc.key", "-out", "rauc.pem", "-days", "2",
            "-subj", "/CN=demo-device", directory=directory)
        return Publisher(directory, (directory / "release.pub").read_text().splitlines()[-1], module)

    @property
    def certificate(self) -> bytes:
        return (self.directory / "rauc.pem").read_bytes()

    def release(self, image: pathlib.Path, code: int, into: pathlib.Path) -> pathlib.Path:
        """Makes what is downloaded for version N, its signature, and the registration for the simulated server."""
        artifact = into / artifact_name(code, self.module)
        if self.module == "rauc":
            self._bundle(image, code, artifact)
        else:
            shutil.copyfile(image, artifact)
        tools.run(
            "minisign", "-S", "-s", self.directory / "release.key", "-m", artifact, "-t", f"urlKey=device versionCode={code}")
        (self.directory / f"v{code}.release.toml").write_text(registration(code, artifact.name))
        return artifact

    def _bundle(self, image: pathlib.Path, code: int, bundle: pathlib.Path) -> None:
        content = self.directory / f"bundle-{code}"
        content.mkdir()
        (content / "root.img").hardlink_to(image)
        (content / "manifest.raucm").write_text(
            f"[update]\ncompatible=upgradelinkd-demo\nversion=v{code}\n\n"
            "[bundle]\nformat=verity\n\n[image.rootfs]\nfilename=root.img\n")
        tools.run("rauc", "--cert=rauc.pem", "--key=rauc.key", "bundle", content, bundle, directory=self.directory)


def artifact_name(code: int, module: str) -> str:
    return f"v{code}.raucb" if module == "rauc" else f"v{code}.squashfs"


def registration(code: int, file: str) -> str:
    """What `upgradelink-sim release` writes next to an artifact."""
    return (
        f'urlKey = "device"\nversion.versionCode = {code}\nversion.versionName = "v{code}"\nversion.file = "{file}"\n'
        "version.upgradeType = 2\n")
