FROM $below AS $image
COPY --link --from=shared / /$parts$gate$trust
USER notebook
