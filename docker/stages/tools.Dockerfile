# What locks and installs Python packages, itself pinned by hash. No lab holds it.
FROM root AS tools
RUN --network=none --mount=type=bind,from=recipe,source=python,target=/dev/python \
    --mount=type=bind,from=section.tools,target=/dev/section \
    /dev/python/install-tools /dev/section
