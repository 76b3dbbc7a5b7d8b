#!/bin/sh
# Both kinds of package: deb calls it with "remove" or "upgrade", rpm with the number of versions that are left.
set -e
case $1 in remove | 0) ;; *) exit 0 ;; esac
[ -d /run/systemd/system ] || exit 0
systemctl disable --now l4fwd.socket l4fwd.service || true
