# $image: the Debian packages that debs.lock, or r_packages.lock, pins for it.
FROM $below AS $stage
RUN --network=none --mount=type=bind,from=recipe,source=debs,target=/dev/debs \
    --mount=type=bind,from=section.$section,target=/dev/section \
    /dev/debs/install-debs /dev/section
