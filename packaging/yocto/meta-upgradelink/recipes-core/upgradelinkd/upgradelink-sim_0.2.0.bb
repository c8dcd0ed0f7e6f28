SUMMARY = "Simulated UpgradeLink server, and releases for it"
DESCRIPTION = "Behaves as UpgradeLink does, for tests on a developer's device. A device in the field does not need it."
# FlyingFox, the HTTP server that the program contains, has the MIT license.
LICENSE = "Apache-2.0 & MIT"

require upgradelinkd.inc

UPGRADELINKD_PRODUCT = "upgradelink-sim"

do_install() {
    oe_runmake -C ${S} install-sim-files
}

# libcrypto is loaded when it is needed. To sign releases, the program runs minisign, for which there is no recipe: sign elsewhere.
RDEPENDS:${PN} += "libcrypto"
