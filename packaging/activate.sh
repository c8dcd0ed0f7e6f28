#!/bin/sh
# After "make install" on the machine itself: the users and folders that the units need, and a word to whoever has read
# the files before. Nothing is enabled or started.
set -eu

systemd-sysusers upgradelinkd.conf
systemd-tmpfiles --create upgradelinkd.conf
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
journalctl --update-catalog
# The bus learns who may own the agent's name.
systemctl reload dbus.service || true
