# A Python package that comes as source only: its wheel is built where the compilers are, as nobody, without a network.
FROM $compilers AS $stage-wheel
COPY --link --from=tools /opt/tools /opt/tools
RUN --network=none --mount=type=bind,from=recipe,source=python,target=/dev/python \
    --mount=type=bind,from=section.$section,target=/dev/section \
    /dev/python/build-wheel /dev/section /out

FROM tools AS $stage
RUN --network=none --mount=type=bind,from=recipe,source=python,target=/dev/python \
    --mount=type=bind,from=$stage-wheel,source=/out,target=/dev/section \
    /dev/python/install-wheels /dev/section
