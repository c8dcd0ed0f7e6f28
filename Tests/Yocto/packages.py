"""Installs what a recipe installs, and prints "PACKAGE TYPE MODE PATH" for each file: how the recipe divides it into packages.

Usage: packages.py RECIPE TARGET STAGE DIRECTORY

The arguments of make are those of the recipe (EXTRA_OEMAKE), with bitbake.conf's directories on a machine with /usr/lib64. A file
that no package has is printed with the package "-".
"""

import fnmatch
import os
import re
import shlex
import stat
import subprocess
import sys

from oelint_parser.cls_stash import Stash

recipe, target, stage, directory = sys.argv[1:]
recipe = os.path.abspath(recipe)
top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
stash = Stash(quiet=True)
stash.AddFile(recipe)
stash.Finalize()
variables = {key: " ".join(value) for key, value in stash.ExpandVar(filename=recipe).items()}
name = os.path.basename(recipe).split("_")[0]

DIRECTORIES = {
    "D": directory, "BUILD_DIR": stage, "prefix": "/usr", "bindir": "/usr/bin", "sbindir": "/usr/sbin", "libdir": "/usr/lib64",
    "nonarch_libdir": "/usr/lib", "libexecdir": "/usr/libexec", "datadir": "/usr/share", "docdir": "/usr/share/doc",
    "mandir": "/usr/share/man", "infodir": "/usr/share/info", "includedir": "/usr/include", "sysconfdir": "/etc",
    "localstatedir": "/var", "sharedstatedir": "/com", "base_prefix": "", "base_bindir": "/usr/bin", "base_sbindir": "/usr/sbin",
    "base_libdir": "/usr/lib64", "systemd_unitdir": "/usr/lib/systemd", "systemd_system_unitdir": "/usr/lib/systemd/system",
}


def expand(text):
    def value(match):
        if match[1] not in DIRECTORIES:
            sys.exit(f"{recipe}: the value of {match[0]} is not known: add it to {__file__}")
        return DIRECTORIES[match[1]]
    return re.sub(r"\$\{([A-Za-z_]+)\}", value, text)


# As on the build machine, no completions can be made.
arguments = shlex.split(expand(variables["EXTRA_OEMAKE"])) + ["COMPLETIONS=/nonexistent"]
result = subprocess.run(["make", "-s", "-C", top, target, *arguments], stdout=subprocess.DEVNULL)
if result.returncode != 0:
    sys.exit(f"make {target} failed with status {result.returncode}: {arguments}")

# The first package of this list that names a file has it (package.bbclass).
before = variables.get("PACKAGE_BEFORE_PN", "").replace("${PN}", name).split()
packages = [f"{name}-{suffix}" for suffix in ("dbg", "staticdev", "dev", "doc")] + before + [name]
patterns = {package: expand(variables.get(f"FILES:{package}", "")).split() for package in packages}


def package_of(path):
    for package in packages:
        for pattern in patterns[package]:
            if fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, pattern.rstrip("/*") + "/*"):
                return package
    return "-"


for parent, directories, files in os.walk(directory):
    for entry in files + [link for link in directories if os.path.islink(os.path.join(parent, link))]:
        path = os.path.join(parent, entry)
        mode = os.lstat(path).st_mode
        installed = "/" + os.path.relpath(path, directory)
        print(package_of(installed), "link" if stat.S_ISLNK(mode) else "file", f"{stat.S_IMODE(mode):04o}", installed)
