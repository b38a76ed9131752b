# Steps of image.Dockerfile. hadolint takes them for a whole file.
# hadolint ignore=DL3061
RUN --network=none --mount=type=bind,from=recipe,source=lab,target=/dev/lab \
    --mount=type=bind,from=section.ca,target=/dev/section \
    --mount=type=tmpfs,target=/tmp --mount=type=tmpfs,target=/var/tmp /dev/lab/trust-ca /dev/section
# curl, R and pip ask Debian's list by themselves. Others have a list of their own, unless they are told.
# hadolint ignore=DL3061
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
