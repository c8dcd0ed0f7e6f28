#!/bin/sh
# Makes a chroot of a Debian release below .cache/cross: the programs are linked against its libraries, and the packages are
# made and checked in it. For a foreign architecture it has two: the tools of this machine's, and the libraries of both.
# Prints its path.  Usage: sysroot.sh SUITE ARCH
set -eu
. "$(dirname "$0")/common.sh"

suite=$1
arch=$2
sysroot=$cache/sysroot-$suite-$arch
case $suite in
    bookworm) gcc=12 systemd=systemd ;;
    *) gcc=14 systemd=systemd-dev ;;
esac

packages="debhelper dpkg-dev make lintian pkgconf $systemd"
for library in libc6-dev "libstdc++-$gcc-dev" libcurl4-openssl-dev libssl-dev libsystemd-dev libtomlplusplus-dev; do
    packages="$packages $library:$arch"
done
# The emulator runs the programs once, for their shell completions.
[ "$arch" = "$native" ] ||
    packages="$packages binutils-$(architecture "$arch" DEB_HOST_GNU_TYPE | tr _ -) qemu-user"

inputs="$native $packages"
if ! is_current "$sysroot" "$inputs"; then
    need_root "Making a chroot of Debian ($suite)"
    say "Making a chroot of Debian ($suite) for building $arch packages (300 MB to fetch, 1 GB below .cache)"
    rm -rf "$sysroot.new"
    foreign=
    [ "$arch" = "$native" ] || foreign="--skip=check/qemu --architectures=$native,$arch"
    # shellcheck disable=SC2086
    make_debian "$suite" "$sysroot.new" $foreign --include="$(echo $packages | tr ' ' ,)"
    finish "$sysroot" "$inputs"
fi
echo "$sysroot"
