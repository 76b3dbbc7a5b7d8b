#!/usr/bin/env bash
# Puts a release into an image: binary, unit and kernel settings, by its checksum; no configuration, nothing enabled: the user data of
# the AWS module does that at the first boot. ARCHIVE, SHA256. Run as root by l4fwd.pkr.hcl.
set -euo pipefail

echo "$SHA256  $ARCHIVE" | sha256sum --check --strict
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tar --extract --gzip --no-same-owner --strip-components=1 --file "$ARCHIVE" --directory "$work"
install -D -m 0755 "$work/l4fwd" /usr/bin/l4fwd
install -D -m 0644 "$work/l4fwd.service" /usr/lib/systemd/system/l4fwd.service
install -D -m 0644 "$work/60-l4fwd.conf" /usr/lib/sysctl.d/60-l4fwd.conf
install -D -m 0644 -t /usr/share/doc/l4fwd "$work"/{LICENSE,NOTICES,l4fwd.cdx.json}
/usr/bin/l4fwd version
/usr/bin/l4fwd check --upstream example.com:443 --listen :8443 >/dev/null

# What an instance is to have of its own, and what this machine leaves.
rm -rf "$ARCHIVE" /var/lib/cloud/instances/*
while IFS=: read -r _ _ _ _ _ home _; do rm -f "$home/.ssh/authorized_keys"; done </etc/passwd
rm -f /etc/ssh/ssh_host_*
: >/etc/machine-id
