"""What real shells complete: bash at a terminal, fish by its own question."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import subprocess
import time

import pytest

from tinysync import track, tracker

from .processes import command

PROMPT = "ready-for-more:"
TAB = "\t"
ALL_OF_THEM = "\x1b*"
"""Readline puts everything that it would offer on the line."""


@pytest.fixture
def program(place):
    """A ``tinysync`` that completes, and otherwise prints the words that it was given."""
    program = place / ".bin" / "tinysync"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'if [ -n "$_TINYSYNC_COMPLETE" ] || [ "$1" = completion ]; then exec {shlex.join(command())} "$@"; fi\n'
        "printf '[%s]' \"$@\"; echo\n"
    )
    program.chmod(0o755)
    return program


def with_path(program):
    return os.environ | {"PATH": f"{program.parent}:{os.environ['PATH']}", "PS1": PROMPT, "TERM": "dumb"}


@pytest.fixture
def bash(program):
    """Type into a bash, and return the words that the command was given."""
    if shutil.which("bash") is None:
        pytest.skip("there is no bash")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["bash", "--norc", "--noprofile", "-i"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=with_path(program),
        start_new_session=True,
    ) as process:
        os.close(theirs)

        def answer(typed):
            os.write(ours, f"{typed}\n".encode())
            # The line is shown as it is typed; the answer is what stands on one of its own.
            return until(ours, PROMPT).replace("\r", "").split("\n")[-2]

        until(ours, PROMPT)
        answer("bind 'set bell-style none'; PROMPT_COMMAND=; eval \"$(tinysync completion bash)\"; echo")

        def complete(typed):
            words = answer(f"tinysync {typed}")
            assert words.startswith("["), words
            return words[1:-1].split("][")

        yield complete
        os.write(ours, b"exit\n")
        process.wait(timeout=60)
        os.close(ours)


def until(terminal, text):
    """Read what a terminal shows until it ends with a text."""
    shown = b""
    deadline = time.monotonic() + 60
    while not shown.endswith(text.encode()):
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, shown
        shown += os.read(terminal, 10_000)
    return shown.decode()


@pytest.fixture
def fish(program):
    """Ask a fish what it offers for what is typed: words, and what each is described as."""
    if shutil.which("fish") is None:
        pytest.skip("there is no fish")

    def offered(typed):
        script = f"tinysync completion fish | source; complete -C {shlex.quote(f'tinysync {typed}')}"
        result = subprocess.run(
            ["fish", "--no-config", "-c", script],
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            env=with_path(program),
            check=True,
        )
        return dict((*line.split("\t"), "")[:2] for line in result.stdout.splitlines())

    return offered


@pytest.fixture
def files(place):
    """Structures of this folder and of one in it, and files and folders that are none."""
    for name in ("todo", "my list", "it,em"):
        tracker(track({}, name)).close()
    tracker(track({}, "inner", folder=place / "lists")).close()
    (place / "settings.json").write_text("{}")
    (place / "notes.txt").write_text("no structure")
    (place / ".hidden.yaml").write_text("")
    (place / "other folder").mkdir()


def test_bash_completes_commands_and_names(bash, files):
    assert bash(f"stat{TAB}") == ["status"]
    assert bash(f"log to{TAB}") == ["log", "todo"]
    assert bash(f"get it{TAB}") == ["get", "it,em"]


@pytest.mark.parametrize("typed", ["my", "my\\ l", '"my l', "'my"])
def test_bash_quotes_what_has_spaces(bash, files, typed):
    assert bash(f"get {typed}{TAB}") == ["get", "my list"]


def test_bash_offers_a_name_with_a_character_that_means_something_to_it(bash, place):
    tracker(track({}, "a&b [1];")).close()
    (place / "a").write_text("")
    assert bash(f"get {TAB}") == ["get", "a&b [1];"]


def test_mirror_is_offered_names_other_files_and_folders(bash, files):
    offered = ["it,em", "lists", "mirror", "my list", "other folder", "settings.json", "todo"]
    assert sorted(bash(f"mirror {ALL_OF_THEM}")) == offered
    assert bash(f"mirror set{TAB}") == ["mirror", "settings.json"]
    assert bash(f"mirror todo.{TAB}") == ["mirror", "todo.yaml"]
    assert bash(f"mirror li{TAB}in{TAB}") == ["mirror", "lists/inner.yaml"]
    assert bash(f"mirror .hi{TAB}") == ["mirror", ".hidden.yaml"]


def test_files_in_the_home_folder_are_offered(bash, place):
    (place / "home" / "a b").mkdir(parents=True)
    (place / "home" / "a b" / "conf.yaml").write_text("")
    assert bash(f"mirror ~/a{TAB}c{TAB}") == ["mirror", str(place / "home/a b/conf.yaml")]


def test_a_name_comes_before_files_where_a_structure_is_to_be_there(bash, files):
    assert "settings.json" not in bash(f"log {ALL_OF_THEM}")
    assert bash(f"log set{TAB}") == ["log", "settings.json"]


def test_doctor_is_offered_folders_too(bash, files):
    assert bash(f"doctor li{TAB}") == ["doctor", "lists/"]
    assert bash(f"doctor my{TAB}oth{TAB}") == ["doctor", "my list", "other folder/"]


def test_serve_is_offered_folders_and_no_hidden_ones(bash, files):
    assert sorted(bash(f"serve {ALL_OF_THEM}")) == ["lists", "other folder", "serve"]
    assert bash(f"serve .ti{TAB}") == ["serve", ".tinysync/"]


def test_fish_is_offered_whole_names_and_descriptions(fish, files):
    assert "it,em" in fish("get it")
    assert fish("mirror --la")["--lan"].endswith("the default without addresses.")
    assert {"lists/", "other folder/"} <= set(fish("serve "))
