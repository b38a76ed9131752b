# The root: an image of a registry, by its digest. What it has and lacks was looked at when it was locked. Build steps are
# root's, whoever its own user is; the images end with the labs' user.
FROM $image AS root
# hadolint ignore=DL3002
USER root
