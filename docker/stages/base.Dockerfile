# The root: an image of a registry, by its digest. What it has and lacks was looked at when it was locked.
FROM $image AS root
USER root
