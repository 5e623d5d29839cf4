"""Open each page of the built documentation in Chromium, on a dark phone and a light desktop.

    python docs/check_site.py docs/_build/html [--only NAME ...] [--pictures FOLDER]

No page may log an error, load something from elsewhere, lack a picture or have text beside
the screen; in the dark style no picture is white; each example has pictures and each class a
table of its methods, no line of code has more than 79 characters, and each of the searches
finds its page. Chromium is driven through its debugging pipe: nothing but the browser is
needed. ``--pictures`` also saves a picture of each page.
"""

import argparse
import base64
import contextlib
import functools
import http.server
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip
SCREENS = {"phone": (390, 844, "dark"), "desktop": (1400, 1000, "light")}
# What people type, and the page that must be among the first five.
SEARCHES = {
    "variational autoencoder": "user_guide/variational",
    "missing values": "user_guide/imputation",
    "outlier": "user_guide/anomalies",
    "anomaly detection": "user_guide/anomalies",
    "fraud": "gallery/detect/plot_fraud",
    "reproducible": "user_guide/reproducibility",
    "imputation": "user_guide/imputation",
    "KNNImputer": "coming_from",
    "IsolationForest": "coming_from",
    "CTGAN": "coming_from",
    "large data": "gallery/networks/plot_large_data",
    "p-values": "user_guide/anomalies",
    "ONNX": "user_guide/onnx",
    "latent size": "user_guide/latent_size",
    "ConvergenceWarning": "user_guide/convergence",
    "denoising": "user_guide/denoising",
    "GPU": "user_guide/speed",
    "synthetic data": "user_guide/variational",
    "save model": "user_guide/saving",
    "categorical": "user_guide/tables",
    "Dask": "user_guide/scaling",
    "sensor": "gallery/detect/plot_sensors",
    "classification": "user_guide/classification",
    "benchmarks": "benchmarks",
    "glossary": "glossary",
    "memory": "user_guide/scaling",
}

# Text whose edge lies beside the screen, unless an element around it scrolls or hides it; and
# text beside its cell of a table.
LOOK = """(async () => {
  for (const image of document.images) image.loading = "eager";
  await Promise.all([...document.images].map(image => image.decode().catch(() => 0)));
  const clipped = element => {
    for (let e = element; e && e !== document.body; e = e.parentElement) {
      const style = getComputedStyle(e);
      if (style.overflowX !== "visible" || style.position === "fixed") return true;
    }
    return false;
  };
  const wide = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, range = document.createRange();
    if (!node.data.trim()) continue;
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width && box.right > WIDTH + 1 && !clipped(node.parentElement))
      wide.push(node.data.trim().slice(0, 50));
  }
  for (const cell of document.querySelectorAll("article :is(td, th)"))
    if (cell.scrollWidth > cell.clientWidth + 1)
      wide.push(`beside its cell: ${cell.innerText.trim().slice(0, 50)}`);
  const article = document.querySelector("article");
  // Of what was printed, long lines are wrapped; where there are prompts, the rest is output.
  const code = [...document.querySelectorAll("article pre")]
    .filter(pre => !pre.closest(".printed, .sphx-glr-script-out, .highlight-none"))
    .flatMap(pre => {
      const lines = pre.innerText.split("\\n"), prompt = /^(>>>|\\.\\.\\.) /;
      return lines.some(line => prompt.test(line))
        ? lines.filter(line => prompt.test(line)) : lines;
    }).filter(line => line.length > 79);
  return {
    wide: wide,
    code: code.map(line => `${line.length} characters: ${line.slice(0, 60)}`),
    broken: [...document.images].filter(i => !i.naturalWidth).map(i => i.currentSrc),
    nameless: article ? [...article.querySelectorAll("img:not([alt])")].map(i => i.src) : [],
    bright: article && document.documentElement.dataset.theme === "dark"
      ? [...article.querySelectorAll("img")].filter(
          i => !getComputedStyle(i).filter.includes("invert")).map(i => i.src) : [],
    untold: [...document.querySelectorAll("dl.py.class:has(dl.py.method)")]
      .filter(one => !one.querySelector("table.autosummary")).length,
    pictures: document.querySelectorAll("img[class*=sphx-glr]").length,
    width: document.scrollingElement.scrollWidth,
    height: document.scrollingElement.scrollHeight,
  };
})()"""
FOUND = """new Promise(done => {
  const links = () => [...document.querySelectorAll("#search-results ul.search > li > a")];
  let tries = 0;
  const wait = setInterval(() => {
    if (/finished|did not match/.test(document.body.innerText) || ++tries > 200) {
      clearInterval(wait);
      done(links().map(link => new URL(link.href).pathname));
    }
  }, 50);
})"""


