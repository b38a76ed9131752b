# R packages from CRAN-like repositories: compiled beside $image, which gets what comes out, and no compiler.
FROM $below AS $image-compilers
RUN --network=none --mount=type=bind,from=recipe,source=debs,target=/run/debs \
    --mount=type=bind,from=sections,source=$image-build.debs,target=/run/section \
    /run/debs/install-debs /run/section

# The cache mount is root's, and its entries carry a seal: packages' own code writes none of it.
FROM $image-compilers AS $image-library
RUN --network=none --mount=type=bind,from=recipe,source=r,target=/run/r \
    --mount=type=bind,from=sections,source=$image.r,target=/run/section \
    --mount=type=secret,id=seal,mode=0400 --mount=type=secret,id=limits,mode=0400 \
    --mount=type=cache,id=$cache,target=/var/cache/pyrlab-r,mode=0700 \
    /run/r/install-library /run/section

# The gate, in $image's own file system and a fresh R: all that the lock names loads, in its version, and fits together.
FROM $below AS $stage
COPY --link --from=$image-library /usr/local/lib/R /usr/local/lib/R
COPY --link --from=$image-library /usr/local/share/jupyter /usr/local/share/jupyter
RUN --network=none --mount=type=bind,from=recipe,source=r,target=/run/r \
    --mount=type=bind,from=sections,source=$image.r,target=/run/section \
    HOME=/tmp/gate Rscript --vanilla /run/r/check-library /run/section/library
