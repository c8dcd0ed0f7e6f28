#!/bin/sh
# Makes the Debian packages from what "make programs" built. It runs on the release that the packages are for, or in a chroot of
# it (packaging/cross).  Usage: deb.sh SUITE ARCH DIRECTORY [make's variables…]
set -eu

suite=$1
arch=$2
directory=$3
shift 3
top=$(cd "$(dirname "$0")/.." && pwd)
version=$("$top/packaging/version.sh" "$suite")
work=$directory/$suite-$arch.new

rm -rf "$work"
mkdir -p "$work/source"
cp -r "$top/packaging/debian" "$work/source/debian"
cd "$work/source"
sed -i "1s/([^)]*) [^;]*/($version) $suite/" debian/changelog
TOP=$top VARIABLES="$*" DEB_BUILD_OPTIONS=noautodbgsym \
    dpkg-buildpackage -b -us -uc -a"$arch" --no-check-builddeps >"$directory/build.log" 2>&1 || {
    tail -n 40 "$directory/build.log" >&2
    exit 1
}
cd "$work"
lintian --allow-root --fail-on warning,error --info ./*.deb
# Only the earlier packages of this release and architecture are replaced.
rm -f "$directory"/*"~${version##*~}_$arch.deb"
for package in *.deb; do
    mv "$package" "$directory/"
    echo "$directory/$package"
done
rm -rf "$work"
