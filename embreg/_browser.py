"""Check rendered pages in Chromium: formulas that stay raw, errors of scripts, requests to other hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from embreg.pages import formulas

__all__ = ["check_in_browser"]


def check_in_browser(html_dir: str | Path) -> tuple[list[str], str]:
    """Open every page in Chromium without a network and report what went wrong there.

    Parameters
    ----------
    html_dir : str or Path
        Folder with ``index.html``.

    Returns
    -------
    faults : list of str
        Formulas that MathJax did not turn into one, errors on the console, requests to other hosts.
    skipped : str
        Why nothing was checked; empty when it was.
    """
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return [], "browser check skipped: no chromium, chromium-browser or google-chrome on PATH"
    root = Path(html_dir).resolve()
    faults = []
    for path in sorted(root.rglob("*.html")):
        name = path.relative_to(root).as_posix()
        if name.startswith("_static/"):
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            log = Path(scratch, "net.json")
            command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                       "--disable-background-networking", "--disable-component-update", "--disable-sync",
                       "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={scratch}/user",
                       f"--log-net-log={log}", "--enable-logging=stderr", "--virtual-time-budget=8000",
                       "--dump-dom", path.as_uri()]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120)
            requests = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        faults += [f"{name}: {fault}" for fault in _seen(path, done.stdout, done.stderr, requests)]
    return faults, ""


def _seen(path: Path, dom: str, console: str, requests: str) -> list[str]:
    expected, made = formulas(path), len(re.findall(r"<mjx-container[\s>]", dom))
    found = [f"{expected} formulas, {made} rendered"] if made < expected else []
    found += ["MathJax could not read a formula"] * ("data-mjx-error" in dom)
    for line in console.splitlines():
        if ":CONSOLE" in line and re.search("error|refused|failed|uncaught", line, re.IGNORECASE):
            found.append(f"console: {line.split('] ', 1)[-1][:200]}")
    # The browser's own requests (updates, sign-in) are not made on behalf of a file.
    asked = re.findall(r'"network_isolation_key":"file:[^\n]*?"url":"(https?://[^"/]+)', requests)
    return found + [f"request to {host}" for host in sorted(set(asked))]
