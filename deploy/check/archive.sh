#!/usr/bin/env bash
# archive.sh BINARY OUT.tar.gz: an archive as a release has it, as far as the user data reads it.
set -euo pipefail
binary=$1 out=$2
systemd=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/systemd
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

install -m 0755 "$binary" "$dir/l4fwd"
install -m 0644 "$systemd"/l4fwd.{service,socket} "$systemd/sysctl.d/60-l4fwd.conf" "$dir"
tar -czf "$out" -C "$dir" .
