#!/bin/sh
# Checks that the keys of a release are there, before packages are built for half an hour.
set -eu

faults=0
fault() {
    printf 'release: %s\n' "$@" >&2
    faults=1
}

if [ -z "${MINISIGN_KEY:-}" ]; then
    fault "no key for SHA256SUMS: set MINISIGN_KEY=FILE, the secret key of minisign" \
        "    there is none yet? minisign -G -p upgradelinkd.pub -s upgradelinkd.key    (see docs/releasing.md)"
elif [ ! -r "$MINISIGN_KEY" ]; then
    fault "MINISIGN_KEY=$MINISIGN_KEY: there is no such file, or it cannot be read"
fi

if [ -z "${APT_KEY:-}" ]; then
    fault "no key for the apt repository: set APT_KEY=FINGERPRINT, or APT_KEY=FILE with an exported secret key" \
        "    there is none yet? gpg --quick-generate-key 'upgradelink archive' ed25519 sign never    (see docs/releasing.md)"
elif [ ! -r "$APT_KEY" ]; then
    # Several keys are separated by spaces, while one replaces another.
    for key in $APT_KEY; do
        gpg --batch --list-secret-keys "$key" >/dev/null 2>&1 ||
            fault "APT_KEY: gpg has no secret key \"$key\", and there is no such file (gpg --list-secret-keys lists the keys)"
    done
fi
[ $faults = 0 ]
