#!/bin/sh
# Makes below .cache what the tests that boot containers need: a clean Debian 12 and 13, and the package of the previous release.
# Without root there are none, and the tests that need them are skipped.
set -eu
cd "$(dirname "$0")/.."

debian=.cache/debian
mkdir -p "$debian"
for suite in bookworm trixie; do
    if [ ! -e "$debian/$suite.tar" ]; then
        if [ "$(id -u)" != 0 ]; then
            echo "There is no clean Debian ($suite), because it takes root: the tests that need it are skipped" >&2
            continue
        fi
        echo "Making a clean Debian ($suite) with mmdebstrap (200 MB, below .cache)" >&2
        mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus "$suite" "$debian/new.tar"
        mv "$debian/new.tar" "$debian/$suite.tar"
    fi
    # What apt installs in a clean Debian that has no network.
    if [ "$(id -u)" = 0 ] && { [ ! -e "$debian/$suite-apt.tar" ] || [ packaging/apt-archive.sh -nt "$debian/$suite-apt.tar" ]; }; then
        echo "Fetching what the packages depend on in Debian ($suite) (100 MB, below .cache)" >&2
        packaging/apt-archive.sh "$debian/$suite.tar" "$debian/$suite-apt.tar"
    fi
done

# For the tests that update from it and roll back to it.
packaging/earlier-release.sh 0.1.0 "$PWD/.cache/releases/0.1.0" ||
    echo "There is no package of 0.1.0: the tests of the update from it are skipped" >&2
