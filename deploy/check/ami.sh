#!/usr/bin/env bash
# ami.sh SCRIPT ARCHIVE CONFIG: the steps of deploy/ami in a root of its own, then the user data SCRIPT for an image, which fetches nothing.
set -euo pipefail
script=$1 archive=$2 config=$3
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# shellcheck source=SCRIPTDIR/root.sh
. "$(dirname "${BASH_SOURCE[0]}")/root.sh"

install_into() { # install_into ROOT SHA256
  cp "$archive" "$1/tmp/l4fwd.tar.gz" && cp "$repository/deploy/ami/install.sh" "$1/tmp/install.sh"
  chroot "$1" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin ARCHIVE=/tmp/l4fwd.tar.gz SHA256="$2" bash /tmp/install.sh
}
sum=$(sha256sum "$archive" | cut -d' ' -f1)

bad=$(fresh_root bad)
if install_into "$bad" "${sum//[0-9]/0}" 2>/dev/null; then echo "ami: installs an archive with another checksum"; exit 1; fi
expect "installed something of an archive with another checksum" test ! -e "$bad/usr/bin/l4fwd"

good=$(fresh_root good)
mkdir -p "$good/etc" "$good/srv/builder/.ssh" && touch "$good/srv/builder/.ssh/authorized_keys"
echo 'builder:x:1000:1000::/srv/builder:/bin/bash' >>"$good/etc/passwd"
expect "the steps fail" install_into "$good" "$sum"
expect "the image has no binary that runs" chroot "$good" /usr/bin/l4fwd version
expect "the archive is left in the image" test ! -e "$good/tmp/l4fwd.tar.gz"
expect "a key of who built the image is left in it" test ! -e "$good/srv/builder/.ssh/authorized_keys"
expect "the machine's id is left in the image" test ! -s "$good/etc/machine-id"
expect "the service is enabled in the image" test ! -e "$good/etc/systemd/system/multi-user.target.wants/l4fwd.service"

expect "the boot fails" run "$good" /dev/null
expect "the configuration is not as rendered" cmp "$good/etc/l4fwd/l4fwd.yaml" "$config"
if grep -E '^(aws|curl|rpm)' "$good/tmp/calls"; then echo "ami: a boot fetches something"; exit 1; fi
expect "the service is not enabled and started, in this order" \
  diff <(printf 'systemctl %s\n' daemon-reload 'enable l4fwd.service' 'restart l4fwd.service') <(grep '^systemctl' "$good/tmp/calls")
