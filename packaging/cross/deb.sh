#!/bin/sh
# Builds the Debian packages for another release of Debian or another architecture. SWIFT_FLAGS has the compiler's options, and
# SWIFT_SDK may name an installed Swift SDK.  Usage: deb.sh SUITE ARCH DIRECTORY
set -eu
. "$(dirname "$0")/common.sh"

suite=$1
arch=$2
directory=$3
stage=$cache/stage-$suite-$arch

case $suite in
    bookworm | trixie) ;;
    *) fail "There are packages for Debian 12 (SUITE=bookworm) and 13 (SUITE=trixie), not for $suite" ;;
esac
if [ "$arch" != "$native" ] && [ -z "${SWIFT_SDK:-}" ]; then
    [ "$suite" != bookworm ] || fail "Debian 12 (bookworm) has no Swift compiler for $arch, and the library of Debian sid's needs" \
        "the C library of Debian 13: run make deb ARCH=$arch for Debian 13, or, with an installed Swift SDK for Debian 12 on" \
        "$arch (swift sdk list): SWIFT_SDK=NAME make deb ARCH=$arch SUITE=bookworm"
    "$cross/compiler.sh" "$arch"
fi

# Strips the programs and makes the packages, in the release that they are for.
sysroot=$("$cross/sysroot.sh" "$suite" "$arch")
gnu=$(architecture "$arch" DEB_HOST_GNU_TYPE)
rm -rf "$stage.new"
mkdir -p "$stage.new"
for product in upgradelink upgradelink-sim; do
    # shellcheck disable=SC2086
    products=$("$cross/swift.sh" "$suite" "$arch" ${SWIFT_FLAGS:?} --product $product)
    "$cross/chroot.sh" "$sysroot" "$gnu-strip" -o "$stage.new/$product" "$products/$product"
done
for name in upgradelinkd upgradelinkctl upgradelink-fetch upgradelink-installer; do ln -s upgradelink "$stage.new/$name"; done
rm -rf "$stage"
mv "$stage.new" "$stage"

emulator=
[ "$arch" = "$native" ] || emulator=qemu-$(architecture "$arch" DEB_HOST_GNU_CPU)
"$cross/chroot.sh" "$sysroot" packaging/deb.sh "$suite" "$arch" "$directory" "STAGE=${stage#"$top/"}" "EMULATOR=$emulator"
