SUMMARY = "An example of an image for one of two slots"
DESCRIPTION = "upgradelinkd installs RAUC bundles. The integrator adds the configuration of both."
SECTION = "images"
LICENSE = "Apache-2.0"

inherit core-image

IMAGE_FEATURES += "read-only-rootfs"

IMAGE_INSTALL += "\
    packagegroup-core-boot \
    packagegroup-upgradelink \
    rauc \
    upgradelinkd-module-rauc \
"

# It marks a slot good at each boot. upgradelinkd marks a slot good after the health check.
BAD_RECOMMENDATIONS += "rauc-mark-good"
