# Some of Python's pins, installed apart and copied in with --link: a changed pin reinstalls and re-ships these only.
FROM tools AS $stage
RUN --network=none --mount=type=bind,from=recipe,source=python,target=/dev/python \
    --mount=type=bind,from=section.$section,target=/dev/section \
    /dev/python/install-wheels /dev/section
