"""Speed as ratios: tinysync and what it is compared with, measured in turn in one run."""
