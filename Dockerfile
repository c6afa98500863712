# GitHub rebuilds this file in every job that uses the action without a prebuilt image, so it fetches little: one image and
# the few modules in the binary.
ARG GO_IMAGE=golang:1.26.8-alpine3.24@sha256:8ac98ca534ac3f51e1f420a1dd2c15e74c75cfa0f23f3ad27eb5d7236c349a0c
ARG VERSION=dev

# The compiler runs on the machine's own architecture and compiles for the target's; emulating it would take minutes.
# Docker's legacy builder does not set BUILDPLATFORM or TARGETARCH: "linux" then means this machine, as does an empty GOARCH.
FROM --platform=${BUILDPLATFORM:-linux} ${GO_IMAGE} AS build
WORKDIR /src
ARG TARGETOS
ARG TARGETARCH
ENV CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} GOFLAGS=-mod=readonly
# What the program imports, before the program: a change of the sources or of the version compiles only the rest again.
COPY go.mod go.sum ./
RUN go build -trimpath \
      github.com/aymanbagabas/go-udiff \
      github.com/google/uuid \
      github.com/hashicorp/go-retryablehttp \
      github.com/sethvargo/go-githubactions
COPY . .
ARG VERSION
RUN go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /image/publish-agent-version .
# The licence of every module that is linked in, and of Go itself. A module without one stops the build.
RUN set -eu; \
    licences=/image/licences; \
    mkdir -p "$licences/go"; \
    cp "$(go env GOROOT)/LICENSE" "$licences/go/"; \
    go list -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' . | sort -u >/tmp/modules; \
    { \
      echo 'publish-agent-version is built from these, none of them changed. Each licence is in the directory of that name.'; \
      echo 'The source of each, also of those under the Mozilla Public License 2.0, is at the address beside it.'; \
      echo; \
      echo "go $(go env GOVERSION) https://go.dev/dl/"; \
      echo 'ca-certificates.crt (Mozilla Public License 2.0) https://wiki.mozilla.org/CA'; \
      while read -r module version source; do \
        mkdir -p "$licences/$module"; \
        cp "$source"/[Ll][Ii][Cc][Ee][Nn][Ss][Ee]* "$licences/$module/"; \
        echo "$module $version https://$module"; \
      done </tmp/modules; \
    } >"$licences/NOTICE"

FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="publish-agent-version" \
      org.opencontainers.image.description="Publishes a version of a Diga voice agent from a GitHub workflow." \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /image /
COPY LICENSE /licences/LICENSE
# The program mostly waits for the network and runs for milliseconds: one processor saves threads.
ENV GOMAXPROCS=1
# No USER: the runner's output file belongs to another user and only root may write it.
ENTRYPOINT ["/publish-agent-version"]
