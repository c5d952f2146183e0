"""Open every page of a built book in headless Chromium, and say what a reader would find broken.

A page is at fault when a figure or a formula on it is not drawn, when anything on it fails to load or comes
from another host, or when its scripts complain. Needs selenium (the `test` extra), and Chromium with its
driver: `apt-get install chromium chromium-driver`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from skillkit.errors import SkillkitError

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--window-size=1300,2000",
)
PATIENCE = 20.0  # seconds that a page may take to draw its figures

# How many figures and formulas a page has, and how many of them are drawn.
COUNTS = """
const outermost = figure => !figure.parentElement.closest("[role=figure]");
const figures = [...document.querySelectorAll("[role=figure], .vega-embed")].filter(outermost);
const visible = picture => picture.getBoundingClientRect().width > 20;
const drawn = figure => [...figure.querySelectorAll("svg, canvas")].some(visible);
const formulas = [...document.querySelectorAll("span.math, div.math")];
return {
  ready: document.readyState === "complete",
  blank: figures.filter(f => !drawn(f)).map(f => f.getAttribute("aria-label") || f.id || "without a name"),
  unset: formulas.filter(f => !f.querySelector("mjx-container")).map(f => f.textContent),
};
"""


def find_chromium() -> tuple[str, str] | None:
    """The paths of Chromium and of its driver; None when one is missing."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


def check_book(folder: Path) -> list[str]:
    """Open all pages under `folder` one after the other.

    Returns:
        One line for each fault, which begins with its page.

    Raises:
        SkillkitError: There is no book in the folder, or no Chromium on this machine.
    """
    pages = sorted(path.relative_to(folder) for path in folder.rglob("*.html") if "_static" not in path.parts)
    if not pages:
        raise SkillkitError(f"There is no book in {folder}. Build it first: skillkit book.")
    with _served(folder) as address, open_chromium() as driver:
        return [
            f"{page}: {fault}"
            for page in pages
            for fault in check_page(driver, f"{address}/{page.as_posix()}")
        ]


def check_page(driver: Any, url: str) -> list[str]:
    """Open one page and wait for its figures; what is wrong with it, in words."""
    driver.get(url)
    until = time.monotonic() + PATIENCE
    while True:
        counts = driver.execute_script(COUNTS)
        if (counts["ready"] and not counts["blank"] and not counts["unset"]) or time.monotonic() > until:
            break
        time.sleep(0.1)
    faults = [f"figure not drawn: {name[:80]}" for name in counts["blank"]]
    faults += [f"formula not set: {text[:80]}" for text in counts["unset"]]
    faults += [
        f"script: {entry['message'][:200]}"
        for entry in driver.get_log("browser")
        if entry["level"] == "SEVERE"
    ]
    return list(dict.fromkeys(faults + _network_faults(driver, urlsplit(url).netloc)))


def _network_faults(driver: Any, host: str) -> list[str]:
    """Requests to other hosts and requests that failed, from Chromium's own log."""
    faults, asked = [], {}
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        method, facts = message["method"], message["params"]
        if method == "Network.requestWillBeSent":
            url = urlsplit(facts["request"]["url"])
            if url.scheme in ("http", "https", "ws", "wss"):  # not data:, nor the browser's own pages
                asked[facts["requestId"]] = url.geturl()
            if facts["requestId"] in asked and url.netloc != host:
                faults.append(f"loads from another host: {url.geturl()[:200]}")
        elif method == "Network.responseReceived" and facts["response"]["status"] >= 400:
            faults.append(f"status {facts['response']['status']}: {facts['response']['url'][:200]}")
        elif method == "Network.loadingFailed" and not facts.get("canceled") and facts["requestId"] in asked:
            faults.append(f"{facts['errorText']}: {asked[facts['requestId']][:200]}")
    return faults


class _Quiet(SimpleHTTPRequestHandler):
    """A file server that keeps its log to itself."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def open_chromium() -> Iterator[Any]:
    """Headless Chromium with an empty profile, as selenium's driver; closed at the end of the block.

    Yields:
        The driver, with the logs `browser` and `performance` switched on and emptied.

    Raises:
        SkillkitError: Chromium or its driver is missing.
    """
    found = find_chromium()
    if found is None:
        raise SkillkitError(
            "Chromium or its driver is missing. On Debian: apt-get install chromium chromium-driver."
        )
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = found[0]
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(found[1]))
        driver.set_page_load_timeout(60)
        driver.get("about:blank")
        for kind in ("browser", "performance"):
            driver.get_log(kind)  # forget what the browser did at its start
        try:
            yield driver
        finally:
            driver.quit()
