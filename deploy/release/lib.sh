# Sourced by what builds artefacts: where things are, and what makes two builds of one commit equal byte for byte.
# shellcheck shell=bash disable=SC2034 # for the scripts that source this

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=${OUT:-$root/build/release}
VERSION=${VERSION:-$(git -C "$root" describe --tags --always --dirty 2>/dev/null || echo dev)}
COMMIT=${COMMIT:-$(git -C "$root" rev-parse --short=12 HEAD 2>/dev/null || echo unknown)}
# The time in all archives: the commit's, else a fixed one. https://reproducible-builds.org/specs/source-date-epoch/
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || echo 1767225600)}
export VERSION COMMIT SOURCE_DATE_EPOCH LC_ALL=C TZ=UTC
umask 022

go_build() { # go_build OS ARCH FILE [fips]: no paths, no build ids of this machine, no state of the checkout in it
  local module=off
  [ "${4:-}" != fips ] || module=v1.0.0 # the version of Go's cryptographic module that has a certificate
  (cd "$root" && CGO_ENABLED=0 GOFIPS140=$module GOOS=$1 GOARCH=$2 GOAMD64=v1 GOARM64=v8.0 GOFLAGS=-mod=readonly go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X main.version=$VERSION -X main.commit=$COMMIT" -o "$3" ./cmd/l4fwd)
}

collect() { # collect OS ARCH DIR [fips]: all that a release of this platform holds
  mkdir -p "$3"
  go_build "$1" "$2" "$3/l4fwd" "${4:-}"
  sh "$root/deploy/release/sbom.sh" "$3/l4fwd" >"$3/l4fwd.cdx.json"
  install -m 0644 "$root"/{LICENSE,README.md,CHANGELOG.md} "$root"/docs/{CAPACITY,CONFIG,EIP,METRICS,ROUTING,RUNBOOK,SECURITY,UPGRADE,WARM}.md "$root/docs/all-keys.yaml" "$3"
  install -m 0644 "$root/deploy/prometheus/alerts.yaml" "$3"
  install -m 0644 "$root/deploy/grafana/l4fwd.json" "$3/dashboard.json"
  (cd "$root" && go run ./deploy/release/licenses -texts) >"$3/NOTICES"
  local page shell
  for page in l4fwd.1 l4fwd.yaml.5; do gzip -9nc "$root/docs/$page" >"$3/$page.gz"; done
  for shell in bash zsh fish; do (cd "$root" && go run ./cmd/l4fwd completion "$shell") >"$3/l4fwd.$shell"; done
  [ "$1" != linux ] || install -m 0644 "$root"/deploy/systemd/l4fwd.{service,socket,yaml,env} "$root/deploy/systemd/sysctl.d/60-l4fwd.conf" "$3"
}
