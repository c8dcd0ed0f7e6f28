include $(sort $(wildcard $(BR2_EXTERNAL_UPGRADELINK_PATH)/package/*/*.mk))
