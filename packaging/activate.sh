#!/bin/sh
# Runs after "make install" without DESTDIR: creates the users and directories that the units need, and makes running services
# read the new files. It enables and starts nothing.
set -eu

systemd-sysusers upgradelinkd.conf
systemd-tmpfiles --create upgradelinkd.conf
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
journalctl --update-catalog
# D-Bus reads who may own the agent's name.
systemctl reload dbus.service || true
