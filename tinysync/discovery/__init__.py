"""Finding the devices of a group on the local network.

The extra ``tinysync[lan]`` brings what this needs; it is imported when it is first used.
"""
