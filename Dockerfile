# syntax=docker/dockerfile:1
# All nine images: `docker build --target patient-service .`, or `make images` for all of them.
#
# One build makes every binary, fully static; each image is empty but for one of them, and runs it as user 65532.
# scripts/images makes the same images without a container engine, from the same list (scripts/images.txt).

FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends cmake python3 && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY scripts/prepare scripts/
RUN scripts/prepare images
COPY . .
ARG PROFILE=release
# +crt-static reaches only what is built for an explicit --target, which leaves procedural macros as they must be.
# One command in `&&` rather than a here-document, which podman and buildah of Debian 12 do not read. Cargo calls the folder of `dev` debug.
RUN --mount=type=cache,id=healthcare-cargo,target=/usr/local/cargo/registry \
    --mount=type=cache,id=healthcare-target,target=/target \
    target="$(uname -m)-unknown-linux-gnu" && \
    RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=/target cargo auditable build --locked --profile "$PROFILE" --target "$target" --bins \
        --package gateway --package records --package patient --package appointment --package billing \
        --package notification --package provider --package auth --package operator && \
    mkdir -p /binaries && \
    cd "/target/$target/$([ "$PROFILE" = dev ] && echo debug || echo "$PROFILE")" && \
    install --strip --mode=755 gateway records patient appointment billing notification provider auth healthcare-operator /binaries

# What each image is made of, and that its binary says the same.
ARG VERSION=dev
ARG SOURCE_DATE_EPOCH
RUN --mount=type=cache,id=healthcare-cargo,target=/usr/local/cargo/registry \
    scripts/sbom --tag "$VERSION" --out /sbom && \
    grep --invert-match '^#' scripts/images.txt | while read -r image _ binary _; do \
        scripts/crates-in "/binaries/$binary" --covers "/sbom/$image.cdx.json" || exit 1; \
    done

# What every image has besides its binary: names for the user, how to resolve host names, and whose certificates to believe.
FROM scratch AS base
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.vendor="Healthcare Stack" \
      org.opencontainers.image.url="https://healthcarestack.dev" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY scripts/image-root/ /
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
USER 65532:65532

FROM base AS api-gateway
LABEL org.opencontainers.image.title="api-gateway"
COPY --from=build /binaries/gateway /gateway
COPY --from=build /sbom/api-gateway.cdx.json /var/lib/db/sbom/
EXPOSE 8080 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/gateway", "healthcheck"]
ENTRYPOINT ["/gateway"]

FROM base AS medical-records-service
LABEL org.opencontainers.image.title="medical-records-service"
COPY --from=build /binaries/records /records
COPY --from=build /sbom/medical-records-service.cdx.json /var/lib/db/sbom/
EXPOSE 8081 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/records", "healthcheck"]
ENTRYPOINT ["/records"]
CMD ["serve"]

FROM base AS patient-service
LABEL org.opencontainers.image.title="patient-service"
COPY --from=build /binaries/patient /patient
COPY --from=build /sbom/patient-service.cdx.json /var/lib/db/sbom/
EXPOSE 8082 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/patient", "healthcheck"]
ENTRYPOINT ["/patient"]
CMD ["serve"]

FROM base AS appointment-service
LABEL org.opencontainers.image.title="appointment-service"
COPY --from=build /binaries/appointment /appointment
COPY --from=build /sbom/appointment-service.cdx.json /var/lib/db/sbom/
EXPOSE 8083 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/appointment", "healthcheck"]
ENTRYPOINT ["/appointment"]
CMD ["serve"]

FROM base AS billing-service
LABEL org.opencontainers.image.title="billing-service"
COPY --from=build /binaries/billing /billing
COPY --from=build /sbom/billing-service.cdx.json /var/lib/db/sbom/
EXPOSE 8084 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/billing", "healthcheck"]
ENTRYPOINT ["/billing"]
CMD ["serve"]

FROM base AS notification-service
LABEL org.opencontainers.image.title="notification-service"
COPY --from=build /binaries/notification /notification
COPY --from=build /sbom/notification-service.cdx.json /var/lib/db/sbom/
EXPOSE 8085 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/notification", "healthcheck"]
ENTRYPOINT ["/notification"]
CMD ["serve"]

FROM base AS provider-service
LABEL org.opencontainers.image.title="provider-service"
COPY --from=build /binaries/provider /provider
COPY --from=build /sbom/provider-service.cdx.json /var/lib/db/sbom/
EXPOSE 8086 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/provider", "healthcheck"]
ENTRYPOINT ["/provider"]
CMD ["serve"]

FROM base AS auth-service
LABEL org.opencontainers.image.title="auth-service"
COPY --from=build /binaries/auth /auth
COPY --from=build /sbom/auth-service.cdx.json /var/lib/db/sbom/
EXPOSE 8087 9464
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/auth", "healthcheck"]
ENTRYPOINT ["/auth"]
CMD ["serve"]

FROM base AS healthcare-operator
LABEL org.opencontainers.image.title="healthcare-operator"
COPY --from=build /binaries/healthcare-operator /healthcare-operator
COPY --from=build /sbom/healthcare-operator.cdx.json /var/lib/db/sbom/
EXPOSE 8080 9464
ENTRYPOINT ["/healthcare-operator"]
