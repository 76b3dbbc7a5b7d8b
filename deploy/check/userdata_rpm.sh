#!/usr/bin/env bash
# userdata_rpm.sh SCRIPT ARTIFACT: the user data of an .rpm from a URL: what is downloaded, and that rpm gets it.
set -euo pipefail
script=$1 artifact=$2
# shellcheck source=SCRIPTDIR/root.sh
. "$(dirname "${BASH_SOURCE[0]}")/root.sh"

r=$(fresh_root rpm)
expect "fails" run "$r" "$artifact"
cat "$r/tmp/calls"
expect "does not download the URL" grep -q '^curl .* https://example.com/releases/l4fwd.rpm$' "$r/tmp/calls"
expect "does not hand the download to rpm" grep -q '^rpm --upgrade --replacepkgs /tmp/.*/l4fwd.rpm$' "$r/tmp/calls"
expect "does not start the service" grep -qx 'systemctl restart l4fwd.service' "$r/tmp/calls"
