#!/usr/bin/env bash
# unit_root.sh DEB DIR, in mount, PID, network and cgroup namespaces of its own: becomes systemd, as PID 1 of a copy-on-write root over this
# machine's with the package installed, that runs unit_drive.sh as its only service. What that says is left in unit.log, in /var of that root.
set -euo pipefail
deb=$1 dir=$2
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$dir/root

mkdir -p "$dir"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$root"
for at in tmp run; do mount -t tmpfs tmpfs "$root/$at"; done
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
ip link set lo up
rm -rf "$root"/etc/l4fwd "$root"/{etc,usr/lib}/systemd/system/l4fwd* "$root/usr/bin/l4fwd"
dpkg-deb --extract "$deb" "$root"

cp "$deb" "$root/var/l4fwd.deb"
install -m 0755 "$check/unit_drive.sh" "$root/usr/local/bin/unit_drive.sh"
cat >"$root/etc/systemd/system/check.target" <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=check.service peer.socket
UNIT
cat >"$root/etc/systemd/system/check.service" <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
TimeoutStartSec=540s
ExecStart=/bin/bash /usr/local/bin/unit_drive.sh
StandardOutput=file:/var/unit.log
StandardError=file:/var/unit.log
ExecStopPost=+/bin/systemctl --no-block exit
UNIT
# The real unit, but for what this root lacks (the targets of a booted system, the journal), and with less patience.
mkdir -p "$root/etc/systemd/system/l4fwd.service.d"
cat >"$root/etc/systemd/system/l4fwd.service.d/check.conf" <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=
[Service]
StandardOutput=append:/var/l4fwd.log
StandardError=append:/var/l4fwd.log
WatchdogSec=10s
TimeoutStopSec=8s
RestartSec=100ms
UNIT
printf '[Unit]\nDefaultDependencies=no\n' >"$root/etc/systemd/system/check.conf"
install -D -m 0644 "$root/etc/systemd/system/check.conf" "$root/etc/systemd/system/l4fwd.socket.d/check.conf"

# The upstream: answers each request on a connection.
cat >"$root/usr/local/bin/peer.sh" <<'PEER'
while read -r line; do
  [ -n "${line%$'\r'}" ] || printf 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n'
done
PEER
cat >"$root/etc/systemd/system/peer.socket" <<'UNIT'
[Unit]
DefaultDependencies=no
[Socket]
ListenStream=127.0.0.1:8090
Accept=yes
UNIT
cat >"$root/etc/systemd/system/peer@.service" <<'UNIT'
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/bash /usr/local/bin/peer.sh
StandardInput=socket
UNIT

exec env -i container=l4fwd-check PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /lib/systemd/systemd --system --unit=check.target \
  --log-target=null --show-status=false
