"""`tmpnb content …`: what visitors find in their homes, where it comes from, and the links that open it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import click

from redirector.admin_api.client import AdminClient
from redirector.admin_api.errors import AdminError
from redirector.cli.fleet.access import locate, read_secret
from redirector.cli.fleet.options import json_option, on_a_fleet, reason_option
from redirector.cli.terminal.contents import print_content, print_contents, progress_words
from redirector.cli.terminal.exits import Exit, Stop
from redirector.cli.terminal.results import Outcome, leave, on_each, say_line, say_nothing
from redirector.cli.terminal.tables import print_json
from redirector.cli.terminal.texts import examples, plain
from redirector.model.content_links import link_forms

LOOK_SECONDS = 0.5
"""How often `--wait` looks."""

WAIT_SECONDS = 600.0
NODES_SECONDS = 15.0
"""Once it was fetched, so long for the nodes to have it; a fleet may have none that takes contents."""


def content_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Names of contents for the shell; none where no fleet answers at once."""
    try:
        access = locate(ctx.params.get("url"), ctx.params.get("state"), os.environ)
        contents = AdminClient(access.url, access.token, answer_seconds=2.0).contents().contents
    except (Stop, AdminError):
        return []
    return [each.name for each in contents if each.named and each.name.startswith(incomplete)]


name_argument = click.argument("name", shell_complete=content_names)
wait_option = click.option("--wait", is_flag=True, help="Wait until it was fetched and its nodes hold it, or why not.")


@click.group()
def content() -> None:
    """List, show, add, refresh and remove contents, and what links may ask for."""


@content.command("list", epilog=examples("tmpnb content list", "tmpnb content list --json"))
@on_a_fleet
@json_option
def list_contents(client: AdminClient, as_json: bool) -> None:
    """List contents and, behind them, what links may ask for. JSON is an object with both."""
    found = client.contents()
    if as_json:
        print_json(found)
        return
    print_contents(found)


@content.command(epilog=examples("tmpnb content show spring"))
@on_a_fleet
@name_argument
@json_option
def show(client: AdminClient, name: str, as_json: bool) -> None:
    """Show one content: its commit, its size, and which node holds it."""
    found = client.content(name)
    if as_json:
        print_json(found)
        return
    print_content(found)


@content.command(
    epilog=examples(
        "tmpnb content add spring gh:org/course@main --open lesson1.ipynb",
        "tmpnb content add data https://example.org/data.zip --pool r --wait",
        "tmpnb content add exam git+https://git.example.org/exam --token-file exam.token --whole-pool",
    )
)
@on_a_fleet
@click.argument("name")
@click.argument("source")
@click.option("--pool", default="", metavar="NAME", help="In which pool it opens.  [default: default]")
@click.option("--open", "page", default="", metavar="FILE", help="What its link opens; else where the pool lands.")
@click.option("--whole-pool", is_flag=True, help="Every sandbox of the pool has it, before anybody comes.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Holds the token of a private source; - is standard input. It goes to that source's host only.",
)
@wait_option
@reason_option
@json_option
def add(
    client: AdminClient,
    *,
    name: str,
    source: str,
    pool: str,
    page: str,
    whole_pool: bool,
    token_file: Path | None,
    wait: bool,
    reason: str,
    as_json: bool,
) -> None:
    """Name a content. Its link works as soon as it was fetched.

    SOURCE is gh:OWNER/REPOSITORY@REF, gl:GROUP/PROJECT@REF, git+https://HOST/PATH@REF, the https address of a .zip or
    .tar.gz, or dir:/DIRECTORY of the redirector's host. Without @REF it is the repository's default branch.
    """
    token = read_secret(token_file) if token_file else ""
    added = client.add_content(name, source, pool=pool, page=page, whole_pool=whole_pool, token=token, reason=reason)
    if as_json and not wait:
        print_json(added)
        return
    if not as_json:
        click.echo(f"added {plain(name)}: {plain(added.content.url)}")
        click.echo(f"webhook: {client.url}/api/content/{name}/refresh, secret {added.webhook_secret}")
    if wait:
        _wait(client, name, as_json=as_json)


