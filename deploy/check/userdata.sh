#!/usr/bin/env bash
# userdata.sh SCRIPT ARCHIVE CONFIG: runs the user data twice in a root of its own: with the archive, and with another one.
set -euo pipefail
script=$1 archive=$2 config=$3

# shellcheck source=SCRIPTDIR/root.sh
. "$(dirname "${BASH_SOURCE[0]}")/root.sh"

absent() { ! [ -e "$1" ]; }

real=$layer/real
mkdir "$real" && tar -xzf "$archive" -C "$real" --strip-components=1

good=$(fresh_root good)
expect "fails with a sound archive" run "$good" "$archive"
cat "$good/tmp/calls"
expect "the binary is not the archive's" cmp "$good/usr/bin/l4fwd" "$real/l4fwd"
expect "the binary is not executable" test -x "$good/usr/bin/l4fwd"
expect "the unit is not the archive's" cmp "$good/usr/lib/systemd/system/l4fwd.service" "$real/l4fwd.service"
expect "the sysctl drop-in is missing" cmp "$good/usr/lib/sysctl.d/60-l4fwd.conf" "$real/60-l4fwd.conf"
expect "the configuration is not as rendered" cmp "$good/etc/l4fwd/l4fwd.yaml" "$config"
expect "the region is missing" grep -qx 'Environment=AWS_REGION=us-west-2' "$good/etc/systemd/system/l4fwd.service.d/10-aws.conf"
expect "the download is not from S3" grep -q '^aws s3 cp .*s3://releases/l4fwd.tar.gz ' "$good/tmp/calls"
expect "the service is not enabled and started, in this order" \
  diff <(printf 'systemctl %s\n' daemon-reload 'enable l4fwd.service' 'restart l4fwd.service') <(grep '^systemctl' "$good/tmp/calls")

bad=$(fresh_root bad)
echo >>"$real/l4fwd.service"
tar -czf "$layer/other.tar.gz" -C "$real" . # whole and well-formed, but not what the checksum is of
if run "$bad" "$layer/other.tar.gz"; then echo "user data: installs an archive with another checksum"; exit 1; fi
expect "installed something of an archive with another checksum" absent "$bad/usr/bin/l4fwd"
if grep -q '^systemctl' "$bad/tmp/calls"; then echo "user data: started a service after a failed checksum"; exit 1; fi
