"""Draws the pictures of the README: ``python docs/draw.py``.

What is typed in a picture is run, and what it shows is what came of it.
"""

from __future__ import annotations

import asyncio
import code
import contextlib
import io
import re
import sqlite3
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import Label

from tinysync import Change, SQLite, track, tracker
from tinysync.testing import Device, Mesh

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

DEADLINE = 20
"""Seconds that anything may take."""
WIDTH = 104
THEME = "ansi_dark"


class Terminal:
    """A Python prompt, and all that was typed and printed there since it was last shown."""

    def __init__(self, title: str, **names: Any) -> None:
        self.title = title
        self._names = {"__name__": "__console__", **names}
        self._console = code.InteractiveConsole(self._names)
        self._seen: list[str] = []

    def type(self, lines: str) -> None:
        """Type lines of Python, and keep what they print; raises RuntimeError for what ends with a traceback."""
        shown, errors = io.StringIO(), io.StringIO()
        waits = False
        for line in lines.splitlines():
            self._seen.append(f"{'...' if waits else '>>>'} {line}".rstrip())
            with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors):
                waits = self._console.push(line)
            if errors.getvalue():
                raise RuntimeError(f"{line!r} in the picture failed:\n{errors.getvalue()}")
            self._seen += shown.getvalue().splitlines()
            shown.seek(0)
            shown.truncate()

    def printed(self, line: str) -> None:
        """Show a line that something in the background printed."""
        self._seen.append(line)

    def panel(self) -> Panel:
        seen, self._seen = "\n".join(self._seen), []
        return Panel(Syntax(seen, "pycon", theme=THEME, word_wrap=True), title=self.title, border_style="cyan")

    def __getitem__(self, name: str) -> Any:
        return self._names[name]


class Reached:
    """A callback that a story can wait for."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self, _change: object) -> None:
        self._event.set()

    def wait(self) -> None:
        if not self._event.wait(DEADLINE):
            raise TimeoutError("what the picture waits for did not happen")


def file_panel(path: Path, title: str, before: str = "") -> Panel:
    """Show a text file; what was not in it before is marked."""
    old = before.splitlines()
    text = Text()
    for line in path.read_text(encoding="utf-8").splitlines():
        text.append(f"{line}\n", "bold yellow" if before and line not in old else "")
    text.rstrip()
    return Panel(text, title=title, border_style="green")


def beside(left: RenderableType, right: RenderableType, share: float = 0.58) -> Table:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(width=int(WIDTH * share))
    table.add_column(width=WIDTH - int(WIDTH * share) - 3)
    table.add_row(left, right)
    return table


def told(text: str) -> Text:
    return Text(f"\n{text}", "bold")


def a_file(folder: Path) -> RenderableType:
    """What the program changes is in the file, and the other way round."""
    path = folder / "settings.yaml"
    path.write_text("# The left pump leaks: keep it low.\npumps: {left: 0, right: 0}  # in %\n")
    start = path.read_text()
    terminal = Terminal("Python", conf=track({}, "settings", folder=folder))
    terminal.type(
        "conf.lamps = ['hall']\n"
        "with conf:                 # one transaction\n"
        "    conf.pumps.left = 40\n"
        "    conf.lamps.append('attic')\n"
        "\n"
    )
    handle = tracker(terminal["conf"])
    handle.flush()
    first = beside(terminal.panel(), file_panel(path, "settings.yaml", start))
    before = path.read_text()
    arrived = Reached()
    handle.on(
        "pumps/*",
        lambda change: terminal.printed(f"callback: {change.path} {change.args}, from the {change.origin}"),
    )
    handle.on("pumps/*", arrived)
    path.write_text(before.replace("right: 0", "right: 75"))
    arrived.wait()
    terminal.type("conf.pumps.right")
    second = beside(terminal.panel(), file_panel(path, "settings.yaml, in any editor", before))
    handle.close()
    return Group(
        told(" The program changes a dict: the file has it, comments and layout stay."),
        first,
        told(" A person changes the file: the program has it, and callbacks run."),
        second,
    )


def a_database(folder: Path) -> RenderableType:
    """A database holds what is larger than memory."""
    terminal = Terminal("Python", photos=track({}, "photos", folder=folder, persist=SQLite))
    photos = terminal["photos"]
    with photos:
        photos.update({f"img{number:05}": {"stars": number % 6, "tags": []} for number in range(100_000)})
    tracker(photos).close()
    photos = track({}, "photos", folder=folder, persist=SQLite)
    terminal = Terminal("Python", photos=photos, tracker=tracker)
    terminal.type(
        "len(photos), 'img00077' in photos     # loads none\n"
        "photos.img00077.tags.append('cat')  # one entry\n"
        "photos.img00077\n"
    )
    table = Table(expand=True, border_style="green")
    for title in ("key", "value"):
        table.add_column(title)
    with contextlib.closing(sqlite3.connect(folder / "photos.sqlite")) as database:
        names = database.execute("SELECT name FROM entries ORDER BY name LIMIT 4 OFFSET 75").fetchall()
    for (name,) in names:
        table.add_row(name, str(photos[name]), style="bold yellow" if photos[name].tags else "")
    table.add_row("...", "...")
    shown = beside(terminal.panel(), Group(Text(" photos.sqlite: 100,000 rows", "green"), table))
    tracker(photos).close()
    return Group(
        told(" As a dict, with the entries on disk: opened at once, and only what is touched is loaded."), shown
    )


class Readings(App[None]):
    """Shows a structure; each change of another device updates one label, in the app's own thread."""

    def __init__(self, phone: Device) -> None:
        super().__init__()
        self._phone = phone
        self.updated = asyncio.Event()

    def compose(self) -> ComposeResult:
        for room in ("kitchen", "hall"):
            yield Label(f"{room}: ?", id=room)

    def on_mount(self) -> None:
        readings = self._phone.track({}, "readings", dispatch=self.call_later)
        tracker(readings).on("*", self.show)

    def show(self, change: Change) -> None:
        room, celsius = change.args
        self.query_one(f"#{room}", Label).update(f"{room}: {celsius} °C")
        self.updated.set()

    def panel(self) -> Panel:
        lines = [str(label.content) for label in self.query(Label)]
        return Panel(Text("\n".join(lines)), title="a Textual app on the phone", border_style="green")


