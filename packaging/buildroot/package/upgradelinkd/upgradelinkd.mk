################################################################################
#
# upgradelinkd
#
################################################################################

UPGRADELINKD_VERSION = 0.2.0
UPGRADELINKD_SITE = $(BR2_EXTERNAL_UPGRADELINK_PATH)/../..
UPGRADELINKD_SITE_METHOD = local
UPGRADELINKD_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = --exclude /.build --exclude '/.build-*' --exclude /.cache
UPGRADELINKD_LICENSE = Apache-2.0
UPGRADELINKD_LICENSE_FILES = LICENSE
UPGRADELINKD_DEPENDENCIES = libcurl openssl systemd

UPGRADELINKD_PREBUILT = $(call qstrip,$(BR2_PACKAGE_UPGRADELINKD_STAGE))
UPGRADELINKD_SWIFT_SDK = $(call qstrip,$(BR2_PACKAGE_UPGRADELINKD_SWIFT_SDK))
UPGRADELINKD_CONFIGURATION = $(call qstrip,$(BR2_PACKAGE_UPGRADELINKD_CONFIGURATION))

ifneq ($(UPGRADELINKD_PREBUILT),)
UPGRADELINKD_STAGE = $(UPGRADELINKD_PREBUILT)
else
UPGRADELINKD_STAGE = $(@D)/.build-release/release
define UPGRADELINKD_BUILD_CMDS
	cd $(@D) && PATH=$(BR_PATH) swift build --swift-sdk $(UPGRADELINKD_SWIFT_SDK) \
		-c release -Xswiftc -Osize --static-swift-stdlib \
		--scratch-path .build-release --product upgradelink
endef

ifeq ($(BR2_PACKAGE_UPGRADELINKD)$(BR_BUILDING),yy)
ifeq ($(UPGRADELINKD_SWIFT_SDK),)
$(error Set BR2_PACKAGE_UPGRADELINKD_STAGE or BR2_PACKAGE_UPGRADELINKD_SWIFT_SDK)
endif
endif
endif

UPGRADELINKD_MODULES = \
	$(if $(BR2_PACKAGE_RAUC),rauc) \
	$(if $(BR2_PACKAGE_SWUPDATE),swupdate)

define UPGRADELINKD_INSTALL_TARGET_CMDS
	$(MAKE) -C $(@D) install-files STAGE=$(UPGRADELINKD_STAGE) \
		DESTDIR=$(TARGET_DIR) UPDATE_MODULES="$(UPGRADELINKD_MODULES)"
	$(INSTALL) -d -m 755 $(TARGET_DIR)/etc/upgradelinkd/keys.d \
		$(TARGET_DIR)/etc/upgradelinkd/upgradelinkd.toml.d
	$(INSTALL) -m 640 $(@D)/config/upgradelinkd.toml $(TARGET_DIR)/etc/upgradelinkd/
	$(if $(UPGRADELINKD_CONFIGURATION),
		$(INSTALL) -m 644 $(wildcard $(UPGRADELINKD_CONFIGURATION)/*.toml) \
			$(TARGET_DIR)/usr/lib/upgradelinkd/upgradelinkd.toml.d/
		$(INSTALL) -m 644 $(wildcard $(UPGRADELINKD_CONFIGURATION)/*.pub) \
			$(TARGET_DIR)/etc/upgradelinkd/keys.d/)
endef

# Buildroot enables what no preset disables.
define UPGRADELINKD_INSTALL_INIT_SYSTEMD
	$(INSTALL) -d -m 755 $(TARGET_DIR)/usr/lib/systemd/system-preset
	printf '%s\n' '$(if $(BR2_PACKAGE_UPGRADELINKD_ENABLE),enable,disable) upgradelinkd.service' \
		'disable upgradelink-boot.service' \
		>$(TARGET_DIR)/usr/lib/systemd/system-preset/50-upgradelinkd.preset
endef

define UPGRADELINKD_USERS
	upgradelinkd -1 upgradelinkd -1 * - - - UpgradeLink update agent
	- -1 upgradelink -1 * - - - Members control upgradelinkd
endef

define UPGRADELINKD_PERMISSIONS
	/etc/upgradelinkd/upgradelinkd.toml f 640 root upgradelinkd - - - - -
endef

$(eval $(generic-package))
