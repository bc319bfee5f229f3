"""``python -m tinysync``: the command line."""

from tinysync.cli import main

if __name__ == "__main__":
    main()
