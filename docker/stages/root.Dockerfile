# The root: the data of its .debs is unpacked as one tar, then dpkg configures it, without a network. One layer is left.
FROM scratch AS root-unpacked
ADD root.tar /

FROM root-unpacked AS root-configured
RUN --network=none --mount=type=bind,from=recipe,source=root,target=/run/recipe \
    --mount=type=bind,from=sections,source=root,target=/run/section \
    /run/recipe/configure-root /run/section

FROM scratch AS root
COPY --from=root-configured / /
