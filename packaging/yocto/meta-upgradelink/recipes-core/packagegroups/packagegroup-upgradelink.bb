SUMMARY = "What a device needs to be updated by UpgradeLink"
DESCRIPTION = "The agent, and the certificates with which it checks the server."
SECTION = "admin"

inherit packagegroup

RDEPENDS:${PN} = "\
    ca-certificates \
    upgradelinkd \
"
