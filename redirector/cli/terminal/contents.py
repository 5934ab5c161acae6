"""Contents in words and tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from redirector.admin_api.content_views import ContentsView, ContentView
from redirector.cli.terminal.exits import Exit
from redirector.cli.terminal.tables import print_table
from redirector.cli.terminal.texts import ago, plain
from redirector.model.content_alarms import ALIVE_SECONDS


def progress_words(found: ContentView) -> tuple[str, bool]:
    """How far a content is, in words, and whether that is far enough."""
    if found.problem and not found.wanted:
        return f"not fetched: {found.problem}", False
    if found.wanted or not found.digest:
        return "is being fetched", False
    if not found.nodes:
        return f"fetched, {found.files} files; no node holds it yet", False
    held = [node for node, each in found.nodes.items() if each.state == "there"]
    waits = [node for node, each in found.nodes.items() if each.state == "wanted"]
    return f"fetched, {found.files} files; held by {', '.join(held) or 'no node'}", not waits


def print_contents(found: ContentsView) -> None:
    """Print all contents as a table, and what links may ask for; what is wrong with the workers goes to stderr."""
    if found.contents:
        now = time.time()
        print_table(
            ("NAME", "SOURCE", "POOL", "COMMIT", "FETCHED", "SIZE", "NODES", "PROBLEM"),
            (
                (
                    each.name,
                    each.source,
                    each.pool + (" (all of it)" if each.whole_pool else ""),
                    each.commit[:12] or "-",
                    ago(each.fetched_at, now) if each.fetched_at else "never",
                    _size(each.size) if each.digest else "-",
                    str(sum(held.state == "there" for held in each.nodes.values())),
                    each.problem or "-",
                )
                for each in found.contents
            ),
        )
    else:
        click.echo("no contents", err=True)
    for pattern in found.patterns:
        click.echo(f"links may ask for {plain(pattern.pattern)} in pool {plain(pattern.pool)}")
    for line in worker_lines(found):
        click.echo(f"warning: {plain(line)}", err=True)


def worker_lines(found: ContentsView) -> Sequence[str]:
    """What is wrong with the workers, a sentence each."""
    now = time.time()
    problems = [f"the worker on {each.host}: {each.problem}" for each in found.workers if each.problem]
    if not any(now - each.at < ALIVE_SECONDS for each in found.workers):
        problems.append("no worker runs, so nothing is fetched: see TMPNB_CONTENT_WORKER and `tmpnb worker`")
    return problems


def print_content(found: ContentView) -> None:
    """Print one content, and end with a status of failure where it was never fetched."""
    now = time.time()
    rows = [
        ("source", found.source + (" (private)" if found.private else "")),
        ("pool", found.pool + (", in every sandbox" if found.whole_pool else "")),
        ("link", found.url),
        ("opens", found.open or "where the pool lands"),
        ("commit", found.commit or "-"),
        ("fetched", ago(found.fetched_at, now) if found.fetched_at else "never"),
        ("looked at", ago(found.checked_at, now) if found.checked_at else "never"),
        ("size", f"{_size(found.size)}, {found.files} files" if found.digest else "-"),
        *([("needs", found.needs)] if found.needs else []),
        *([("problem", f"{found.problem} (since {ago(found.problem_since, now)})")] if found.problem else []),
        *([("added by", f"{found.by}: {found.reason}" if found.reason else found.by)] if found.by else []),
    ]
    for head, text in rows:
        click.echo(f"{head + ':':<11}{plain(text)}")
    for node, held in found.nodes.items():
        words = {"there": "holds it", "wanted": "is being sent it", "failed": f"does not hold it: {held.problem}"}
        click.echo(f"{'node:':<11}{plain(node)} {plain(words.get(held.state, held.state))}")
    if found.problem:
        sys.exit(Exit.FAILED if not found.digest else Exit.DONE)


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"
