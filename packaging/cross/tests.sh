#!/bin/sh
# Builds the unit tests for another architecture below .cache/cross/tests-ARCH, for an emulated machine with Debian 13:
#   programs/    upgradelinkdPackageTests.xctest, the programs that the tests start, and the libraries that they preload
#   lib/         Swift's shared libraries: the programs find them as ../lib
#   checkout     the path of this checkout, with which the tests are compiled: they expect Tests, packaging, docs, config,
#                Sources, Makefile and *.md there
#   packages     the packages of Debian 13 that the libraries need; those of `packaging/dependencies.sh test` are for the tests
# Run in the machine: programs/upgradelinkdPackageTests.xctest --testing-library swift-testing --filter SUITE
# Usage: tests.sh [ARCH]
set -eu
. "$(dirname "$0")/common.sh"

arch=${1:-arm64}
suite=trixie
tests=$cache/tests-$arch

"$cross/compiler.sh" "$arch"
sysroot=$("$cross/sysroot.sh" "$suite" "$arch")
gnu=$(architecture "$arch" DEB_HOST_GNU_TYPE)
# shellcheck disable=SC2016
products=$("$cross/swift.sh" "$suite" "$arch" --build-tests -Xlinker -rpath -Xlinker '$ORIGIN/../lib')
rm -rf "$tests.new"
mkdir -p "$tests.new/programs" "$tests.new/lib"
for file in "$products"/*; do
    if [ -f "$file" ] && [ -x "$file" ]; then
        "$cross/chroot.sh" "$sysroot" "$gnu-strip" --strip-debug -o "$tests.new/programs/${file##*/}" "$file"
    fi
done
cp "$cache/swift-$arch"/usr/libexec/swift/lib/swift/linux/*.so "$tests.new/lib/"
echo "$top" >"$tests.new/checkout"
printf '%s\n' libcurl4 libssl3 libsystemd0 libstdc++6 >"$tests.new/packages"
rm -rf "$tests"
mv "$tests.new" "$tests"
echo "$tests"
