SUMMARY = "The configuration of upgradelinkd on the devices of this vendor"
DESCRIPTION = "The server, the identity of a device, and the publisher's public key."
HOMEPAGE = "https://www.example.com"
SECTION = "admin"
LICENSE = "CLOSED"

SRC_URI = "\
    file://50-device.toml \
    file://release.pub \
"

# scarthgap has no UNPACKDIR.
S = "${@d.getVar('UNPACKDIR') or d.getVar('WORKDIR')}"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    # The vendor's defaults: files in /etc take precedence over them.
    install -d ${D}${nonarch_libdir}/upgradelinkd/upgradelinkd.toml.d
    install -m 0644 ${S}/50-device.toml ${D}${nonarch_libdir}/upgradelinkd/upgradelinkd.toml.d/
    install -d ${D}${sysconfdir}/upgradelinkd/keys.d
    install -m 0644 ${S}/release.pub ${D}${sysconfdir}/upgradelinkd/keys.d/
}

FILES:${PN} += "\
    ${nonarch_libdir}/upgradelinkd \
"

RDEPENDS:${PN} += "upgradelinkd"
