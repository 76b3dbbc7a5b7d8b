#!/usr/bin/env bash
# Archives in build/release, with provenance, checksums and, with a key, their signature (attest.sh). Two builds of one commit by one version of Go
# are equal byte for byte.
#   PLATFORMS  OS/ARCH or OS/ARCH/fips …   VERSION COMMIT SOURCE_DATE_EPOCH OUT  else from git, else the defaults in lib.sh
set -euo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

gnu_tar() {
  local t
  for t in tar gtar; do
    if "$t" --version 2>/dev/null | grep -q GNU; then echo "$t"; return; fi
  done
  echo "make release: GNU tar is missing: brew install gnu-tar" >&2
  return 1
}

tar=$(gnu_tar)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/*.tar.gz

for platform in ${PLATFORMS:-linux/amd64 linux/arm64 linux/amd64/fips linux/arm64/fips darwin/amd64 darwin/arm64}; do
  IFS=/ read -r os arch variant <<<"$platform"
  name=l4fwd-$VERSION-${platform//\//-}
  collect "$os" "$arch" "$work/$name" "$variant"
  "$tar" --format=gnu --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u+rw,go+r,go-w \
    -C "$work" -cf - "$name" | gzip -9n >"$out/$name.tar.gz"
  echo "$out/$name.tar.gz"
done
"$root/deploy/release/attest.sh"
