#!/bin/sh
# Builds the Debian package from what "make release" built.  Usage: deb.sh FOLDER
set -eu

folder=$1
top=$(cd "$(dirname "$0")/.." && pwd)

rm -rf "$folder"
mkdir -p "$folder/source"
cp -r "$top/packaging/debian" "$folder/source/debian"
cd "$folder/source"
TOP=$top DEB_BUILD_OPTIONS=noautodbgsym dpkg-buildpackage -b -us -uc --no-check-builddeps >"$folder/build.log" 2>&1 || {
    tail -n 40 "$folder/build.log" >&2
    exit 1
}
cd "$folder"
rm -rf source ./*.buildinfo ./*.changes
lintian --fail-on warning,error --info ./*.deb
echo "$folder/$(echo upgradelinkd_*.deb)"
