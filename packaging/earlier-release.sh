#!/bin/sh
# Builds the Debian package of an earlier release from this repository's history, for the test that updates from this release
# and rolls back to it.  Usage: earlier-release.sh VERSION DIRECTORY
set -eu

version=$1
directory=$2
case "$version" in
    0.1.0) commit=0b02a8e507623e32e3eef62645400accbf82230a ;;
    *) echo "$0: the commit of release $version is not known" >&2; exit 64 ;;
esac

ls "$directory/upgradelinkd_$version"*.deb >/dev/null 2>&1 && exit 0
top=$(cd "$(dirname "$0")/.." && pwd)
git -C "$top" cat-file -e "$commit^{commit}" 2>/dev/null || {
    echo "$0: this checkout has no commit $commit ($version): git fetch --unshallow" >&2
    exit 1
}
echo "Building the package of $version from $commit" >&2
source=$directory/source
rm -rf "$source"
mkdir -p "$source"
git -C "$top" archive "$commit" | tar -x -C "$source"
# Not optimized, which takes half the time. The flags of the make that runs this script must not affect the make of the earlier
# release.
env -u MAKEFLAGS -u MAKELEVEL make -C "$source" deb RELEASE="\$(DEFINES) -c release -Xswiftc -Onone --static-swift-stdlib \
    --scratch-path .build-release --product upgradelink" >"$directory/build.log" 2>&1 || {
    tail -n 40 "$directory/build.log" >&2
    exit 1
}
mv "$source"/.cache/deb/upgradelinkd_*.deb "$directory/"
rm -rf "$source"
