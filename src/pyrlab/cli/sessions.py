"""How a verb tells what it does: as the session that people call, with examples."""

from collections.abc import Sequence

import click


class Session(click.Command):
    """A verb of the command line whose help shows the call through Nox; ``examples`` are what follows its ``--``."""

    def __init__(self, *arguments: object, examples: Sequence[str] = (), **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.examples = examples

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the line with all parts of a call."""
        formatter.write_usage(f"nox -s {self.name} --", " ".join(self.collect_usage_pieces(ctx)))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        del ctx
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write_text(f"nox -s {self.name} -- {example}" if example else f"nox -s {self.name}")
