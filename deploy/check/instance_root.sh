#!/usr/bin/env bash
# instance_root.sh DIR, in namespaces of its own: becomes systemd, as PID 1 of a copy-on-write root over this machine's without l4fwd.
set -euo pipefail
dir=$1
root=$dir/root

read -r pid _ </proc/self/stat # of the namespace that this /proc is of
echo "$pid" >"$dir/pid"
mkdir -p "$dir"/{upper,work,root}
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$root"
for at in tmp run; do mount -t tmpfs tmpfs "$root/$at"; done
mount -t proc proc "$root/proc"
# Of the kernel's settings only those of the network are this namespace's; the machine's own are not to be changed by a test.
mount --bind "$root/proc/sys" "$root/proc/sys" && mount -o remount,bind,ro "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net" && mount -o remount,bind,rw "$root/proc/sys/net"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount --rbind /dev "$root/dev"
rm -rf "$root"/etc/l4fwd "$root"/{etc,usr/lib}/systemd/system/l4fwd* "$root/usr/bin/l4fwd" "$root"/{etc,usr/lib}/sysctl.d/60-l4fwd.conf
rm -f "$root/etc/resolv.conf" && cp "$dir/resolv.conf" "$root/etc/resolv.conf"

units=$root/etc/systemd/system
install -D -m 0755 "$dir/user_data.sh" "$root/var/lib/cloud/instance/scripts/part-001" # where cloud-init puts it
mkdir -p "$root/etc/systemd/system.conf.d" "$units/l4fwd.service.d"
{ echo '[Manager]' && sed 's/.*/DefaultEnvironment="&"/' "$dir/env"; } >"$root/etc/systemd/system.conf.d/check.conf"
printf '[Unit]\nDefaultDependencies=no\nWants=user-data.service\n' >"$units/check.target"
cat >"$units/user-data.service" <<UNIT
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
RemainAfterExit=yes
Environment=HOME=/root "PATH=$PATH"
ExecStart=/bin/bash /var/lib/cloud/instance/scripts/part-001
StandardOutput=file:/var/cloud-init-output.log
StandardError=file:/var/cloud-init-output.log
UNIT
# The unit as the user data installs it, but for what this root lacks: the targets of a booted system, and the journal.
cat >"$units/l4fwd.service.d/check.conf" <<'UNIT'
[Unit]
DefaultDependencies=no
Wants=
[Service]
StandardOutput=append:/var/l4fwd.log
StandardError=append:/var/l4fwd.log
UNIT

exec env -i container=l4fwd-check PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot "$root" /lib/systemd/systemd --system --unit=check.target \
  --log-target=null --show-status=false
