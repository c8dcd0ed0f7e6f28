# Sourced by the scripts next to it.
# shellcheck shell=sh
# shellcheck disable=SC2034
top=$(cd "$(dirname "$0")/../.." && pwd)
cross=$top/packaging/cross
# Everything is made as NAME.new and then renamed: an interrupted run leaves nothing half made under its name.
cache=$top/.cache/cross
mkdir -p "$cache"

say() { printf '%s\n' "$*" >&2; }
fail() {
    say "$*"
    exit 1
}

need_root() { [ "$(id -u)" = 0 ] || fail "$1 takes root: run make deb as root"; }

# is_current DIRECTORY INPUTS: whether the directory was made from these inputs.
is_current() { [ "$(cat "$1/.made-from" 2>/dev/null)" = "$2" ]; }

# finish DIRECTORY INPUTS: DIRECTORY.new takes the place of DIRECTORY.
finish() {
    printf '%s\n' "$2" >"$1.new/.made-from"
    rm -rf "$1"
    mv "$1.new" "$1"
}

native=$(dpkg --print-architecture)

# architecture ARCH VARIABLE: one of dpkg-architecture(1), such as DEB_HOST_GNU_TYPE.
architecture() { env -u CC dpkg-architecture -a"$1" -q "$2" 2>/dev/null; }

# The Debian mirror that this machine uses.
mirror() {
    uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null |
        head -n 1)
    echo "${uri:-http://deb.debian.org/debian}"
}

# make_debian SUITE DIRECTORY OPTION...: a Debian release from this machine's mirror, fetched as this machine's apt fetches
# (a proxy, or a snapshot of the archive whose validity has ended).
make_debian() {
    suite=$1
    directory=$2
    shift 2
    apt-config dump | grep -E '^Acquire::(https?|Check)' >"$cache/acquire.conf"
    # What mmdebstrap mounts is in a namespace of its own: an interrupted run leaves no mounts, which "rm -r" would follow.
    unshare --mount --propagation private mmdebstrap --quiet --variant=apt --aptopt="$cache/acquire.conf" "$@" "$suite" "$directory" "$(mirror)" >&2
    rm -rf "$directory"/var/cache/apt/archives/*.deb "$directory"/var/lib/apt/lists/*_*
}
