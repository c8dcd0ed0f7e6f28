SUMMARY = "Update agent for set-top boxes on UpgradeLink"
DESCRIPTION = "Checks the UpgradeLink API for the version that a device should run, downloads and verifies it, installs it with an \
               update module, and rolls back a version that does not work."
LICENSE = "Apache-2.0"

require upgradelinkd.inc

inherit systemd useradd

# Each of rauc, swupdate and deb adds the update module of this name, and the program that it runs.
PACKAGECONFIG ??= "${@bb.utils.filter('DISTRO_FEATURES', 'polkit rauc', d)}"
PACKAGECONFIG[polkit] = ",,,,polkit"
PACKAGECONFIG[rauc] = ",,,${PN}-module-rauc"
PACKAGECONFIG[swupdate] = ",,,${PN}-module-swupdate"
PACKAGECONFIG[deb] = ",,,${PN}-module-deb"
UPGRADELINKD_MODULES = "${@bb.utils.filter('PACKAGECONFIG', 'deb rauc swupdate', d)}"

VIRTUAL-RUNTIME_dbus ?= "dbus"

SYSTEMD_PACKAGES = "${PN} ${PN}-boot"
SYSTEMD_SERVICE:${PN} = "upgradelinkd.service upgradelink-installer.socket"
SYSTEMD_SERVICE:${PN}-boot = "upgradelink-boot.service"
# The agent is enabled after it has been configured: an image that contains the configuration sets
# SYSTEMD_AUTO_ENABLE:pn-upgradelinkd = "enable". upgradelink-installer-resume.service runs at each boot, without being enabled.
SYSTEMD_AUTO_ENABLE = "disable"
# The package is for install.missedWindows = "boot", and nothing else.
SYSTEMD_AUTO_ENABLE:${PN}-boot = "enable"

# As in packaging/sysusers: the group upgradelink may control the agent.
USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system upgradelink"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir ${localstatedir}/lib/upgradelinkd \
                       --shell ${base_sbindir}/nologin --comment 'UpgradeLink update agent' upgradelinkd"

do_install() {
    oe_runmake -C ${S} install-files UPDATE_MODULES='${UPGRADELINKD_MODULES}'

    # systemd-tmpfiles creates these at the boot, unless the root file system is read-only.
    install -d ${D}${sysconfdir}/upgradelinkd/keys.d
    install -d ${D}${sysconfdir}/upgradelinkd/upgradelinkd.toml.d
    install -m 0640 ${D}${datadir}/upgradelinkd/upgradelinkd.toml ${D}${sysconfdir}/upgradelinkd/
    chown root:upgradelinkd ${D}${sysconfdir}/upgradelinkd/upgradelinkd.toml
}

PACKAGE_BEFORE_PN = "${PN}-boot ${PN}-module-deb ${PN}-module-rauc ${PN}-module-swupdate"

# The class systemd adds the units that SYSTEMD_SERVICE names.
FILES:${PN} += "\
    ${nonarch_libdir}/systemd/catalog \
    ${nonarch_libdir}/sysusers.d \
    ${nonarch_libdir}/tmpfiles.d \
    ${nonarch_libdir}/upgradelinkd \
    ${systemd_unitdir}/system-generators \
    ${systemd_system_unitdir} \
    ${datadir}/dbus-1/system.d \
    ${datadir}/polkit-1 \
"
FILES:${PN}-boot += "${systemd_system_unitdir}/upgradelink-boot.service"
FILES:${PN}-dev += "${datadir}/dbus-1/interfaces"
FILES:${PN}-module-deb += "${nonarch_libdir}/upgradelinkd/modules/deb*"
FILES:${PN}-module-rauc += "${nonarch_libdir}/upgradelinkd/modules/rauc*"
FILES:${PN}-module-swupdate += "${nonarch_libdir}/upgradelinkd/modules/swupdate*"

CONFFILES:${PN} = "${sysconfdir}/upgradelinkd/upgradelinkd.toml"

# The programs load these two libraries when they need them, so no tool finds the dependency.
RDEPENDS:${PN} += "${VIRTUAL-RUNTIME_dbus} libcrypto libcurl"
RDEPENDS:${PN}-boot += "${PN}"
RDEPENDS:${PN}-module-deb += "${@bb.utils.contains('PACKAGECONFIG', 'deb', 'dpkg', '', d)}"
RDEPENDS:${PN}-module-rauc += "${@bb.utils.filter('PACKAGECONFIG', 'rauc', d)}"
RDEPENDS:${PN}-module-swupdate += "${@bb.utils.filter('PACKAGECONFIG', 'swupdate', d)}"
RRECOMMENDS:${PN} += "ca-certificates"
