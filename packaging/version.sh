#!/bin/sh
# Prints the version of the packages for a release of the distribution. It ends with the release, so that an upgrade from one
# release to the next also upgrades these packages.  Usage: version.sh SUITE
set -eu

case $1 in
    bookworm) suffix=deb12u1 ;;
    trixie) suffix=deb13u1 ;;
    forky) suffix=deb14u1 ;;
    *) suffix=${1}1 ;;
esac
sed -n "1s/^upgradelinkd (\([^)]*\)).*/\1~$suffix/p" "$(dirname "$0")/debian/changelog"
