# Sourced: signs with the keys of APT_KEY, which are in gpg's own home directory, or in a file.
# shellcheck shell=sh

openpgp_open() {
    openpgp_home=
    openpgp_keys=$APT_KEY
    [ -f "$APT_KEY" ] || return 0
    # A directory of its own: the maintainer's own keys stay as they are.
    openpgp_home=$(mktemp -d)
    export GNUPGHOME="$openpgp_home"
    gpg --batch --quiet --import "$APT_KEY"
    openpgp_keys=$(gpg --batch --with-colons --list-secret-keys | awk -F: '$1 == "sec" { want = 1 } $1 == "fpr" && want { print $10; want = 0 }')
    [ -n "$openpgp_keys" ] || { echo "APT_KEY=$APT_KEY has no secret key: gpg --export-secret-keys exports one" >&2; return 1; }
}

# Ends the agent that gpg has started for a directory of its own.
openpgp_close() {
    [ -n "${openpgp_home:-}" ] || return 0
    gpgconf --kill all
    gpgconf --remove-socketdir 2>/dev/null || true
    rm -rf "$openpgp_home"
}

openpgp_sign() { # --clearsign|--detach-sign FILE OUTPUT
    operation=$1 file=$2 output=$3
    set --
    for key in $openpgp_keys; do set -- "$@" --local-user "$key"; done
    gpg --batch --yes --quiet --armor --digest-algo SHA512 "$@" --output "$output" "$operation" "$file"
}

openpgp_export() { # FILE
    # shellcheck disable=SC2086
    gpg --batch --export-options export-minimal --export $openpgp_keys >"$1"
    [ -s "$1" ] || { echo "gpg has no public key of APT_KEY=$APT_KEY" >&2; return 1; }
}
