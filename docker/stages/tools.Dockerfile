# What locks and installs Python packages, itself pinned by hash. No lab holds it.
FROM root AS tools
RUN --network=none --mount=type=bind,from=recipe,source=python,target=/run/python \
    --mount=type=bind,from=sections,source=tools,target=/run/section \
    /run/python/install-tools /run/section