UI = """\
def show(change):
    room, celsius = change.args
    app.query_one(f'#{room}').update(f'{room}: {celsius} °C')

readings = track({}, 'readings', sync=peer,
                 dispatch=app.call_later)
tracker(readings).on('*', show)"""


def a_user_interface(_folder: Path) -> RenderableType:
    """A change of another device comes to the thread of the user interface."""

    async def story() -> RenderableType:
        with Mesh() as mesh:
            sensor, phone = mesh.device("sensor"), mesh.device("phone")
            terminal = Terminal("Python on the sensor", readings=sensor.track({}, "readings"))
            app = Readings(phone)
            async with app.run_test():
                source = Panel(Syntax(UI, "python", theme=THEME), title="the app's code", border_style="cyan")
                before = beside(source, app.panel(), 0.64)
                terminal.type("readings.kitchen = 21.5")
                await asyncio.wait_for(app.updated.wait(), DEADLINE)
                after = beside(terminal.panel(), app.panel(), 0.64)
        return Group(
            told(" dispatch= says how to come to the thread of the user interface; on() says what to show where."),
            before,
            told(" The sensor writes: the label shows it."),
            after,
        )

    return asyncio.run(story())


def devices(folder: Path) -> RenderableType:
    """Both sides edit offline, and have both edits when they meet."""
    start = {"shopping": ["bread", "milk"], "lamps": {"hall": 0}}
    with Mesh(folder) as mesh:
        both = mesh.device("laptop"), mesh.device("phone")
        terminals = [Terminal(one.name, home=one.track(start, "home")) for one in both]
        paths = [one.folder / "home.yaml" for one in both if one.folder is not None]
        mesh.settle()
        mesh.partition(*([one] for one in both))
        before = [path.read_text() for path in paths]
        terminals[0].type("home.shopping[1] = 'oat milk'\nhome.lamps.attic = 60")
        terminals[1].type("home.shopping.insert(0, 'tea')\nhome.lamps.hall = 100")

        def files() -> Table:
            for terminal in terminals:
                tracker(terminal["home"]).flush()
            shown = zip(both, paths, before, strict=True)
            return beside(*(file_panel(path, f"{one.name}/home.yaml", old) for one, path, old in shown), 0.5)

        apart = beside(*(terminal.panel() for terminal in terminals), 0.5), files()
        mesh.heal()
        mesh.settle()
        return Group(
            told(" Two devices, both offline, edit the same list and the same dict:"),
            *apart,
            told(" They meet: both have all edits. No server, no questions."),
            files(),
        )


PICTURES: dict[str, Callable[[Path], RenderableType]] = {
    "file": a_file,
    "database": a_database,
    "interface": a_user_interface,
    "devices": devices,
}


def draw(name: str) -> str:
    """Run a story, and return its picture as SVG."""
    with tempfile.TemporaryDirectory() as folder:
        story = PICTURES[name](Path(folder))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(story)
    picture = console.export_svg(title="tinysync", unique_id=f"tinysync-{name}")
    # Readers fetch no font from anywhere.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


def main() -> None:
    folder = Path(__file__).parent / "pictures"
    folder.mkdir(exist_ok=True)
    for name in PICTURES:
        path = folder / f"{name}.svg"
        path.write_text(draw(name), encoding="utf-8")
        print(f"drew {path}")


if __name__ == "__main__":
    main()
