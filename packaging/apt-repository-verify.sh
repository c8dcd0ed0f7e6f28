#!/bin/sh
# Checks an apt repository: each signature, each index against its signature, and each package against its index. Nothing else may
# be in its pool.  Usage: apt-repository-verify.sh REPOSITORY KEYRING
set -eu

keyring=$(realpath "$2")
cd "$1"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
refuse() {
    echo "apt-repository: $PWD: $*" >&2
    exit 1
}

[ -z "$(find . -type l)" ] || refuse "the repository contains symbolic links"
: >"$scratch/sums"
for directory in dists/*; do
    [ -e "$directory/InRelease" ] || refuse "$directory has no InRelease: take the repository again from where it is published"
    # One good signature is enough: while one key replaces another, there is a signature of each.
    gpgv --keyring "$keyring" --status-fd 3 --output "$scratch/Release" "$directory/InRelease" 3>"$scratch/status" 2>"$scratch/log" || true
    grep -q '^\[GNUPG:\] GOODSIG' "$scratch/status" || {
        cat "$scratch/log" >&2
        refuse "the signature of $directory/InRelease is not one of the keys in $keyring"
    }
    rm -f "$scratch/indices"
    awk '/^[^ ]/{ on = /^SHA256:/ } on && NF == 3 { print $1 "  " $3 }' "$scratch/Release" >"$scratch/indices"
    (cd "$directory" && sha256sum --check --quiet --strict "$scratch/indices") || refuse "$directory differs from its signed InRelease"
    cat "$directory"/main/binary-*/Packages |
        awk '/^Filename: /{ file = $2 } /^SHA256: /{ sum = $2 } /^$/ && file { print sum "  " file; file = "" }' >>"$scratch/sums"
done
[ ! -s "$scratch/sums" ] || sha256sum --check --quiet --strict "$scratch/sums" || refuse "a package differs from the signed index"
find pool -type f | sort >"$scratch/pool"
cut -c 67- "$scratch/sums" | sort | diff - "$scratch/pool" >&2 || refuse "the pool has other files than the signed indices name (>: not named)"
