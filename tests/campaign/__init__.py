"""A hostile trial of what is kept on disk: ``python -m tests.campaign`` prints a table.

Processes are killed at random moments, bits flipped in every kind of file that is read back, input
given that cannot be meant, and files of a user put in the way. Nothing of the user's may be lost,
and nothing wrong be taken for right; the trial fails if anything was.
"""
