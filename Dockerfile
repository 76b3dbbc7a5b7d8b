# A static binary in an empty image: no shell, no package manager, not root.
FROM golang:1.26 AS build
ARG VERSION=dev COMMIT=unknown TARGETOS TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd cmd
COPY proxy proxy
COPY health health
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath \
    -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT" -o /l4fwd ./cmd/l4fwd

FROM scratch
ARG VERSION=dev COMMIT=unknown
LABEL org.opencontainers.image.title="l4fwd" \
      org.opencontainers.image.description="TCP forwarder from AWS PrivateLink to Azure OpenAI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$COMMIT"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /l4fwd /l4fwd
# Not root, so not port 443 by itself: run with --listen :8443, or with CAP_NET_BIND_SERVICE.
USER 65532:65532
EXPOSE 443 8080
ENTRYPOINT ["/l4fwd"]
CMD ["serve"]
