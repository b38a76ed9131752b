# R packages from CRAN-like repositories: compiled beside $image, which gets what comes out, and no compiler.
FROM $below AS $image-compilers
RUN --network=none --mount=type=bind,from=recipe,source=debs,target=/dev/debs \
    --mount=type=bind,from=section.$image-build.debs,target=/dev/section \
    /dev/debs/install-debs /dev/section

# The cache mount is root's, and its entries carry a seal: packages' own code writes none of it.
FROM $image-compilers AS $image-library
RUN --network=none --mount=type=bind,from=recipe,source=r,target=/dev/r \
    --mount=type=bind,from=section.$image.r,target=/dev/section \
    --mount=type=secret,id=seal,mode=0400 --mount=type=secret,id=limits,mode=0400 \
    --mount=type=cache,id=$cache,target=/var/cache/pyrlab-r,mode=0700 \
    /dev/r/install-library /dev/section

# The gate, in $image's own file system and a fresh R: all that the lock names loads, in its version, and fits together.
# Packages' code runs as nobody, as it ran when it was compiled: what is root's in the image stays as it is. Where
# everybody may write, it writes into folders that are gone afterwards. It can end R with any status: all of them are
# one here, as others say that a file has other bytes.
FROM $below AS $stage
COPY --link --from=$image-library /usr/local/lib/R /usr/local/lib/R
COPY --link --from=$image-library /usr/local/share/jupyter /usr/local/share/jupyter$gate
