#!/bin/sh
# Runs "swift build" for a Debian release and an architecture. The compiler is this machine's; for another architecture it is
# Debian's in its chroot, or, with SWIFT_SDK, this machine's with that Swift SDK. Prints the directory with the products.
# Usage: swift.sh SUITE ARCH OPTION...
set -eu
. "$(dirname "$0")/common.sh"

suite=$1
arch=$2
shift 2
scratch=$cache/build-$suite-$arch
cd "$top"
# Swift's package manager leaves temporary directories behind.
rm -rf "$cache"/tmp/TemporaryDirectory.*
mkdir -p "$cache/tmp"
export TMPDIR="$cache/tmp"

# The chroot may have no access to the repositories of the packages, which this machine's git may be configured to find elsewhere.
swift package resolve --scratch-path "$scratch" >&2
if [ -n "${SWIFT_SDK:-}" ]; then
    set -- "$@" --swift-sdk "$SWIFT_SDK"
else
    set -- "$@" --swift-sdks-path "$cache/sdks" --swift-sdk "$("$cross/sdk.sh" "$suite" "$arch")"
fi
run() {
    if [ -n "${SWIFT_SDK:-}" ] || [ "$arch" = "$native" ]; then
        "$@"
    else
        "$cross/chroot.sh" "$cache/compiler" "$@"
    fi
}
set -- "$@" --scratch-path "$scratch" --disable-automatic-resolution
run swift build "$@" >&2
run swift build "$@" --show-bin-path
