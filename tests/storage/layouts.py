"""Structures as a person might write them: with comments, and in a layout of their own.

``Written`` renders a structure at random, and knows for each line what it is about. The structure is a tree of
``Item``, which tests edit, and which then tells what of the text has to be there still.
"""

from __future__ import annotations

import json
from itertools import count

from hypothesis import strategies as st

from tinysync.storage.plain import identity
from tinysync.storage.yaml_dump import dump_text

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2000),
    st.floats(allow_nan=False),
    st.dates(),
    st.binary(max_size=60),
    st.text("ab #:-'\"\\,{}[]?|>&*!%@`\n\té\u2028x", max_size=12),
    st.sampled_from(
        ["", "yes", "12", "a: b", "<<", "- a", "# x", "a\nb", "a\nb\n", "a\n\nb\n\n", " a\nb", "word " * 40]
    ),
)
KEYS = st.one_of(
    st.text("abcdefgh", min_size=1, max_size=4),
    st.text("ab #:-'\"\\,{}[]?|>&*!%@`\n\té", max_size=8),
    st.integers(-3, 300),
    st.sampled_from([None, True, "", "k" * 140, "k" * 1100, b"\0\xff", 2.5, "12", "=", "<<", "a b"]),
)
VALUES = st.recursive(
    SCALARS | st.sets(KEYS, max_size=3) | st.just([]) | st.just({}),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=14,
)
DICTS = st.dictionaries(KEYS, VALUES, min_size=1, max_size=6)
LISTS = st.lists(VALUES, min_size=1, max_size=6)
SETS = st.sets(KEYS, min_size=1, max_size=6)


class Item:
    """A value in a structure, which knows whether it was edited since it was written."""

    def __init__(self, value):
        self.edited = False
        self.loose = False
        """Whether an edit made it unclear which of several items this one is."""
        self.ambiguous = False
        self.replaced = False
        self.brackets = None
        self.kind = type(value)
        if isinstance(value, dict):
            self.value = {key: Item(item) for key, item in value.items()}
        elif isinstance(value, list):
            self.value = [Item(item) for item in value]
        elif isinstance(value, set):
            self.value = {element: Item(None) for element in value}
        else:
            self.value = value

    def plain(self):
        if self.kind is dict:
            return {key: item.plain() for key, item in self.value.items()}
        if self.kind is list:
            return [item.plain() for item in self.value]
        return set(self.value) if self.kind is set else self.value

    def children(self):
        return self.value.values() if self.kind in (dict, set) else self.value if self.kind is list else ()

    def walk(self, path=()):
        """Yield all items with those that they are in."""
        yield path, self
        for item in self.children():
            yield from item.walk((*path, self))

    def untouched(self):
        return not self.edited and all(item.untouched() for item in self.children())


