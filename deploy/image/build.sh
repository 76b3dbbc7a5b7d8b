#!/usr/bin/env bash
# The image for PLATFORMS (linux/amd64,linux/arm64), by docker with buildx, podman or buildah. What there is afterwards is said at the end.
#   PUSH=REGISTRY/NAME  pushed there as NAME:VERSION too   GO_IMAGE  another image to build in, such as one of your own registry
set -euo pipefail
# shellcheck source=SCRIPTDIR/../release/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../release/lib.sh"

platforms=${PLATFORMS:-linux/amd64,linux/arm64}
tag=${VERSION//+/-}
image=l4fwd:$tag
args=(--build-arg "VERSION=$VERSION" --build-arg "COMMIT=$COMMIT"
  --build-arg "CREATED=$(date -u -d "@$SOURCE_DATE_EPOCH" +%FT%TZ 2>/dev/null || date -u -r "$SOURCE_DATE_EPOCH" +%FT%TZ)")
[ -z "${GO_IMAGE:-}" ] || args+=(--build-arg "GO_IMAGE=$GO_IMAGE")

if docker buildx version >/dev/null 2>&1 && docker info >/dev/null 2>&1; then
  if [ -n "${PUSH:-}" ]; then to=(--tag "$PUSH:$tag" --push); else
    mkdir -p "$root/build" # docker's own store may hold one platform only
    to=(--tag "$image" --output "type=oci,dest=$root/build/l4fwd-image.tar")
  fi
  docker buildx build --platform "$platforms" --sbom=true --provenance=true "${args[@]}" "${to[@]}" "$root"
  echo "image: ${PUSH:-build/l4fwd-image.tar, an OCI archive}, for $platforms"
elif tool=$(command -v podman || command -v buildah); then
  # shellcheck disable=SC2086 # several words on purpose
  "$tool" build ${BUILD_FLAGS:-} --platform "$platforms" --manifest "$image" "${args[@]}" "$root"
  [ -z "${PUSH:-}" ] || "$tool" manifest push --all "$image" "docker://$PUSH:$tag"
  echo "image: $image in the store of $(basename "$tool")${PUSH:+, pushed to $PUSH:$tag}, for $platforms"
else
  echo "make image: needs a running docker with buildx, or podman or buildah: apt-get install buildah" >&2
  exit 1
fi
