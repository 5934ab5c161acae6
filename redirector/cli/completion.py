"""`tmpnb completion`: what a shell needs to complete commands, options and names of nodes."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from redirector.cli.terminal.texts import examples


@click.command(
    epilog=examples(
        'eval "$(tmpnb completion bash)"',
        "tmpnb completion fish > ~/.config/fish/completions/tmpnb.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion for a shell."""
    made = get_completion_class(shell)
    assert made is not None, "click knows these shells"
    click.echo(made(ctx.find_root().command, {}, "tmpnb", "_TMPNB_COMPLETE").source())
