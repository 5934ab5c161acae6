"""nginx before the redirector, as before a fleet for the public: its configuration, and how it is called.

What visitors and operators reach is nginx. It asks gunicorn behind it, and the process that serves event streams.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from redirector.local_fleet.errors import NotStartedError

GUNICORN_KEEPALIVE_SECONDS = 2
"""How long gunicorn as `tmpnb serve` starts it keeps an idle connection: its own default."""


def command(run_root: Path) -> tuple[str, ...]:
    """How nginx is called, to be found on the PATH of its environment.

    Its title names the run directory, by which it is found again. Its log is what it is started with, not the file that
    its package names, which is not ours to write.
    """
    return ("nginx", "-e", "stderr", "-p", f"{run_root}/", "-c", str(_config(run_root)))


def streams_socket(run_root: Path) -> Path:
    """Where event streams are served."""
    return run_root / "streams.sock"


def render(run_root: Path, *, listen: str, redirector: str) -> str:
    """The configuration, from two addresses as HOST:PORT: where nginx listens, and where gunicorn does."""
    # nginx's configuration is no markup.
    environment = Environment(
        loader=PackageLoader("redirector.local_fleet"),
        autoescape=False,  # noqa: S701
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template("front.conf").render(
        run_root=run_root,
        streams=streams_socket(run_root),
        listen=listen,
        redirector=redirector,
        gunicorn_keepalive=GUNICORN_KEEPALIVE_SECONDS,
    )


def write(run_root: Path, text: str) -> None:
    """Put the configuration where `command` looks for it.

    Raises:
        NotStartedError: it cannot be written.
    """
    try:
        _config(run_root).write_text(text, encoding="utf-8")
    except OSError as problem:
        raise NotStartedError(f"{run_root} cannot be used for nginx: {problem.strerror}") from problem


def _config(run_root: Path) -> Path:
    return run_root / "front.conf"
