#!/bin/sh
# What two forms of the programs need of a box: the Swift runtime as libraries beside them, or within each of them. Size on
# flash, and memory of an idle agent (/proc/PID/smaps_rollup).  Usage: sizes.sh SHARED-STAGE STATIC-BUILD
set -eu

shared=$1
static=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

mkdir -p "$folder/shared/sbin" "$folder/shared/lib/upgradelinkd" "$folder/static/sbin" "$folder/box/etc/upgradelinkd"
cp "$shared"/programs/upgradelinkd "$folder/shared/sbin/"
cp "$shared"/programs/upgradelinkctl "$shared"/programs/upgradelink-* "$shared"/runtime/* "$folder/shared/lib/upgradelinkd/"
for program in upgradelinkd upgradelinkctl upgradelink-fetch upgradelink-installer; do
    strip -o "$folder/static/sbin/$program" "$static/$program"
done
cat >"$folder/box/etc/upgradelinkd/upgradelinkd.toml" <<END
[credentials]
accessKey = "a"
secretKey = "b"
[device]
urlKey = "k"
devKey = "d"
versionCode = 1
[verification]
keysFolder = "$folder"
[poll]
splay = "7d"
[state]
folder = "$folder/state"
END
chmod 600 "$folder/box/etc/upgradelinkd/upgradelinkd.toml"
# Pages that are not written yet would count as dirty.
sync

printf '%-8s %10s %10s %15s\n' form "flash kB" "PSS kB" "private dirty kB"
for form in shared static; do
    DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent "$folder/$form/sbin/upgradelinkd" --root "$folder/box" 2>/dev/null &
    agent=$!
    while [ ! -e "$folder/state/state.json" ]; do sleep 0.1; done
    sleep 2
    pss=$(sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "/proc/$agent/smaps_rollup")
    dirty=$(sed -n 's/^Private_Dirty: *\([0-9]*\) kB/\1/p' "/proc/$agent/smaps_rollup")
    kill "$agent"
    wait "$agent" || true
    rm -rf "$folder/state"
    printf '%-8s %10s %10s %15s\n' "$form" "$(du -sk "$folder/$form" | cut -f1)" "$pss" "$dirty"
done
