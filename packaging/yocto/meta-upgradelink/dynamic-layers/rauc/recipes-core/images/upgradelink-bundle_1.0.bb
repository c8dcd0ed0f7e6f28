# nooelint: oelint.var.mandatoryvar.SRC_URI - it contains an image of this build, and has no sources
SUMMARY = "An example of a RAUC bundle with upgradelink-image"
DESCRIPTION = "The file that UpgradeLink offers to a device with two slots. The integrator sets the keys of RAUC."
HOMEPAGE = "https://rauc.io"
SECTION = "images"
LICENSE = "Apache-2.0"

inherit bundle

# compatible= in the device's /etc/rauc/system.conf.
UPGRADELINK_COMPATIBLE ?= "${MACHINE}"

RAUC_BUNDLE_COMPATIBLE = "${UPGRADELINK_COMPATIBLE}"
RAUC_BUNDLE_FORMAT = "verity"
RAUC_BUNDLE_SLOTS = "rootfs"
# nooelint: oelint.vars.mispell.unknown - a variable of the class bundle
RAUC_SLOT_rootfs = "upgradelink-image"
# nooelint: oelint.vars.mispell.unknown - a variable of the class bundle
RAUC_SLOT_rootfs[fstype] = "ext4"
