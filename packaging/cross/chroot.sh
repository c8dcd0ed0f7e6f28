#!/bin/sh
# Runs a command in a chroot that sees this checkout under its own path. The mounts are in a namespace of their own and
# end with the command, and so do all processes that it leaves.  Usage: chroot.sh ROOT COMMAND...
set -eu
. "$(dirname "$0")/common.sh"

need_root "Working in a chroot"
mkdir -p "$cache/home" "$cache/tmp"
export top cache
exec unshare --mount --pid --fork --kill-child --propagation private sh -euc '
    root=$1
    shift
    mkdir -p "$root$top"
    mount --bind "$top" "$root$top"
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin HOME="$cache/home" LC_ALL=C.UTF-8 \
        TMPDIR="$cache/tmp" chroot "$root" sh -euc "cd \"\$1\" && shift && exec \"\$@\"" chroot "$top" "$@"
' chroot "$@"
