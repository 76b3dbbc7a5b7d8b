#!/usr/bin/env bash
# l4fwd_VERSION_ARCH.deb and .rpm in build/release, byte for byte the same for one commit. ARCHS, and what deploy/release/lib.sh reads.
set -euo pipefail
# shellcheck source=SCRIPTDIR/../release/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../release/lib.sh"
# Later versions take in a module for another kind of package, of which nothing is needed here.
NFPM=${NFPM:-go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.4}

package_version() { # v1.2.3 as 1.2.3; what is no such number as one below every release. Neither kind of package takes a "-" in it.
  local v=${VERSION#v}
  [[ $v =~ ^[0-9]+\.[0-9]+ ]] || v=0.0.0~git.$v
  echo "${v//-/.}"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out"
rm -f "$out"/*.deb "$out"/*.rpm
PACKAGE_VERSION=$(package_version)
export PACKAGE_VERSION ARCH
for ARCH in ${ARCHS:-amd64 arm64}; do
  collect linux "$ARCH" "$work/$ARCH"
  cp "$root"/deploy/package/{nfpm.yaml,*.sh} "$work/$ARCH"
  # What is built is set in the file's variables; the time of each file in the package is that of its source.
  find "$work/$ARCH" -exec touch -d "@$SOURCE_DATE_EPOCH" {} +
  for kind in deb rpm; do
    (cd "$work/$ARCH" && $NFPM package --config nfpm.yaml --packager "$kind" --target "$out/l4fwd_${PACKAGE_VERSION}_$ARCH.$kind")
  done
done
"$root/deploy/release/attest.sh"