class Browser:
    """A tab of Chromium; messages are JSON, each ended by a null byte."""

    def __init__(self, command, profile):
        to_child, self.writer = os.pipe()
        self.reader, from_child = os.pipe()

        def connect():
            # Copies first: one of the two may have the number of the other's place.
            ends = os.dup(to_child), os.dup(from_child)
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self.process = subprocess.Popen(
            [command, *FLAGS, f"--user-data-dir={profile}"],
            preexec_fn=connect, pass_fds=(3, 4), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_child)
        os.close(from_child)
        self.buffer, self.events, self.session = b"", [], None
        self.numbers = itertools.count()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)[
            "sessionId"
        ]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def receive(self):
        while b"\0" not in self.buffer:
            chunk = os.read(self.reader, 1 << 20)
            if not chunk:
                raise RuntimeError("Chromium has ended.")
            self.buffer += chunk
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def call(self, method, **params):
        """Result of a method; events that come meanwhile are kept."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.writer, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, url):
        """Load a page; the events until it is loaded and idle."""
        self.events = []
        self.call("Page.navigate", url=url)
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def evaluate(self, expression):
        """Value of an expression in the page, or of the promise that it gives."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"]["description"])
        return answer["result"]["value"]

    def logged(self, base):
        """Errors that the page logged, and what it loaded from elsewhere."""
        for event in self.events:
            params, method = event.get("params", {}), event.get("method")
            if method == "Runtime.exceptionThrown":
                yield params["exceptionDetails"]["exception"]["description"].splitlines()[0]
            elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
                yield f"{params['entry']['text']} {params['entry'].get('url', '')}"
            elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
                yield " ".join(str(one.get("value", "")) for one in params["args"])
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith((base, "data:", "blob:", "about:")):
                    yield f"loads {url}"

    def close(self):
        with contextlib.suppress(OSError, RuntimeError):
            self.session = None
            self.call("Browser.close")
        self.process.wait(timeout=20)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serve(folder):
    """Address at which a folder is served."""
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def look(browser, base, page, screen, pictures=None):
    """Errors of a page on a screen."""
    width, height, style = SCREENS[screen]
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=width, height=height, deviceScaleFactor=1, mobile=screen == "phone",
    )  # fmt: skip
    scheme = {"name": "prefers-color-scheme", "value": style}
    browser.call("Emulation.setEmulatedMedia", features=[scheme])
    browser.open(base + page)
    seen = browser.evaluate(LOOK.replace("WIDTH", str(width)))
    yield from browser.logged(base)
    yield from (f"picture is missing: {url}" for url in seen["broken"])
    yield from (f"picture has no description: {url}" for url in seen["nameless"])
    yield from (f"picture is white in the dark style: {url}" for url in seen["bright"])
    yield from (f"text beside the screen: {text}" for text in seen["wide"])
    yield from (f"code of {line}" for line in seen["code"])
    if seen["untold"]:
        yield "a class without a table of its methods"
    if seen["width"] > width:
        yield f"{seen['width']} pixels wide"
    if re.fullmatch(r"gallery/\w+/plot_\w+\.html", page) and not seen["pictures"]:
        yield "an example without pictures"
    if pictures:
        clip = {
            "x": 0,
            "y": 0,
            "width": width,
            "height": min(seen["height"], 12000),
            "scale": 1,
        }
        shot = browser.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        name = page.removesuffix(".html").replace("/", "-")
        (pictures / f"{name}-{screen}.png").write_bytes(base64.b64decode(shot["data"]))


def search(browser, base, words, page):
    """An error unless the page is among the first five that are found."""
    browser.open(f"{base}search.html?q={words.replace(' ', '+')}")
    found = [path.removesuffix(".html").lstrip("/") for path in browser.evaluate(FOUND)]
    if page not in found[:5]:
        place = found.index(page) + 1 if page in found else "not"
        yield f"{page} is found {place} of {len(found)}: {', '.join(found[:5])}"
    yield from browser.logged(base)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of pages")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each page")
    args = parser.parse_args()
    command = os.environ.get("CHROMIUM") or next(
        filter(None, map(shutil.which, BROWSERS)), None
    )
    if command is None:
        # Where a person has none; CI installs it, and sets CHROMIUM.
        print("Skipped: no Chromium on the path, and CHROMIUM names none.")
        return 0
    pages = [str(path.relative_to(args.site)) for path in sorted(args.site.rglob("*.html"))]
    pages = [page for page in pages if any(name in page for name in args.only)]
    pages = [page for page in pages if not page.startswith(("_modules", "_static"))]
    if args.pictures:
        args.pictures.mkdir(parents=True, exist_ok=True)
    errors = 0
    with serve(args.site) as base, tempfile.TemporaryDirectory() as profile:
        browser = Browser(command, profile)
        for page in pages:
            found = []
            for screen in SCREENS:
                problems = look(browser, base, page, screen, args.pictures)
                found += [f"{screen}: {problem}" for problem in problems]
            errors += len(found)
            for problem in dict.fromkeys(found):
                print(f"{page}: {problem}", flush=True)
        for words, page in SEARCHES.items() if args.only == [""] else ():
            for problem in search(browser, base, words, page):
                errors += 1
                print(f"search for {words!r}: {problem}", flush=True)
        browser.close()
    print(f"{len(pages)} pages, {errors} errors")
    return int(errors > 0)


if __name__ == "__main__":
    sys.exit(main())
