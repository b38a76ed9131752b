# The root: the data of its .debs is unpacked as one tar, then dpkg configures it, without a network. One layer is left.
FROM scratch AS root-unpacked
ADD root.tar /

# Mounted in /dev, which is not part of the image: elsewhere the folder above a mount gets the time of the build.
FROM root-unpacked AS root-configured
RUN --network=none --mount=type=bind,from=recipe,source=root,target=/dev/recipe \
    --mount=type=bind,from=section.root,target=/dev/section \
    /dev/recipe/configure-root /dev/section

FROM scratch AS root
COPY --from=root-configured / /
