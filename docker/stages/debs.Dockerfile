# $image: the Debian packages that debs.lock, or r_packages.lock, pins for it.
FROM $below AS $stage
RUN --network=none --mount=type=bind,from=recipe,source=debs,target=/run/debs \
    --mount=type=bind,from=sections,source=$section,target=/run/section \
    /run/debs/install-debs /run/section
