#!/bin/sh
# Prints the version that this checkout releases. Refuses unless everything that names a version agrees, and unless the commit has
# everything that is in the packages.
set -eu

top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top"
faults=0
fault() {
    echo "release: $*" >&2
    faults=1
}

version=$(sed -n 's/^public let productVersion = "\(.*\)"$/\1/p' Sources/UpdateCore/ProductVersion.swift)
if [ -z "$version" ]; then
    echo "release: Sources/UpdateCore/ProductVersion.swift has no productVersion" >&2
    exit 1
fi

packaged=$(dpkg-parsechangelog -l packaging/debian/changelog -S Version)
[ "${packaged%-*}" = "$version" ] ||
    fault "packaging/debian/changelog begins with $packaged, and the programs say $version: add an entry for $version"
[ "$(dpkg-parsechangelog -l packaging/debian/changelog -S Distribution)" != UNRELEASED ] ||
    fault "packaging/debian/changelog: the entry of $packaged is UNRELEASED: replace this word by \"unstable\", and set its date"

# "## 0.2.0", or "## [0.2.0] - 2026-11-30".
changed=$(sed -n 's/^## \[\{0,1\}\([^] ]*\).*/\1/p' CHANGELOG.md | head -n 1)
[ "$changed" = "$version" ] ||
    fault "CHANGELOG.md begins with \"$changed\", and the programs say $version: name the section after the version"

recipes=$(find packaging -name 'upgradelink*_[0-9]*.bb' ! -name "*_$version.bb")
[ -z "$recipes" ] || fault "these recipes are named after another version than $version, rename them: $recipes"

if ! head=$(git rev-parse --verify -q HEAD); then
    fault "$top is not a checkout of git with a commit: release from a clone"
else
    changes=$(git status --porcelain)
    [ -z "$changes" ] || fault "the checkout has changes that no commit has: commit or remove them
$changes"
    tagged=$(git rev-parse --verify -q "refs/tags/v$version^{commit}" || true)
    [ -n "$tagged" ] || fault "there is no tag v$version: git tag -s v$version -m \"upgradelinkd $version\""
    [ -z "$tagged" ] || [ "$tagged" = "$head" ] ||
        fault "the tag v$version is at $tagged, and the checkout at $head: git checkout v$version, or release a new version"
fi

[ $faults = 0 ] || exit 1
echo "$version"
