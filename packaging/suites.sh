# Sourced: the Debian releases that have packages of their own, and the mark in the versions of their packages (0.2.0-1~deb12u1).
# shellcheck shell=sh disable=SC2034
suites="bookworm trixie"

suite_mark() {
    case "$1" in
        bookworm) echo deb12 ;;
        trixie) echo deb13 ;;
        *) echo "$0: no packages are made for the suite \"$1\" (suites: $suites)" >&2; return 64 ;;
    esac
}
