"""Drive a headless Chromium through a pipe, with the DevTools protocol."""

import base64
import fcntl
import json
import os
import shutil
import signal
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """A page in a headless browser. Use it in a `with` block.

    Args:
        folder: An empty folder for the browser's profile.
    """

    def __init__(self, folder: Path):
        commands, self._out = os.pipe()
        inner, answers = os.pipe()
        ends = [
            fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (commands, answers)
        ]  # above those it reads: 3, 4
        words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--hide-scrollbars", "--lang=en", "--remote-debugging-pipe", f"--user-data-dir={folder}",
                 "about:blank"]  # fmt: skip
        actions = [(os.POSIX_SPAWN_DUP2, end, target) for end, target in zip(ends, (3, 4), strict=True)]
        actions.append((os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0))
        self._process = os.posix_spawn(CHROMIUM, words, os.environ, file_actions=actions)
        for end in (commands, answers, *ends):
            os.close(end)
        self._reader = os.fdopen(inner, "rb")
        self._buffer, self._count, self._session, self.errors = b"", 0, None, []
        [page] = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
        self._session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Runtime.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.kill(self._process, signal.SIGKILL)
        os.waitpid(self._process, 0)
        os.close(self._out)
        self._reader.close()

    def call(self, method: str, **params) -> dict:
        """Return the result of a command of the protocol; messages of failed scripts are added to `errors`."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._buffer:
                if not (more := self._reader.read1(1 << 20)):
                    raise RuntimeError("the browser has ended")
                self._buffer += more
            text, self._buffer = self._buffer.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

    def run(self, script: str):
        """Return the value of a JavaScript expression, awaited if it is a promise."""
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"])
        return result["result"].get("value")

    def open(self, path: Path, width: int = 1200, height: int = 900, scheme: str = "light") -> None:
        """Open a file and wait until its scripts say that it is ready, by `data-ready` of the body."""
        phone = width < 600
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=path.as_uri())
        self.run(
            "new Promise(done => { const look = () => document.body?.dataset.ready ? done() : setTimeout(look, 20);"
            "look(); })"
        )

    def point(self, x: float, y: float, click: bool = False) -> None:
        """Move the pointer to (x, y) in the window, and click there if asked."""
        kinds = ["mouseMoved", *["mousePressed", "mouseReleased"] * click]
        for kind in kinds:
            button = "none" if kind == "mouseMoved" else "left"
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=int(click))

    def press(self, key: str) -> None:
        """Press and release a key, such as "ArrowLeft"."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def screenshot(self, path: Path) -> None:
        """Write what the window shows as a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))
