"""``python -m tinysync``: the command line.

Unlike the command ``tinysync`` it is not quiet when Ctrl-C comes at once: Python imports the package before this.
"""

from _tinysync_command import main

if __name__ == "__main__":
    main()
