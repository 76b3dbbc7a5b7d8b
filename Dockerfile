# A static binary in an empty image: no shell, no package manager, not root. .dockerignore lists what comes in.
# For other platforms than the builder's it is cross-compiled, so nothing is emulated.
ARG GO_IMAGE=docker.io/library/golang:1.26
FROM --platform=$BUILDPLATFORM $GO_IMAGE AS build
ARG VERSION=dev COMMIT=unknown TARGETOS=linux TARGETARCH=amd64
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X main.version=$VERSION -X main.commit=$COMMIT" -o /l4fwd ./cmd/l4fwd
RUN VERSION=$VERSION sh deploy/release/sbom.sh /l4fwd > /l4fwd.cdx.json

FROM scratch
ARG VERSION=dev COMMIT=unknown CREATED=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="l4fwd" \
      org.opencontainers.image.description="TCP forwarder from AWS PrivateLink to Azure OpenAI" \
      org.opencontainers.image.source="https://github.com/l4fwd/l4fwd" \
      org.opencontainers.image.documentation="https://github.com/l4fwd/l4fwd/blob/main/docs/DEPLOY.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT" \
      org.opencontainers.image.created="$CREATED" \
      com.github.l4fwd.sbom="/usr/share/sbom/l4fwd.cdx.json"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /l4fwd.cdx.json /usr/share/sbom/l4fwd.cdx.json
COPY --from=build /l4fwd /l4fwd
# Not root, so not port 443 by itself: run with --listen :8443, with --sysctl net.ipv4.ip_unprivileged_port_start=443, or in the host's network
# on a host that sets it.
USER 65532:65532
EXPOSE 443 8080
# The drain: SIGTERM, then as long as lame_duck and timeout take; give the container that long to stop.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/l4fwd"]
CMD ["serve"]
