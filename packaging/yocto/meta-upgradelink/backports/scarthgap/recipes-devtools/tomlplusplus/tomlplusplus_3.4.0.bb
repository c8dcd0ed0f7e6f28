SUMMARY = "TOML for C++: a library of headers"
DESCRIPTION = "Reads TOML files. meta-openembedded of this series does not have it."
HOMEPAGE = "https://marzer.github.io/tomlplusplus"
SECTION = "libs"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=90960f22c10049c117d56ed2ee5ee167"

SRC_URI = "git://github.com/marzer/tomlplusplus.git;protocol=https;branch=master"
SRCREV = "30172438cee64926dc41fdd9c11fb3ba5b2ba9de"

# nooelint: oelint.vars.unpackdir - this series has no UNPACKDIR
S = "${WORKDIR}/git"

inherit allarch

do_configure[noexec] = "1"
do_compile[noexec] = "1"

do_install() {
    install -d ${D}${includedir}/toml++/impl
    install -m 0644 ${S}/include/toml++/*.h* ${D}${includedir}/toml++/
    install -m 0644 ${S}/include/toml++/impl/* ${D}${includedir}/toml++/impl/
}

# Programs only compile the headers.
ALLOW_EMPTY:${PN} = "1"
