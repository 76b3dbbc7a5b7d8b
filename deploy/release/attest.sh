#!/usr/bin/env bash
# What lets a stranger trust the files in build/release: provenance for all of them, SHA256SUMS over all of them and the provenance, and its
# signature by minisign. make release, make packages and make image end with it, so that it always covers what is there.
#   SIGNING_KEY=FILE  the secret key; without it nothing is signed, which is said   SIGNING_PUBLIC_KEY=FILE  else l4fwd.pub beside this file
#   BUILDER_ID=URI    who builds: set by a build service, else this script at its commit
set -euo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
shopt -s nullglob

builder=${BUILDER_ID:-https://github.com/l4fwd/l4fwd/blob/$COMMIT/deploy/release/attest.sh}
public=${SIGNING_PUBLIC_KEY:-$root/deploy/release/l4fwd.pub}

provenance() { # provenance ARGUMENT...
  (cd "$root" && go run ./deploy/release/provenance -version "$VERSION" -commit "$COMMIT" -builder "$builder" \
    -parameter "go=$(go env GOVERSION)" -parameter "sourceDateEpoch=$SOURCE_DATE_EPOCH" "$@")
}

sums() {
  if command -v sha256sum >/dev/null; then sha256sum "$@"; else shasum -a 256 "$@"; fi
}

sign() { # and check it by the key that others have
  command -v minisign >/dev/null || { echo "attest: SIGNING_KEY is set, but minisign is missing: apt-get install minisign, brew install minisign" >&2; return 1; }
  [ -f "$public" ] || { echo "attest: $public is missing: deploy/release/README.md says how a key is made" >&2; return 1; }
  minisign -S -s "$SIGNING_KEY" -m SHA256SUMS -t "l4fwd $VERSION, commit $COMMIT"
  minisign -V -q -m SHA256SUMS -p "$public"
}

cd "$out"
rm -f SHA256SUMS SHA256SUMS.minisig
files=(*.tar.gz *.deb *.rpm *.oci.tar)
[ ${#files[@]} != 0 ] || { echo "attest: nothing in $out" >&2; exit 1; }
provenance "${files[@]/#/$out/}" >l4fwd.provenance.json
images=(*.oci.digest)
for image in "${images[@]}"; do provenance -image "l4fwd@$(cat "$image")" >"${image%.oci.digest}.image.provenance.json"; done
sums "${files[@]}" ./*.provenance.json | sed 's| \./| |' >SHA256SUMS
echo "$out/SHA256SUMS: ${#files[@]} files, provenance by $builder"
if [ -n "${SIGNING_KEY:-}" ]; then
  sign
  echo "$out/SHA256SUMS.minisig: signed"
else
  echo "attest: NOT SIGNED: SIGNING_KEY names no key"
fi
