#!/usr/bin/env bash
# archive.sh BINARY OUT.tar.gz: an archive as a release has it, the unit and the sysctl drop-in taken from deploy/systemd. Where that
# is not there, a plain unit stands in.
set -euo pipefail
binary=$1 out=$2
systemd=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/systemd
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

install -m 0755 "$binary" "$dir/l4fwd"
if [ -f "$systemd/l4fwd.service" ]; then
  install -m 0644 "$systemd/l4fwd.service" "$dir/l4fwd.service"
else
  printf '[Service]\nType=notify\nExecStart=/usr/bin/l4fwd serve --config /etc/l4fwd/l4fwd.yaml\n' >"$dir/l4fwd.service"
fi
conf=$(find "$systemd" -name '*l4fwd*.conf' -path '*sysctl*' -print -quit 2>/dev/null || true)
if [ -n "$conf" ]; then install -m 0644 "$conf" "$dir/60-l4fwd.conf"; else echo 'net.core.somaxconn = 65535' >"$dir/60-l4fwd.conf"; fi
tar -czf "$out" -C "$dir" .
