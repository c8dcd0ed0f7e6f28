#!/bin/sh
# Installs the missing packages for building and testing on Debian, and prints what it installs.
# Usage: dependencies.sh build|programs|deb|cross|publish|test|machine|bench|device amd64|device arm64
set -eu

need_swift="6.2"
# minisign and dbus-daemon are for the demonstration.
build="libcurl4-openssl-dev libssl-dev libsystemd-dev libtomlplusplus-dev minisign dbus-daemon pkg-config"
programs="libcurl4-openssl-dev libssl-dev libsystemd-dev libtomlplusplus-dev binutils"
deb="$programs debhelper lintian pkg-config"
# Everything else is in the chroots.
cross="mmdebstrap dpkg-dev git"
# apt-ftparchive (apt-utils) makes the indices of the apt repository.
publish="apt-utils dpkg-dev git gpg gpg-agent gpgv minisign xz-utils"
# gcc, python3-gi and groff-base check the examples and the man page of the D-Bus interface.
# mkfs.ext4, mkfs.xfs and mkfs.btrfs make file systems on which the installer takes artifacts over.
# fw_setenv, grub-editenv and bootctl are the tools of the boot loaders that packaging/bootloaders selects slots with.
# nginx terminates TLS, curl polls the simulated server, mmdebstrap makes a clean Debian, systemd-container boots it.
test="$build $deb $publish nginx-light curl openssl python3 libglib2.0-bin systemd-container systemd-sysv dbus polkitd \
    python3-jsonschema libnss-wrapper tzdata mmdebstrap e2fsprogs rauc swupdate squashfs-tools cpio gcc libc6-dev \
    python3-gi groff-base python3-venv xfsprogs btrfs-progs \
    libubootenv-tool grub-common systemd-boot xz-utils zstd"

# The emulated machine: qemu boots it, mmdebstrap makes its Debian with qemu-user, depmod (kmod) sorts its drivers.
machine="qemu-system-arm qemu-system-x86 qemu-user-static mmdebstrap kmod e2fsprogs python3"

# gcc -m32 compiles the C targets for 32 bits. gcc-multilib would conflict with the cross-compilers.
if [ "$(dpkg --print-architecture)" = amd64 ]; then
    gcc=$(apt-cache depends gcc 2>/dev/null | sed -n 's/.*Depends: gcc-\([0-9]*\)$/\1/p' | head -n 1)
    test="$test g++ libc6-dev-i386 ${gcc:+lib32stdc++-$gcc-dev}"
fi

say() { printf '%s\n' "$*" >&2; }

# The programs that `make bench` compares with.
bench="$programs nginx-light curl minisign openssl python3 dbus-daemon systemd swupdate mender-client rauc squashfs-tools e2fsprogs util-linux cpio"

# The tools that make a disk without root, qemu, and the firmware for it.
device="mmdebstrap rauc minisign openssl squashfs-tools e2fsprogs dosfstools mtools fdisk kmod fakeroot util-linux systemd python3"
case "${2:-amd64}" in
    amd64) device="$device qemu-system-x86 ovmf" ;;
    arm64) device="$device qemu-system-arm qemu-efi-aarch64" ;;
    *) say "there is no demonstration for the architecture $2: ARCH=amd64 or ARCH=arm64"; exit 64 ;;
esac

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "Packages are missing, and installing them needs root or sudo. Run as root: $*"
        exit 1
    fi
}

install() {
    say "Installing with apt: $*"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

swift_is_new_enough() {
    command -v swift >/dev/null || return 1
    version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9.]*\).*/\1/p' | head -n 1)
    [ -n "$version" ] && [ "$(printf '%s\n%s\n' "$need_swift" "$version" | sort -V | head -n 1)" = "$need_swift" ]
}

case "${1:-build}" in
    build) wanted=$build ;;
    programs) wanted=$programs ;;
    deb) wanted=$deb ;;
    cross) wanted=$cross ;;
    publish) wanted=$publish ;;
    test) wanted=$test ;;
    machine) wanted=$machine ;;
    device) wanted=$device ;;
    bench) wanted=$bench ;;
    *) say "usage: $0 build|programs|deb|cross|publish|test|machine|bench|device"; exit 64 ;;
esac

missing=
for package in $wanted; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
# shellcheck disable=SC2086
[ -z "$missing" ] || install $missing

# These run or sign packages, and build nothing.
case "${1:-build}" in machine | device | publish) exit 0 ;; esac

if ! swift_is_new_enough; then
    candidate=$(apt-cache policy swiftlang 2>/dev/null | sed -n 's/.*Candidate: \([0-9.]*\).*/\1/p')
    if [ -n "$candidate" ] && [ "$(printf '%s\n%s\n' "$need_swift" "$candidate" | sort -V | head -n 1)" = "$need_swift" ]; then
        install swiftlang
    else
        say "Swift $need_swift or later is needed, and Debian's swiftlang is ${candidate:-not available}: install it from https://www.swift.org/install/linux/"
        exit 1
    fi
fi

# Mender's own update modules, for the test that runs them unchanged. The package is only unpacked, not installed.
if [ "${1:-build}" = test ]; then
    cache=$(dirname "$0")/../.cache/mender
    if [ ! -e "$cache/usr/share/mender/modules/v3/single-file" ]; then
        say "Fetching Mender's update modules with apt-get download mender-client"
        [ -n "$(apt-cache show mender-client 2>/dev/null)" ] || as_root apt-get update -qq
        mkdir -p "$cache/download"
        (cd "$cache/download" && apt-get download -qq mender-client)
        dpkg -x "$cache"/download/mender-client_*.deb "$cache"
        rm -rf "$cache/download"
    fi
    # promtool checks the metrics and the alert rules, and the exporter reads the metrics. They are only unpacked, not installed.
    cache=$(dirname "$0")/../.cache/prometheus
    if [ ! -x "$cache/usr/bin/promtool" ] || [ ! -x "$cache/usr/bin/prometheus-node-exporter" ]; then
        say "Fetching promtool with apt-get download prometheus prometheus-node-exporter"
        [ -n "$(apt-cache show prometheus 2>/dev/null)" ] || as_root apt-get update -qq
        mkdir -p "$cache/download"
        (cd "$cache/download" && apt-get download -qq prometheus prometheus-node-exporter)
        for package in "$cache"/download/*.deb; do dpkg -x "$package" "$cache"; done
        rm -rf "$cache/download"
    fi
    # The checker of Yocto recipes, for the test of packaging/yocto. Debian does not have it.
    oelint=$(dirname "$0")/../.cache/oelint
    requirements=$(dirname "$0")/../Tests/Yocto/requirements.txt
    if ! cmp -s "$requirements" "$oelint/requirements.txt"; then
        say "Installing oelint-adv from PyPI, below .cache"
        rm -rf "$oelint"
        if /usr/bin/python3 -m venv "$oelint" &&
            "$oelint/bin/pip" install --quiet --disable-pip-version-check --no-deps -r "$requirements"; then
            cp "$requirements" "$oelint/"
        else
            rm -rf "$oelint"
            say "There is no oelint-adv: the tests of the Yocto recipes are skipped"
        fi
    fi
fi
