#!/usr/bin/env bash
# The image for PLATFORMS (linux/amd64,linux/arm64), by docker with buildx, podman or buildah: an OCI archive in build/release, its digest beside it, covered by
# provenance and checksums (../release/attest.sh).
#   PUSH=REGISTRY/NAME  pushed there as NAME:VERSION too   GO_IMAGE  another image to build in, such as one of your own registry
set -euo pipefail
# shellcheck source=SCRIPTDIR/../release/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../release/lib.sh"

platforms=${PLATFORMS:-linux/amd64,linux/arm64}
tag=${VERSION//+/-}
image=l4fwd:$tag
mkdir -p "$out"
archive=$out/l4fwd-$tag.oci.tar digest=$out/l4fwd-$tag.oci.digest
rm -f "$out"/*.oci.tar "$out"/*.oci.digest "$out"/*.image.provenance.json
args=(--build-arg "VERSION=$VERSION" --build-arg "COMMIT=$COMMIT"
  --build-arg "CREATED=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ 2>/dev/null || date -u -r "$SOURCE_DATE_EPOCH" +%FT%TZ)")
[ -z "${GO_IMAGE:-}" ] || args+=(--build-arg "GO_IMAGE=$GO_IMAGE")

if docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
  if [ -n "${PUSH:-}" ]; then to=(--tag "$PUSH:$tag" --push); else
    to=(--tag "$image" --output "type=oci,dest=$archive") # docker's own store may hold one platform only
  fi
  docker buildx build --platform "$platforms" --sbom=true --provenance=true --metadata-file "$out/metadata.json" "${args[@]}" "${to[@]}" "$root"
  sed -n 's/.*"containerimage.digest": *"\(sha256:[0-9a-f]*\)".*/\1/p' "$out/metadata.json" | head -1 >"$digest"
  rm "$out/metadata.json"
  echo "image: ${PUSH:-$archive}, for $platforms"
elif tool=$(command -v podman || command -v buildah); then
  # shellcheck disable=SC2086 # several words on purpose
  "$tool" build ${BUILD_FLAGS:-} --platform "$platforms" --manifest "$image" "${args[@]}" "$root"
  "$tool" manifest push --all --digestfile "$digest" "$image" "oci-archive:$archive:$image"
  [ -z "${PUSH:-}" ] || "$tool" manifest push --all --digestfile "$digest" "$image" "docker://$PUSH:$tag"
  echo "image: $image in the store of $(basename "$tool"), $archive${PUSH:+, pushed to $PUSH:$tag}, for $platforms"
else
  echo "make image: needs a running docker with buildx, or podman or buildah: apt-get install buildah" >&2
  exit 1
fi
[ -s "$digest" ] || { echo "make image: no digest of the image was told" >&2; exit 1; }
"$root/deploy/release/attest.sh"
