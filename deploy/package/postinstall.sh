#!/bin/sh
# Does not start the service, whose configuration is a sample. A running one is replaced by the new binary with its connections; it is
# not restarted: an upgrade that fails leaves the old process serving, a restart that fails ends the connections.
set -e
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload || true
for apply in /lib/systemd/systemd-sysctl /usr/lib/systemd/systemd-sysctl; do
  [ -x "$apply" ] || continue
  "$apply" /usr/lib/sysctl.d/60-l4fwd.conf || true
  break
done
systemctl --quiet is-active l4fwd.service || exit 0
code=0
l4fwd upgrade --config /etc/l4fwd/l4fwd.yaml || code=$?
case $code in
  0) ;;
  2 | 3) # the file has its admin address off, or a fault, which the log then has; or only the service's environment names the address
    systemctl kill --kill-who=main --signal=USR2 l4fwd.service || true
    echo "l4fwd: the running daemon was told to upgrade; journalctl -u l4fwd shows how that went" ;;
  *) echo "l4fwd: the version before this one is still running; systemctl stop l4fwd.service && systemctl start l4fwd.service drains it and takes the new one" ;;
esac
