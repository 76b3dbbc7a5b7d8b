#!/bin/sh
# Neither starts the service, whose configuration is a sample, nor restarts it on an upgrade, which would end its connections.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
for apply in /lib/systemd/systemd-sysctl /usr/lib/systemd/systemd-sysctl; do
  [ -x "$apply" ] || continue
  "$apply" /usr/lib/sysctl.d/60-l4fwd.conf || true
  break
done
if systemctl --quiet is-active l4fwd.service; then
  echo "l4fwd: the version before this one is still running; systemctl restart l4fwd.service, which drains it first, takes the new one"
fi
