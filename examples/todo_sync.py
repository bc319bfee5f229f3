"""A to-do list on two devices.

In two terminals:

    python examples/todo_sync.py laptop --listen 8765
    python examples/todo_sync.py phone --connect 8765

Each keeps its list in a folder of its name: look at laptop/todo.yaml. Type 'offline' in one, change both lists,
and type 'online' again. Ending one and starting it again does the same.
"""

import argparse
from collections.abc import Callable

from tinysync import Change, DictWrapper, Peer, track, tracker

HELP = "add <text> | done <number> | drop <number> | first <number> | list | offline | online | quit"


def show(todo: DictWrapper) -> None:
    for number, task in enumerate(todo.tasks, 1):
        print(f"  {number} [{'x' if task.done else ' '}] {task.text}")


def on_change(changes: Change | list[Change]) -> None:
    first = changes[0] if isinstance(changes, list) else changes
    if first.origin != "local":
        who = f"{'via' if first.via else 'by'} {first.device}"
        print(f"\nThe list changed, {who}:" if first.device else "\nThe list was edited by hand:")
        show(first.root)


def task_commands(todo: DictWrapper) -> dict[str, Callable[[str], None]]:
    def index(number: str) -> int:
        if not 1 <= int(number) <= len(todo.tasks):
            raise ValueError(f"there is no task {number}")
        return int(number) - 1

    def done(number: str) -> None:
        todo.tasks[index(number)].done = True

    return {
        "add": lambda text: todo.tasks.append({"text": text, "done": False}),
        "done": done,
        "drop": lambda number: todo.tasks.__delitem__(index(number)),
        "first": lambda number: todo.tasks.move(index(number), 0),
        "list": lambda _: show(todo),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("device", help="its name, and that of its folder")
    parser.add_argument("--listen", type=int, metavar="PORT")
    parser.add_argument("--connect", type=int, metavar="PORT", action="append", default=[])
    arguments = parser.parse_args()

    def go_online() -> Peer:
        peer = Peer(
            listen=None if arguments.listen is None else f"127.0.0.1:{arguments.listen}",
            connect=[f"ws://127.0.0.1:{port}" for port in arguments.connect],
            device=arguments.device,
        )
        track({"tasks": []}, "todo", folder=arguments.device, sync=peer)
        return peer

    todo = track({"tasks": []}, "todo", folder=arguments.device, callback=on_change)
    peer = go_online()
    print(HELP)
    show(todo)
    commands = task_commands(todo)
    while True:
        try:
            command, _, rest = input("> ").strip().partition(" ")
        except EOFError:
            break
        if command == "quit":
            break
        if command == "offline":
            peer.close()
        elif command == "online" and peer.closed:
            peer = go_online()
        elif command in commands:
            try:
                commands[command](rest)
            except ValueError as error:
                print(error)
        else:
            print(HELP)
    tracker(todo).close()
    peer.close()


if __name__ == "__main__":
    main()
