#!/bin/sh
# Makes what was built for use ready to be installed: strips the programs, and puts the parts of the Swift runtime that
# they need beside them, so that the box needs no Swift.  Usage: stage.sh BUILD-FOLDER STAGING-FOLDER
set -eu

build=$1
stage=$2
runtime=$(swiftc -print-target-info | sed -n '/"runtimeLibraryPaths"/,/]/ s|^ *"\(/[^"]*\)".*|\1|p' | head -n 1)

needed() { readelf -d "$1" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'; }

rm -rf "$stage"
mkdir -p "$stage/programs" "$stage/runtime"
for program in upgradelinkd upgradelinkctl upgradelink-fetch upgradelink-installer; do
    file=$stage/programs/$program
    strip -o "$file" "$build/$program"
    # TOMLKit names full Foundation, and uses nothing of it; it would bring 50 MB of ICU along.
    for library in libFoundation.so libFoundationInternationalization.so lib_FoundationICU.so; do
        needed "$file" | grep -qxF "$library" || continue
        nm -D --defined-only "$runtime/$library" | sed 's/.* //' | sort >"$stage/defined"
        nm -D --undefined-only "$file" | sed 's/.* //' | sort >"$stage/wanted"
        if [ -n "$(comm -12 "$stage/defined" "$stage/wanted")" ]; then
            echo "$program uses $library, which is too large for a box" >&2
            exit 1
        fi
        patchelf --remove-needed "$library" "$file"
    done
    case "$program" in
        upgradelinkd | upgradelinkctl) patchelf --set-rpath "\$ORIGIN/../lib/upgradelinkd" "$file" ;;
        *) patchelf --set-rpath "\$ORIGIN" "$file" ;;
    esac
done
rm -f "$stage/defined" "$stage/wanted"

# What the programs need of the runtime, and what that needs in turn.
queue=$(for file in "$stage"/programs/*; do needed "$file"; done | sort -u)
while [ -n "$queue" ]; do
    next=
    for library in $queue; do
        [ -e "$runtime/$library" ] && [ ! -e "$stage/runtime/$library" ] || continue
        strip --strip-unneeded -o "$stage/runtime/$library" "$runtime/$library"
        patchelf --set-rpath "\$ORIGIN" "$stage/runtime/$library"
        next="$next $(needed "$stage/runtime/$library")"
    done
    queue=$next
done
chmod 755 "$stage"/programs/*
chmod 644 "$stage"/runtime/*
