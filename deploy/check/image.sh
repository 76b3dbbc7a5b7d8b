#!/usr/bin/env bash
# Checks the Dockerfile: by hadolint; its steps replayed in order in an empty root, where the binary then runs; built by buildah, in a stage
# made of this machine's Go, since no registry is asked. PLATFORMS as for make image: all of them by default, and for another one than the
# machine's everything is compiled anew. Manifests for ECS and Kubernetes: deploy/check/manifests.sh.
set -uo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
platforms=${PLATFORMS:-linux/amd64,linux/arm64}
export VERSION=1.2.3 COMMIT=0123456789ab SOURCE_DATE_EPOCH=1767225600

context() { # what .dockerignore lets in
  mkdir -p "$1" && (cd "$root" && tar -cf - --exclude='*_test.go' --exclude=testdata go.mod go.sum cmd eip health proxy LICENSE deploy/release/sbom.sh) | tar -xf - -C "$1"
}
ignores() { # the list above is the one of .dockerignore
  diff <(sed -n 's/^!//p' "$root/.dockerignore" | sort) <(printf '%s\n' go.mod go.sum cmd eip health proxy LICENSE deploy/release/sbom.sh | sort)
}
runs_of() { # the RUN steps, one a line
  sed -e ':a' -e '/\\$/N; s/\\\n//; ta' "$root/Dockerfile" | sed -n 's/^RUN //p'
}
replay() { # the build stage with / replaced by a directory, then the final stage
  local run
  context "$work/src" && mkdir -p "$work/image/etc/ssl/certs" "$work/image/usr/share/sbom" || return 1
  [ "$(runs_of | wc -l)" = 3 ] || { echo "the steps of the Dockerfile are others"; return 1; }
  while read -r run; do
    echo "+ $run"
    (cd "$work/src" && TARGETOS=linux TARGETARCH=$(go env GOARCH) bash -ec "${run// \/l4fwd/ $work/l4fwd}" </dev/null) || return 1
  done < <(runs_of)
  cp "$work/l4fwd" "$work/image/l4fwd"
}
alone() { # in an empty root, as the image's user: no library, no shell, no files but its own
  chroot --userspec=65532:65532 "$work/image" /l4fwd version | grep -qx 'l4fwd 1.2.3' &&
    chroot --userspec=65532:65532 "$work/image" /l4fwd check --upstream example.com:443 --listen :8443 >/dev/null
}
builder() { # a builder's image of this machine's Go and what it needs to run a command
  local at=$work/builder f
  mkdir -p "$at"/{bin,usr/local,go,tmp,etc/ssl/certs}
  for f in sh awk; do
    cp -L "$(command -v $f)" "$at/bin/$f" || return 1
    ldd "$(command -v $f)" | grep -oE '/[^ ]+' | while read -r lib; do install -D "$lib" "$at$lib"; done
  done
  echo '# authorities' >"$at/etc/ssl/certs/ca-certificates.crt"
  printf 'FROM scratch\nCOPY . /\nENV PATH=/usr/local/go/bin:/bin HOME=/ GOMODCACHE=/go/mod GOCACHE=/go/build GOTOOLCHAIN=local GOFLAGS=-mod=mod GOPROXY=off GOSUMDB=off\n' >"$work/builder.df"
  # For each platform, though the same: buildah before 1.30 looks for the target's even where FROM asks for the builder's.
  buildah build --platform "$platforms" --isolation chroot --manifest localhost/l4fwd-check-builder -f "$work/builder.df" "$at"
}
image() { # make image
  PLATFORMS=$platforms \
  BUILD_FLAGS="--isolation chroot --pull-never --volume $(go env GOROOT):/usr/local/go:ro --volume $(go env GOMODCACHE):/go/mod --volume $(go env GOCACHE):/go/build" \
    GO_IMAGE=localhost/l4fwd-check-builder OUT=$work/out PATH="$work/path:$PATH" "$root/deploy/image/build.sh"
}
attested() { # the provenance names the digest that the archive's index has, and the checksums cover both
  local digest
  digest=$(tar -xOf "$work/out/l4fwd-1.2.3.oci.tar" index.json | jq -r '.manifests[0].digest') &&
    jq -e --arg d "${digest#sha256:}" '.subject == [{name: "l4fwd", digest: {sha256: $d}}]' "$work/out/l4fwd-1.2.3.image.provenance.json" &&
    (cd "$work/out" && sha256sum --check --strict SHA256SUMS && grep -c -e oci.tar -e provenance SHA256SUMS | grep -qx 3)
}
inspected() { # labels, user, and a file system of three files
  local id at list=$work/manifest.json
  buildah manifest inspect l4fwd:1.2.3 >"$list" || return 1
  diff <(tr , '\n' <<<"$platforms" | cut -d/ -f2 | sort) <(jq -r '.manifests[].platform.architecture' "$list" | sort) || return 1
  id=$(buildah from "l4fwd:1.2.3") || return 1
  buildah inspect "$id" | jq -e '.OCIv1.config | .User == "65532:65532" and .Entrypoint == ["/l4fwd"]
    and .Labels["org.opencontainers.image.version"] == "1.2.3" and .Labels["org.opencontainers.image.created"] == "2026-01-01T00:00:00Z"' || return 1
  at=$(buildah mount "$id") || return 1
  diff <(printf '%s\n' ./etc/ssl/certs/ca-certificates.crt ./l4fwd ./usr/share/sbom/l4fwd.cdx.json) <(cd "$at" && find . -type f | sort) &&
    jq -e '.metadata.component.version == "1.2.3"' "$at/usr/share/sbom/l4fwd.cdx.json" && chroot --userspec=65532:65532 "$at" /l4fwd version
}

if have hadolint; then step "hadolint" hadolint "$root/Dockerfile"; else skip "hadolint" "not installed: https://github.com/hadolint/hadolint"; fi
step "what the image is built from" ignores
if ! have go; then
  skip "the image" "go is missing"
else
  step "the Dockerfile's steps in order" replay
  if [ "$(id -u)" = 0 ] && [ "$(uname)" = Linux ]; then step "the binary alone in an empty root" alone; else skip "the binary alone in an empty root" "needs root"; fi
  if ! have buildah || ! have jq || [ "$(id -u)" != 0 ]; then
    skip "the image built by buildah" "needs buildah, jq and root: apt-get install buildah jq"
  else
    export STORAGE_DRIVER=vfs CONTAINERS_STORAGE_CONF=$work/storage.conf
    printf '[storage]\ndriver = "vfs"\nrunroot = "%s/run"\ngraphroot = "%s/graph"\n' "$work" "$work" >"$work/storage.conf"
    mkdir "$work/path" && ln -s "$(command -v buildah)" "$work/path/podman" # the script takes what is called podman, which understands the same
    step "a builder's image of this machine's Go" builder
    step "make image by buildah: $platforms" image
    step "the image's provenance and checksums" attested
    step "the image's labels, user and files" inspected
  fi
fi
summary deploy-check-image