@content.command(epilog=examples("tmpnb content refresh spring", "tmpnb content refresh spring --wait"))
@on_a_fleet
@name_argument
@wait_option
@reason_option
@json_option
def refresh(client: AdminClient, *, name: str, wait: bool, reason: str, as_json: bool) -> None:
    """Have a content fetched now, instead of at the next regular look."""
    client.refresh_content(name, reason=reason)
    if wait:
        _wait(client, name, as_json=as_json)
    elif not as_json:
        click.echo(f"{plain(name)}: is fetched now; `tmpnb content show {plain(name)}` says how far it is")
    else:
        print_json({"name": name})


@content.command(epilog=examples("tmpnb content remove spring"))
@on_a_fleet
@click.argument("names", metavar="NAME...", nargs=-1, required=True, shell_complete=content_names)
@reason_option
@json_option
def remove(client: AdminClient, *, names: tuple[str, ...], reason: str, as_json: bool) -> None:
    """Forget contents. Their links end; sandboxes that have them keep them."""

    def forget(name: str) -> Outcome:
        client.remove_content(name, reason=reason)
        return Outcome(name, "done", "removed")

    outcomes = on_each(dict.fromkeys(names), forget, say_nothing if as_json else say_line)
    if as_json:
        print_json([{"name": each.name, "status": each.status, "message": each.message} for each in outcomes])
    leave(outcomes)


@content.command(epilog=examples("tmpnb content allow 'gh:org/*'", "tmpnb content allow 'gh:org/*' --pool r"))
@on_a_fleet
@click.argument("pattern")
@click.option("--pool", default="", metavar="NAME", help="In which pool such links open.  [default: default]")
@reason_option
@json_option
def allow(client: AdminClient, *, pattern: str, pool: str, reason: str, as_json: bool) -> None:
    """Let links ask for every source that PATTERN matches: a * stands for anything between two slashes."""
    _say_change(client.allow_content(pattern, pool=pool, reason=reason), "allowed", "was allowed already", as_json)


@content.command(epilog=examples("tmpnb content deny 'gh:org/*'"))
@on_a_fleet
@click.argument("pattern")
@reason_option
@json_option
def deny(client: AdminClient, *, pattern: str, reason: str, as_json: bool) -> None:
    """Let links ask for what PATTERN matches no longer."""
    _say_change(client.deny_content(pattern, reason=reason), "not allowed any more", "was not allowed", as_json)


@content.command(epilog=examples("tmpnb content link spring lesson1.ipynb", "tmpnb content link spring --json"))
@on_a_fleet
@name_argument
@click.argument("file", default="")
@json_option
def link(client: AdminClient, name: str, file: str, as_json: bool) -> None:
    """Print the link to a content, or to FILE in it, and badges for documents."""
    found = client.content(name)
    forms = link_forms(found.url.rpartition("/c/")[0], name, file)
    if as_json:
        print_json(forms)
        return
    for head, text in (
        ("link", forms.url),
        ("Markdown", forms.markdown),
        ("HTML", forms.html),
        ("reStructuredText", forms.rst),
        ("frame", forms.iframe),
    ):
        click.echo(f"{head}:\n{text}\n")


def _say_change(change: object, done: str, already: str, as_json: bool) -> None:
    if as_json:
        print_json(change)
        return
    pattern, changed = getattr(change, "pattern", ""), getattr(change, "changed", False)
    click.echo(f"{plain(pattern)}: {done if changed else already}")


def _wait(client: AdminClient, name: str, *, as_json: bool, sleep: Callable[[float], None] = time.sleep) -> None:
    """Look until a content was fetched and is where it is needed.

    Raises:
        Stop: it was not fetched, or takes too long.
    """
    deadline, fetched_at, said = time.monotonic() + WAIT_SECONDS, 0.0, ""
    while True:
        found = client.content(name)
        state, done = progress_words(found)
        if state != said and not as_json:
            click.echo(f"{plain(name)}: {plain(state)}", err=True)
        said = state
        if found.digest and not found.wanted:
            fetched_at = fetched_at or time.monotonic()
            done = done or time.monotonic() - fetched_at > NODES_SECONDS
        if done:
            break
        if not found.wanted and found.problem:
            break
        if time.monotonic() > deadline:
            raise Stop(f"{name}: {state}; the fleet goes on", Exit.FAILED)
        sleep(LOOK_SECONDS)
    if as_json:
        print_json(found)
    if found.problem:
        raise Stop(f"{name} was not fetched: {found.problem}", Exit.FAILED)
    if failed := [f"{node}: {held.problem}" for node, held in found.nodes.items() if held.state == "failed"]:
        raise Stop(f"{name} is not on every node: {'; '.join(failed)}", Exit.PARTLY)
