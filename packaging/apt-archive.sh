#!/bin/sh
# Makes an archive of apt's lists and of the packages that ours depend on, for a clean Debian without a network: apt installs from
# it as it would from Debian's servers.  Usage: apt-archive.sh DEBIAN.tar ARCHIVE.tar; needs root.
set -eu

debian=$1
archive=$2
# What packaging/debian/control depends on and recommends.
packages="libcurl4 libssl3 libstdc++6 libsystemd0 dbus ca-certificates polkitd minisign"

root=$(mktemp -d)
trap 'umount -l "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT
tar -xf "$debian" -C "$root"
cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
mount -t proc proc "$root/proc"
in_root() { chroot "$root" env -u TMPDIR DEBIAN_FRONTEND=noninteractive "$@"; }
in_root apt-get update -qq
# shellcheck disable=SC2086
in_root apt-get install -y -qq --download-only $packages >/dev/null
rm -rf "$root"/var/lib/apt/lists/partial/* "$root"/var/cache/apt/archives/partial/*
tar -cf "$archive.new" -C "$root" var/lib/apt/lists var/cache/apt/archives
mv "$archive.new" "$archive"
