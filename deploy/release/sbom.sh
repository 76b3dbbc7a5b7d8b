#!/bin/sh
# sbom.sh BINARY: its bill of materials as CycloneDX JSON, from what the Go tool wrote into the binary. Needs go and awk only, so that it
# runs in the image's build stage too.
set -eu
go version -m "$1" | awk '
  function component(type, path, version,    purl) {
    purl = "pkg:golang/" path (version == "" ? "" : "@" version)
    return sprintf("{\"type\":\"%s\",\"name\":\"%s\",\"version\":\"%s\",\"purl\":\"%s\",\"bom-ref\":\"%s\"}", type, path, version, purl, purl)
  }
  NR == 1 { go = $NF; sub(/^go/, "", go) }
  $1 == "mod" { main = $2 }
  $1 == "dep" { list = list ",\n    " component("library", $2, $3) }
  $1 == "=>" { print "sbom.sh: a replaced module: " $2 > "/dev/stderr"; exit 1 }
  END {
    if (main == "") { print "sbom.sh: not a Go binary with module information" > "/dev/stderr"; exit 1 }
    printf "{\n  \"bomFormat\":\"CycloneDX\",\n  \"specVersion\":\"1.5\",\n  \"version\":1,\n"
    printf "  \"metadata\":{\"component\":%s},\n", component("application", main, ENVIRON["VERSION"])
    printf "  \"components\":[\n    %s%s\n  ]\n}\n", component("library", "stdlib", go), list
  }'
