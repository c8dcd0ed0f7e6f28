#!/bin/sh
# Makes the Swift SDK for a Debian release and an architecture below .cache/cross/sdks: three files that tell a Swift compiler
# where the libraries of Swift and of Debian are. Makes its parts, too. Prints its name.  Usage: sdk.sh SUITE ARCH
set -eu
. "$(dirname "$0")/common.sh"

suite=$1
arch=$2
name=debian-$suite-$arch
triple=$(architecture "$arch" DEB_HOST_GNU_CPU)-unknown-linux-gnu
sysroot=$("$cross/sysroot.sh" "$suite" "$arch")
if [ "$arch" = "$native" ]; then
    swift=$(readlink -f "$(command -v swift)")
    library=${swift%/bin/*}/lib
else
    "$cross/compiler.sh" "$arch"
    library=$cache/swift-$arch/usr/libexec/swift/lib
fi
# The compiler's driver looks for a part of the library below the root of the SDK only.
for part in swift swift_static; do ln -sfn "$library/$part" "$sysroot/usr/lib/$part"; done

bundle=$cache/sdks/$name.artifactbundle
mkdir -p "$bundle"
cat >"$bundle/info.json" <<END
{
    "schemaVersion": "1.0",
    "artifacts": {
        "$name": { "type": "swiftSDK", "version": "1", "variants": [ { "path": "." } ] }
    }
}
END
cat >"$bundle/swift-sdk.json" <<END
{
    "schemaVersion": "4.0",
    "targetTriples": {
        "$triple": {
            "sdkRootPath": "$sysroot",
            "swiftResourcesPath": "$library/swift",
            "swiftStaticResourcesPath": "$library/swift_static",
            "toolsetPaths": [ "toolset.json" ]
        }
    }
}
END
cat >"$bundle/toolset.json" <<END
{
    "schemaVersion": "1.0",
    "swiftCompiler": { "extraCLIOptions": [ "-use-ld=lld", "-Xclang-linker", "--sysroot=$sysroot" ] }
}
END
echo "$name"
