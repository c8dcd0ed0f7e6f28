#!/bin/sh
# Adds packages to an apt repository, a directory for any web server. Earlier versions stay; a file of the pool never changes.
# Usage: apt-repository.sh REPOSITORY PACKAGE.deb…
# APT_KEY is the key: a fingerprint that gpg knows, or a file with an exported secret key. APT_URL is the address of the published
# repository, for the source lists.
set -eu
umask 022

repository=$(realpath -m "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=packaging/openpgp.sh
. "$here/openpgp.sh"
keyring=upgradelink-archive-keyring.gpg
suites="bookworm trixie"
architectures="amd64 arm64"
url=${APT_URL:-https://packages.example/upgradelink}

refuse() {
    echo "apt-repository: $*" >&2
    exit 1
}

new=$repository.new
trap 'openpgp_close; rm -rf "$new"' EXIT
trap 'exit 130' HUP INT TERM
openpgp_open
# Killed between the two renames at the end, an earlier run has left the old tree under this name.
[ -e "$repository" ] || [ ! -e "$repository.old" ] || mv "$repository.old" "$repository"
rm -rf "$new" "$repository.old"
mkdir -p "$new/pool" "$new/dists"
openpgp_export "$new/$keyring"

# The old tree may come from the web server: what others have changed there must not get a new signature.
if [ -e "$repository/dists" ]; then
    "$here/apt-repository-verify.sh" "$repository" "$new/$keyring"
    cp -al "$repository/pool/." "$new/pool/"
    # Copies, not links: apt-ftparchive's output must not reach the old tree. Old indices stay below by-hash, for a device that has
    # read the old InRelease just before the change.
    cp -a "$repository/dists/." "$new/dists/"
fi

suite_of() {
    for suite in $suites; do
        version=$("$here/version.sh" "$suite")
        case "$1" in *"~${version##*~}_"*) echo "$suite"; return ;; esac
    done
    refuse "$1: its version does not end with one of the suites $suites, as in ~deb12u1: make deb SUITE=… builds it"
}

for package in "$@"; do
    suite=$(suite_of "${package##*/}")
    # shellcheck disable=SC2016
    directory=pool/$suite/$(dpkg-deb -W --showformat='${Package}' "$package")
    file=$directory/${package##*/}
    mkdir -p "$new/$directory"
    if [ ! -e "$new/$file" ]; then
        cp "$package" "$new/$file"
    elif ! cmp -s "$package" "$new/$file"; then
        refuse "$file is in the repository with other bytes, and a published file never changes: raise the version, or remove $repository if it was never published"
    fi
done

cd "$new"
for suite in $suites; do
    mkdir -p "pool/$suite"
    for architecture in $architectures; do
        index=dists/$suite/main/binary-$architecture
        mkdir -p "$index"
        # SHA256 is what apt needs; older digests would only be longer.
        apt-ftparchive -q -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false -o APT::FTPArchive::SHA512=false \
            --arch "$architecture" packages "pool/$suite" >"$index/Packages.tmp"
        # A new file: the old one may be one inode with its copy below by-hash.
        mv "$index/Packages.tmp" "$index/Packages"
        xz -9 --threads=1 --keep --force "$index/Packages"
    done
    rm -f "dists/$suite/Release" "dists/$suite/InRelease" "dists/$suite/Release.gpg"
    # No Valid-Until: nothing signs the repository again between two releases.
    apt-ftparchive -q -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false -o APT::FTPArchive::SHA512=false \
        -o APT::FTPArchive::DoByHash=true -o APT::FTPArchive::Release::Acquire-By-Hash=yes \
        -o APT::FTPArchive::Release::Origin=upgradelink -o APT::FTPArchive::Release::Label=upgradelinkd \
        -o APT::FTPArchive::Release::Suite="$suite" -o APT::FTPArchive::Release::Codename="$suite" \
        -o APT::FTPArchive::Release::Components=main -o APT::FTPArchive::Release::Architectures="$architectures" \
        -o APT::FTPArchive::Release::Description="upgradelinkd for Debian ($suite)" \
        release "dists/$suite" >Release.tmp
    mv Release.tmp "dists/$suite/Release"
    openpgp_sign --clearsign "dists/$suite/Release" "dists/$suite/InRelease"
    openpgp_sign --detach-sign "dists/$suite/Release" "dists/$suite/Release.gpg"
    cat >"upgradelink-$suite.sources" <<SOURCES
# For /etc/apt/sources.list.d; the key is at $url/$keyring
Types: deb
URIs: $url
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/$keyring
SOURCES
done
cd /
"$here/apt-repository-verify.sh" "$new" "$new/$keyring"

[ ! -e "$repository" ] || mv "$repository" "$repository.old"
mv "$new" "$repository"
rm -rf "$repository.old"