class Written:
    """A structure as YAML. ``notes``: the comments, each with what it is about; ``lines``: whole lines, so too."""

    def __init__(self, root, rng, *, anchors=True):
        self.rng = rng
        self.notes: list[tuple[str, Item, bool]] = []
        self.lines: list[tuple[str, Item]] = []
        self._anchors = anchors
        self._anchored: list[tuple[str, Item]] = []
        self._numbers = count(1)
        self._step = rng.choice([2, 2, 3, 4])
        self._offset = rng.choice([0, 2, 4])
        self._gap = rng.choice([1, 1, 3])
        self._out: list[str] = []
        head = rng.choice([None, None, "---", "%YAML 1.1\n---", "--- # start"])
        if head:
            self._out += head.split("\n")
        self._between(root, 0)
        self._block(root, 0, at_root=True)
        self._between(root, 0)
        if rng.random() < 0.2:
            self._out += ["...", "# after the end"]
        newline = rng.choice(["\n", "\n", "\r\n"])
        text = newline.join(self._out) + rng.choice([newline, newline, newline, ""])
        encoding = rng.choice(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"])
        self.encoding, self.data = encoding, text.encode(encoding)

    # --- comments ------------------------------------------------------------------------------------------

    def _note(self, item, *, free=False):
        text = f"# note {next(self._numbers)};"
        self.notes.append((text, item, free))
        return text

    def _between(self, container, column):
        """Perhaps a comment about nothing, or blank lines."""
        if self.rng.random() < 0.2:
            self._out += ["", " " * column + self._note(container, free=True), ""]
        elif self.rng.random() < 0.2:
            self._out.append(self.rng.choice(["", "", "  "]))

    def _above(self, item, column):
        while self.rng.random() < 0.2:
            self._out.append(" " * column + self._note(item))

    def _beside(self, item):
        return " " * self.rng.choice([1, 2, 5]) + self._note(item) if self.rng.random() < 0.3 else ""

    # --- values --------------------------------------------------------------------------------------------

    def _block(self, item, column, *, at_root=False):
        """Write a container as a block, or in brackets where that is chosen or it is empty."""
        if item.kind is set and at_root:
            self._line("!!set" if item.value else "!!set {}", item, column)
        elif not item.value:
            self._line("[]" if item.kind is list else "{}", item, column)
        first = True
        for key, child in self._order(item):
            if not (first and at_root):
                self._between(item, column)
            first = False
            self._above(child, column)
            if item.kind is list:
                self._item(child, column)
            elif item.kind is set:
                self._element(key, child, column)
            else:
                self._entry(key, child, column)

    def _order(self, item):
        if item.kind is list:
            return list(enumerate(item.value))
        entries = list(item.value.items())
        self.rng.shuffle(entries)
        return entries

    def _element(self, key, child, column):
        text = _key(key, self.rng)
        self._line(f"? {text}" if len(text) > 900 or self.rng.random() < 0.5 else f"{text}:", child, column)

    def _entry(self, key, child, column):
        text = _key(key, self.rng)
        if len(text) > 900 or self.rng.random() < 0.05:
            self._out.append(" " * column + f"? {text}{self._beside(child)}")
            text = ""
        text += ":"
        if child.kind is list and child.value and not self._in_brackets(child):
            self._below(text, child, column, column + self._offset)
        else:
            self._behind(text, child, column, column + self._step)

    def _item(self, child, column):
        text = "-" + " " * (self._gap - 1)
        if child.kind in (dict, list) and child.value and not self._in_brackets(child) and self.rng.random() < 0.8:
            # Its first entry stands beside the dash.
            begin = len(self._out)
            body = column + 1 + self._gap
            self._block(child, body)
            first = next(n for n in range(begin, len(self._out)) if self._out[n].strip())
            line = self._out[first]
            if not line.lstrip().startswith("#"):
                self._out[first] = " " * column + text + " " + line[body:]
                del self._out[begin:first]
            else:
                self._out.insert(begin, " " * column + text)
            return
        self._behind(text, child, column, column + 2)

    def _in_brackets(self, child):
        if child.brackets is None:
            child.brackets = self.rng.random() < 0.3
        return child.brackets

    def _below(self, text, child, column, body):
        anchor = self._anchor(child)
        self._line(text + (f" &{anchor}" if anchor else ""), child, column, whole=False)
        self._block(child, body)
        if anchor:
            self._anchored.append((anchor, child))

    def _behind(self, text, child, column, body):
        """Write what is behind a colon or dash."""
        alias = self._alias(child)
        if alias:
            self._line(f"{text} *{alias}", child, column, whole=False)
            return
        anchor = self._anchor(child)
        name = f" &{anchor}" if anchor else ""
        if child.kind in (dict, list, set) and child.value and not self._in_brackets(child):
            if child.kind is list or (text.startswith("-") and body < column + 1):
                body = column + 2
            tag = " !!set" if child.kind is set else ""
            self._line(text + name + tag, child, column, whole=False)
            if child.kind is dict and self._merge(child, body):
                pass
            else:
                self._block(child, body)
        elif child.kind in (dict, list) and child.value and self.rng.random() < 0.5:
            self._brackets(text + name, child, column, max(body, column + 1))
        elif child.kind in (dict, list, set):
            self._line(text + name + " " + _flow(child.plain(), self.rng), child, column)
        elif child.value is None and self.rng.random() < 0.3:
            self._line(text + name, child, column)
        else:
            self._scalar(text + name, child, column, body)
        if anchor:
            self._anchored.append((anchor, child))

    def _brackets(self, text, child, column, body):
        """Write a container in brackets, with its entries in lines of their own."""
        opening, closing = "[]" if child.kind is list else "{}"
        self._line(f"{text} {opening}", child, column, whole=False)
        entries = self._order(child)
        for number, (key, inside) in enumerate(entries):
            self._between(child, body)
            self._above(inside, body)
            entry = _flow({key: inside.plain()} if child.kind is dict else [inside.plain()], self.rng)[1:-1]
            comma = "," if number + 1 < len(entries) or self.rng.random() < 0.5 else ""
            self._line(entry.strip() + comma, inside, body, whole=False)
        self._out.append(" " * body + closing)

    def _scalar(self, text, child, column, body):
        value = child.value
        if isinstance(value, str) and self.rng.random() < 0.5:
            quoted = _quoted(value, self.rng)
            if quoted is not None:
                self._line(f"{text} {quoted}", child, column)
                return
        head, *lines = dump_text([value, 0]).rpartition("\n- 0\n")[0].split("\n")
        if head.endswith("+"):  # blank lines below would belong to it
            head, *lines = ["- " + json.dumps(value)]
        if not lines:
            self._line(f"{text} {head[2:]}", child, column)
            return
        self._out.append(" " * column + f"{text} {head[2:]}{self._beside(child)}")
        self._out += [line and " " * body + line[2:] for line in lines]

    def _line(self, text, item, column, *, whole=True):
        line = " " * column + text + self._beside(item)
        self._out.append(line)
        if whole:
            self.lines.append((line, item))

    # --- anchors -------------------------------------------------------------------------------------------

    def _anchor(self, child):
        return f"a{next(self._numbers)}" if self._anchors and self.rng.random() < 0.15 else None

    def _alias(self, child):
        for name, other in self._anchored:
            if identity(other.plain()) == identity(child.plain()) and self.rng.random() < 0.8:
                return name
        return None

    def _merge(self, child, column):
        """Write a mapping as another one, with a merge key, and what is different in it."""
        for name, other in self._anchored:
            if other.kind is dict and other.value.keys() <= child.value.keys() and self.rng.random() < 0.8:
                if not {identity(key) for key in other.value} <= {identity(key) for key in child.value}:
                    continue
                self._out.append(" " * column + f"<<: *{name}")
                for key, item in child.value.items():
                    if key in other.value and identity(item.plain()) == identity(other.value[key].plain()):
                        continue
                    self._above(item, column)
                    self._entry(key, item, column)
                return True
        return False


def _key(key, rng):
    if isinstance(key, str) and rng.random() < 0.3:
        return json.dumps(key, ensure_ascii=True)
    text = dump_text([{key: None}]).rstrip("\n")[2:]
    if text.startswith("? "):
        return dump_text([key], flow=True, quote='"').rstrip("\n")[1:-1]
    return text.removesuffix(": null")


def _quoted(value, rng):
    if rng.random() < 0.5:
        return json.dumps(value, ensure_ascii=True)
    return "'" + value.replace("'", "''") + "'" if value.isprintable() else None


def _flow(value, rng):
    text = dump_text(value, flow=True).rstrip("\n")
    return text if rng.random() < 0.7 else text.replace("[", "[ ", 1) if text.startswith("[") else text


# --- edits ------------------------------------------------------------------------------------------------


class Editor:
    """Edits a structure at random, one step at a time, each with something that was not there before."""

    def __init__(self, root, rng):
        self.root = root
        self.rng = rng
        self._numbers = count(1)
        self._new = {identity(item.plain()) for _path, item in root.walk()}

    def step(self):
        _path, item = self.rng.choice(
            [(path, item) for path, item in self.root.walk() if item.kind in (dict, list, set)]
        )
        getattr(self, f"_edit_{item.kind.__name__}")(item)

    def _fresh(self):
        number = next(self._numbers)
        return self.rng.choice(
            [
                f"new {number}",
                10_000 + number,
                f"new: {number} #",
                f"lines\nof {number}\n",
                f"lines\n\nof {number}",
                {"k": number, "l": [number, {"m": [], "n": {number}}]},
                [number, [f"x{number}", {"y": 1}], {}],
                {f"e{number}"},
                bytes([number % 256]) * 70,
            ]
        )

    def _put(self, item):
        new = Item(self._fresh())
        if item.kind in (dict, list, set) and new.kind is not item.kind:
            item.replaced = True
        elif item.kind in (dict, list):
            for _path, inside in item.walk():  # it may pass for something in the new value
                inside.loose = inside.loose or inside is not item
        item.edited, item.kind, item.value = True, new.kind, new.value

    def _edit_dict(self, item):
        item.edited = True
        keys = list(item.value)
        match self.rng.choice(["add", "put", "put", "delete", "delete", "clear", "refill"] if keys else ["add"]):
            case "add":
                for _ in range(self.rng.choice([1, 1, 3])):
                    item.value[self.rng.choice(["new", "new: ", 10_000, "n" * 1100]), next(self._numbers)] = None
                item.value = {
                    (f"{key[0]}{key[1]}" if isinstance(key[0], str) else sum(key)) if type(key) is tuple else key:
                    Item(self._fresh()) if type(key) is tuple else value
                    for key, value in item.value.items()
                }  # fmt: skip
            case "put":
                self._put(item.value[self.rng.choice(keys)])
            case "delete":
                del item.value[self.rng.choice(keys)]
            case "clear":
                item.value = {}
            case "refill":
                item.value = {f"new{next(self._numbers)}": Item(self._fresh())}

    def _edit_set(self, item):
        item.edited = True
        if item.value and self.rng.random() < 0.5:
            del item.value[self.rng.choice(list(item.value))]
        else:
            item.value[self.rng.choice(["new {}", "new\n{}"]).format(next(self._numbers))] = Item(None)

    def _edit_list(self, item):
        item.edited = True
        items = item.value
        place = self.rng.randrange(len(items) + 1)
        choice = self.rng.choice(["insert", "append", "delete", "put", "move", "clear"] if items else ["append"])
        if choice in ("insert", "append"):
            items.insert(place if choice == "insert" else len(items), Item(self._fresh()))
            return
        place = self.rng.randrange(len(items))
        if choice == "delete":
            del items[place]
        elif choice == "put":
            self._put(items[place])
        elif choice == "move":
            # Which of the items it is that moved is in the eye of the beholder.
            for _path, inside in item.walk():
                inside.loose = True
            moved = items.pop(place)
            items.insert(self.rng.randrange(len(items) + 1), moved)
        else:
            items.clear()


def losses(written, root, text):
    """Return what is missing in a text, or is there and should not be, after edits of a written structure."""
    there = {}
    for path, item in root.walk():
        above = [*path, item]
        unclear = any(i.loose or i.ambiguous for i in above)
        there[id(item)] = unclear
    for note, item, free in written.notes:
        if id(item) not in there:
            if note in text and not free and not item.loose and id(item) not in written.unclear:
                yield f"{note} should have gone"
        elif not there[id(item)] and note not in text and not (free and item.replaced):
            yield f"{note} is lost"
    lines = set(text.splitlines())
    bare = {line.lstrip(" -") for line in lines}
    for line, item in written.lines:
        clear = id(item) in there and not there[id(item)]
        if clear and item.untouched() and line not in lines and line.lstrip(" -") not in bare:
            yield f"{line!r} is lost"


def note_unclear(written, root):
    """Mark the lists in which equal items make it unclear which of them an edit is about."""
    written.unclear = set()
    for path, item in root.walk():
        if item.kind is list:
            item.ambiguous = len({identity(i.plain()) for i in item.value}) < len(item.value)
        if any(i.ambiguous for i in [*path, item]):
            written.unclear.add(id(item))
