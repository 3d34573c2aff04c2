"""The composition root: the only room that names concrete classes, and says in what order they start and stop.

start      the process: limits raised, ports bound, data handed over, user become; then the event loop
server     one running server: made of parts, started from the store outwards, stopped from the ports inwards
rules      what a reload replaces: configuration, directory, router and pipelines, together and at once
world      what a server takes from outside, as a Protocol: clock, disk, network, doors for programs
machine    the world as it is on a real machine; the simulation of tests/simulation has another
offline    the queue opened by a command when no server runs
"""
