"""``python -m tinysync``: the command line."""

from _tinysync_command import main

if __name__ == "__main__":
    main()
