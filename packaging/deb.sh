#!/bin/sh
# Builds the Debian packages from what "make release" built.  Usage: deb.sh DIRECTORY
set -eu

directory=$1
top=$(cd "$(dirname "$0")/.." && pwd)

rm -rf "$directory"
mkdir -p "$directory/source"
cp -r "$top/packaging/debian" "$directory/source/debian"
cd "$directory/source"
TOP=$top DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -b -us -uc --no-check-builddeps >"$directory/build.log" 2>&1 || {
    tail -n 40 "$directory/build.log" >&2
    exit 1
}
cd "$directory"
rm -rf source ./*.buildinfo ./*.changes
lintian --fail-on warning,error --info ./*.deb
for package in *.deb; do echo "$directory/$package"; done
