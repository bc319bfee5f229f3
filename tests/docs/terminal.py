"""A Python prompt in a process of its own: runs the examples it is sent, and answers with doctest's report."""

import json
import sys

from tests.docs.documents import close_all, run_examples


def main():
    names = {}
    for line in sys.stdin:
        text, name, first_line = json.loads(line)
        report = ""
        try:
            run_examples(text, name, names, first_line)
        except AssertionError as failed:
            report = str(failed) or "no examples"
        print(json.dumps(report), flush=True)
    close_all(names)


if __name__ == "__main__":
    main()
