"""What a message costs, in instructions: the gate that notices a change which makes the server slower.

    scripts/cost                        the table; exit status 1 when a shape has grown by more than 15 %
    scripts/cost --update               make what is counted now the baseline
    scripts/cost --profile receive      where the cost of one shape is

A shape is a part of a message's way through the server (`shapes`), worked by the real code in one process. The process
runs under valgrind, which counts every instruction it executes, so that neither load nor the mood of the machine
matters. What is compared is a ratio: instructions per message to instructions per turn of a fixed loop (`reference`),
counted in the same run, so that another build of Python moves both. docs/adr/0009 says what else was tried.

shape      what a shape is            counted    the program that is counted        baseline  what it was, and what may be
*_shape    the shapes                 valgrind   runs it, reads the counts          report    the table in words
"""
