"""A pipe between two interpreters: nashfield's and that of the peers.

Only the standard library is imported here, because both sides run it. The driver asks (one JSON
line), the worker answers (one JSON line); arrays travel in .npz files whose paths are in the lines.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class PeerError(RuntimeError):
    """The peer raised; the message is its own."""


class Peer:
    """A worker process: of a peer in its environment, or of nashfield in one precision."""

    def __init__(self, python: Path | str, script: Path, variables: dict[str, str] | None = None):
        """Starts `script` with the interpreter `python` and more environment variables."""
        self._process = subprocess.Popen(
            [python, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(variables or {})},
        )

    def ask(self, do: str, **arguments: Any) -> Any:
        """Calls the worker's function `do` and waits for what it returns.

        Raises:
            PeerError: the function raised, or the worker died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise PeerError("the worker has died") from error
        line = self._process.stdout.readline()
        if not line:
            raise PeerError("the worker has died")
        reply = json.loads(line)
        if "error" in reply:
            raise PeerError(reply["error"])
        return reply["value"]

    def close(self) -> None:
        """Ends the worker."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(functions: dict[str, Callable]) -> None:
    """The worker's side: answers until its input closes."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the peer prints must not mix with the replies
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = {"value": functions[request.pop("do")](**request)}
        except Exception as error:  # the driver decides what a peer's failure means
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)
