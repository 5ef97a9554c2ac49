"""The steps of stage 2 as the job of an exposure runs them: references read, pixels worked on, results recorded.

Each function takes the exposure, which it changes, and the job's input and parameters. Which ones run, and in which
order, is decided in planning, by the description of the instrument family.
"""
