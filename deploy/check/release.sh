#!/usr/bin/env bash
# Checks make release: two builds, the second from a copy of the sources elsewhere and at another time, are equal byte for byte; an archive
# holds what the user data looks for; the checksums hold.
set -uo pipefail
# shellcheck source=SCRIPTDIR/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! have go; then
  skip "release: everything" "go is missing"
  summary deploy-check-release
  exit
fi
# All platforms once, the two that are deployed twice: cross-compiling is what takes the time.
export VERSION=v1.2.3 COMMIT=0123456789ab SOURCE_DATE_EPOCH=1767225600

first() { OUT=$work/first "$root/deploy/release/build.sh"; }
second() { # other directory, umask, time stamps and time zone; no git
  mkdir "$work/copy" && (cd "$root" && tar -cf - --exclude=./.git --exclude=./build --exclude=.terraform .) | tar -xmf - -C "$work/copy" &&
    (umask 077 && TZ=Asia/Tokyo OUT=$work/second PLATFORMS="linux/amd64 linux/arm64" "$work/copy/deploy/release/build.sh")
}
same() { grep ' l4fwd-v1.2.3-linux-' "$work/first/SHA256SUMS" | diff - "$work/second/SHA256SUMS"; }
checksums() { cd "$work/first" && [ "$(wc -l <SHA256SUMS)" = 4 ] && sha256sum --check --strict SHA256SUMS; }
content() {
  local files='CAPACITY.md CHANGELOG.md CONFIG.md EIP.md LICENSE METRICS.md README.md ROUTING.md RUNBOOK.md SECURITY.md WARM.md alerts.yaml all-keys.yaml dashboard.json l4fwd l4fwd.cdx.json' linux='60-l4fwd.conf l4fwd.env l4fwd.service l4fwd.socket l4fwd.yaml' p want
  for p in linux-amd64 linux-arm64 darwin-amd64 darwin-arm64; do
    want=$files
    [[ $p != linux-* ]] || want="$files $linux"
    # shellcheck disable=SC2086 # words
    diff <(printf "l4fwd-v1.2.3-$p/%s\n" $want | sort) <(tar -tzf "$work/first/l4fwd-v1.2.3-$p.tar.gz" | grep -v '/$' | sort) || return 1
  done
}
runs() { # the binary is what it says, and of the platform it is for
  tar -xzf "$work/first/l4fwd-v1.2.3-linux-amd64.tar.gz" -C "$work" && tar -xzf "$work/first/l4fwd-v1.2.3-linux-arm64.tar.gz" -C "$work" &&
    go version -m "$work/l4fwd-v1.2.3-linux-arm64/l4fwd" | grep -q 'GOARCH=arm64' || return 1
  [ "$(uname -sm)" != 'Linux x86_64' ] || "$work/l4fwd-v1.2.3-linux-amd64/l4fwd" version | grep -qx 'l4fwd v1.2.3'
}
bill() { # as many components as the binary has modules, and the standard library
  local dir=$work/l4fwd-v1.2.3-linux-amd64
  [ "$(jq '.components | length' "$dir/l4fwd.cdx.json")" = $(($(go version -m "$dir/l4fwd" | grep -c '^[[:space:]]dep') + 1)) ] &&
    jq -e '.bomFormat == "CycloneDX" and .metadata.component.version == "v1.2.3"' "$dir/l4fwd.cdx.json"
}
no_paths() { ! grep -aqF -e "$root" -e "$work" "$work/l4fwd-v1.2.3-linux-amd64/l4fwd"; }

step "release" first
step "release again, elsewhere" second
step "both are equal byte for byte" same
step "checksums" checksums
step "content of the archives" content
step "binaries" runs
step "no path of this machine" no_paths
if have jq; then step "bill of materials" bill; else skip "bill of materials" "not installed: apt-get install jq"; fi
summary deploy-check-release
