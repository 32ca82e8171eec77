"""Comes back later: rotations one step at a time, checks by the calendar, errands as soon as possible.

It keeps nothing: after a restart, whoever starts this adds the jobs again, each job of the
calendar with when it was done last, and calls `advance_soon` for every active rotation.

advance_loop   runs a rotation until it is done, never twice at once
timers         rests and intervals, by the clock that nobody can set
cron           times of the calendar, by the clock on the wall
scheduler      the port: workers, and the stop
"""
