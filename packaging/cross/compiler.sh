#!/bin/sh
# Makes the compiler for another architecture from Debian's packages below .cache/cross: compiler/, a chroot of Debian sid with
# swiftlang, and swift-ARCH/, the Swift library of that architecture. Both are of one version, because the module formats of
# different versions do not mix. An earlier compiler is kept as long as it is new enough.
# Usage: compiler.sh ARCH          makes what is missing
#        compiler.sh ARCH check    prints the version that is there or that Debian has, or says what is missing
set -eu
. "$(dirname "$0")/common.sh"

arch=$1
need_swift=6.2
compiler=$cache/compiler
library=$cache/swift-$arch
packages=swiftlang,libc6-dev,git,ca-certificates
inputs="$native $arch $need_swift $packages"

# An apt of its own: nothing of this machine's apt is changed.
own_apt() {
    command=$1
    shift
    "$command" -o Dir::State="$cache/apt/state" -o Dir::State::status="$cache/apt/status" -o Dir::Cache="$cache/apt/cache" \
        -o Dir::Etc::SourceList="$cache/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
        -o APT::Architecture="$native" -o APT::Architectures="$native,$arch" -o Acquire::Languages=none \
        -o APT::Sandbox::User=root "$@"
}

update_indexes() {
    mkdir -p "$cache/apt/state/lists/partial" "$cache/apt/cache/archives/partial"
    : >"$cache/apt/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) sid main" >"$cache/apt/sources.list"
    own_apt apt-get update -qq --error-on=any
}

# A rebuild for new libraries (+b1) is the same version of Swift.
debian_version() {
    own_apt apt-cache show --no-all-versions "swiftlang:$1" 2>/dev/null | sed -n 's/^Version: //p' | head -n 1
}

is_new_enough() { [ -n "$1" ] && dpkg --compare-versions "$1" ge "$need_swift"; }

# The version of swiftlang that Debian sid has for both architectures.
available() {
    here=$(debian_version "$native")
    there=$(debian_version "$arch")
    if [ "${here%+b*}" != "${there%+b*}" ] || ! is_new_enough "$here"; then
        fail "Debian sid has no Swift compiler for $arch today: swiftlang is ${here:-missing} for $native and ${there:-missing}" \
            "for $arch, and one version, $need_swift or later, is needed for both. Try again later, or install a Swift SDK for" \
            "$arch with the version of this machine's Swift from https://www.swift.org/install/linux/ (swift sdk install), and" \
            "run: SWIFT_SDK=NAME make deb ARCH=$arch"
    fi
    echo "${here%+b*}"
}

if is_current "$compiler" "$inputs" && is_current "$library" "$inputs" &&
    cmp -s "$compiler/version" "$library/version"; then
    [ "${2:-}" != check ] || cat "$compiler/version"
    exit 0
fi
update_indexes
version=$(available)
if [ "${2:-}" = check ]; then
    echo "$version"
    exit 0
fi

need_root "Making a chroot with Debian's Swift compiler"
if ! is_current "$compiler" "$inputs" || [ "$(cat "$compiler/version")" != "$version" ]; then
    say "Making a chroot with Debian's Swift $version (600 MB to fetch, 3.3 GB below .cache)"
    rm -rf "$compiler.new"
    make_debian sid "$compiler.new" --include="$packages"
    version=$(dpkg-query --admindir="$compiler.new/var/lib/dpkg" -W -f '${Version}' swiftlang)
    version=${version%+b*}
    echo "$version" >"$compiler.new/version"
    finish "$compiler" "$inputs"
fi
say "Fetching Debian's Swift library $version for $arch (500 MB to fetch, 2 GB below .cache)"
rm -rf "$library.new"
mkdir -p "$library.new/download"
(cd "$library.new/download" && own_apt apt-get download -qq "swiftlang:$arch" "libswiftlang:$arch")
for package in "$library.new"/download/*.deb; do dpkg -x "$package" "$library.new"; done
# The compiler itself runs on the other architecture only.
rm -rf "$library.new/download" "$library.new/usr/libexec/swift/bin"
# Debian leaves this library out, with which unit tests are linked.
testing=$library.new/usr/libexec/swift/lib/swift/linux/lib_Testing_Foundation
[ -e "$testing.so" ] || printf '!<arch>\n' >"$testing.a"
echo "$version" >"$library.new/version"
finish "$library" "$inputs"
