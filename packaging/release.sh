#!/bin/sh
# Makes a release from the packages of this version: DIRECTORY/VERSION with the packages, the source, the release notes and signed
# checksums, and the apt repository.
# Usage: release.sh PACKAGES DIRECTORY SUITE/ARCHITECTURE…
# MINISIGN_KEY and APT_KEY are the keys. RELEASE_PARTIAL=1 leaves out packages that are missing. APT_REPOSITORY is the repository
# that gets the packages (DIRECTORY/apt).
set -eu
umask 022

packages=$(cd "$1" && pwd)
mkdir -p "$2"
directory=$(cd "$2" && pwd)
shift 2
here=$(cd "$(dirname "$0")" && pwd)
version=$("$here/release-version.sh")
"$here/release-keys.sh"
SOURCE_DATE_EPOCH=$(git -C "$here" log -1 --format=%ct HEAD)
export SOURCE_DATE_EPOCH

refuse() {
    echo "release: $*" >&2
    exit 1
}

# Prints the file of a package, if it is there.
find_package() (
    file=$packages/$1_$("$here/version.sh" "$2")_$3.deb
    [ -e "$file" ] || return 0
    # shellcheck disable=SC2016
    says=$(dpkg-deb -W --showformat='${Package}_${Version}_${Architecture}.deb' "$file")
    [ "$says" = "${file##*/}" ] || refuse "$file contains $says: build it again"
    [ "$(stat -c %Y "$file")" -ge "$SOURCE_DATE_EPOCH" ] || refuse "$file is older than the commit of this release: build it again"
    echo "$file"
)

new=$directory/$version.new
trap 'rm -rf "$new"' EXIT
trap 'exit 130' HUP INT TERM
rm -rf "$new"
mkdir "$new"
missing=
for release in "$@"; do
    for name in upgradelinkd upgradelink-sim; do
        package=$(find_package "$name" "${release%/*}" "${release#*/}")
        if [ -n "$package" ]; then cp "$package" "$new/"; else missing="$missing $name ($release)"; fi
    done
done
if [ -n "$missing" ]; then
    [ -n "${RELEASE_PARTIAL:-}" ] ||
        refuse "missing in $packages:$missing; build with make deb SUITE=… ARCH=…, or leave out what is missing: RELEASE_PARTIAL=1"
    echo "release: left out, because RELEASE_PARTIAL is set:$missing" >&2
fi
ls "$new"/*.deb >/dev/null 2>&1 || refuse "there is no package of $version in $packages: make deb"

# The same commit gives the same bytes: git takes the time from the commit, and gzip -n adds none.
git -C "$here/.." -c tar.umask=0022 archive --format=tar --prefix="upgradelinkd-$version/" HEAD >"$new/upgradelinkd-$version.tar"
gzip -9n "$new/upgradelinkd-$version.tar"
{
    echo "# upgradelinkd $version"
    [ -z "$missing" ] || printf '\nNot in this release:%s.\n' "$missing"
    awk '/^## /{ inside = !seen; seen = 1; next } inside' "$here/../CHANGELOG.md"
} >"$new/RELEASE-NOTES.md"

repository=${APT_REPOSITORY:-$directory/apt}
"$here/apt-repository.sh" "$repository" "$new"/*.deb
cp "$repository/upgradelink-archive-keyring.gpg" "$new/"

cd "$new"
touch -d "@$SOURCE_DATE_EPOCH" ./*
sha256sum -- * >../SHA256SUMS.new
mv ../SHA256SUMS.new SHA256SUMS
minisign -S -s "$MINISIGN_KEY" -m SHA256SUMS -c "signature of the release's maintainers" \
    -t "project=upgradelinkd version=$version file=SHA256SUMS commit=$(git -C "$here" rev-parse HEAD)"
touch -d "@$SOURCE_DATE_EPOCH" SHA256SUMS SHA256SUMS.minisig
rm -rf "${directory:?}/$version"
mv "$new" "$directory/$version"
echo "$directory/$version"
echo "$repository"
