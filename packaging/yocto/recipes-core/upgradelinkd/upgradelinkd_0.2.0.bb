SUMMARY = "Update agent for set-top boxes on UpgradeLink"
DESCRIPTION = "Checks the UpgradeLink API for the version that a device should run, downloads and verifies this version, \
installs it with an update module, and rolls back a version that does not work."
HOMEPAGE = "https://api.upgrade.toolsetlink.com"
SECTION = "admin"
LICENSE = "Apache-2.0"
LIC_FILES_CHKSUM = "file://LICENSE;md5=3b83ef96387f14655fc854ddc3c6bd57"

# The integrator sets the address of a mirror of this repository, and the revision.
UPGRADELINKD_GIT ?= "git://git.example.com/upgradelinkd.git;protocol=https;branch=main"
SRC_URI = "${UPGRADELINKD_GIT}"
SRCREV ?= "${AUTOREV}"
PV = "0.2.0+git"
S = "${WORKDIR}/git"

# meta-swift provides the Swift toolchain and the network access of its package manager.
inherit swift systemd useradd pkgconfig

DEPENDS = "curl openssl systemd tomlplusplus"
# The programs load these libraries at run time, so the package manager cannot detect the dependencies.
RDEPENDS:${PN} = "dbus libcurl libcrypto"
RRECOMMENDS:${PN} = "ca-certificates"

EXTRA_SWIFTFLAGS = "-Xswiftc -Osize"

SYSTEMD_SERVICE:${PN} = "upgradelinkd.service upgradelink-installer.socket upgradelink-boot.service"
# The operator enables the agent after configuring it, and upgradelink-boot.service for install.missedWindows = "boot". upgradelink-installer-resume.service is linked below: it runs at each boot.
SYSTEMD_AUTO_ENABLE = "disable"

USERADD_PACKAGES = "${PN}"
GROUPADD_PARAM:${PN} = "--system upgradelink"
USERADD_PARAM:${PN} = "--system --user-group --no-create-home --home-dir /var/lib/upgradelinkd \
    --shell /sbin/nologin upgradelinkd"

UPGRADELINKD_MODULES ?= "file directory rauc swupdate"

do_install() {
    install -d ${D}${sbindir} ${D}${bindir} ${D}${nonarch_libdir}/upgradelinkd/modules ${D}${systemd_system_unitdir} \
        ${D}${sysconfdir}/upgradelinkd/upgradelinkd.toml.d ${D}${sysconfdir}/upgradelinkd/keys.d \
        ${D}${datadir}/dbus-1/system.d ${D}${datadir}/dbus-1/interfaces ${D}${datadir}/polkit-1/actions \
        ${D}${nonarch_libdir}/systemd/catalog ${D}${nonarch_libdir}/tmpfiles.d ${D}${datadir}/upgradelinkd

    install -m 0755 ${B}/release/upgradelink ${D}${nonarch_libdir}/upgradelinkd/
    ln -sr ${D}${nonarch_libdir}/upgradelinkd/upgradelink ${D}${sbindir}/upgradelinkd
    ln -sr ${D}${nonarch_libdir}/upgradelinkd/upgradelink ${D}${bindir}/upgradelinkctl
    for name in upgradelink-fetch upgradelink-installer; do
        ln -s upgradelink ${D}${nonarch_libdir}/upgradelinkd/$name
    done
    for module in ${UPGRADELINKD_MODULES}; do
        if [ -e ${S}/packaging/modules/$module ]; then
            install -m 0755 ${S}/packaging/modules/$module ${D}${nonarch_libdir}/upgradelinkd/modules/
        else
            # Part of the program.
            ln -s ../upgradelink ${D}${nonarch_libdir}/upgradelinkd/modules/$module
        fi
        if [ -e ${S}/packaging/modules/$module.uninterruptible ]; then
            install -m 0644 ${S}/packaging/modules/$module.uninterruptible \
                ${D}${nonarch_libdir}/upgradelinkd/modules/
        fi
    done

    for unit in upgradelinkd.service upgradelink-installer.service upgradelink-installer-resume.service \
        upgradelink-boot.service; do
        sed -e 's|@SBINDIR@|${sbindir}|' -e 's|@BINDIR@|${bindir}|' -e 's|@LIBDIR@|${nonarch_libdir}/upgradelinkd|' \
            ${S}/packaging/systemd/$unit.in >${D}${systemd_system_unitdir}/$unit
    done
    install -m 0644 ${S}/packaging/systemd/upgradelink-installer.socket ${D}${systemd_system_unitdir}/
    install -d ${D}${nonarch_libdir}/systemd/system-generators ${D}${systemd_system_unitdir}/multi-user.target.wants
    install -m 0755 ${S}/packaging/systemd/upgradelinkd-generator ${D}${nonarch_libdir}/systemd/system-generators/
    ln -s ../upgradelink-installer-resume.service ${D}${systemd_system_unitdir}/multi-user.target.wants/

    install -m 0644 ${S}/config/vendor.toml ${D}${nonarch_libdir}/upgradelinkd/upgradelinkd.toml
    install -m 0644 ${S}/config/upgradelinkd.toml ${S}/config/upgradelinkd.schema.json ${D}${datadir}/upgradelinkd/
    install -m 0640 ${S}/config/upgradelinkd.toml ${D}${sysconfdir}/upgradelinkd/
    chgrp upgradelinkd ${D}${sysconfdir}/upgradelinkd/upgradelinkd.toml
    install -m 0644 ${S}/packaging/tmpfiles/upgradelinkd.conf ${D}${nonarch_libdir}/tmpfiles.d/
    install -m 0644 ${S}/packaging/catalog/upgradelinkd.catalog ${D}${nonarch_libdir}/systemd/catalog/
    install -m 0644 ${S}/packaging/dbus/org.upgradelink.Agent1.conf ${D}${datadir}/dbus-1/system.d/
    install -m 0644 ${S}/packaging/dbus/org.upgradelink.Agent1.xml ${D}${datadir}/dbus-1/interfaces/
    sh ${S}/packaging/install-docs.sh ${D}${docdir}/upgradelinkd ${datadir}
    install -m 0644 ${S}/packaging/polkit/org.upgradelink.policy ${D}${datadir}/polkit-1/actions/
}

CONFFILES:${PN} = "${sysconfdir}/upgradelinkd/upgradelinkd.toml"
FILES:${PN} += "${nonarch_libdir}/upgradelinkd ${nonarch_libdir}/systemd ${nonarch_libdir}/tmpfiles.d \
    ${datadir}/dbus-1 ${datadir}/polkit-1 ${datadir}/upgradelinkd ${systemd_system_unitdir}"
