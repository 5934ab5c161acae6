"""How gunicorn serves the redirector behind nginx: numbers for a public entry, each with its reason.

`tmpnb serve` reads this file when TMPNB_GUNICORN_CONF names it. What stands here wins over the settings; workers and
threads stay with TMPNB_WORKERS and TMPNB_THREADS, time-outs and limits of requests as `tmpnb serve` has them. HUP reads
it again and replaces the workers without losing a visitor; settings and a new version of the program take a restart,
since gunicorn has loaded both before it forks.
"""

# nginx comes through the socket, which needs neither ports nor addresses and is not to be reached from outside;
# the operator's `tmpnb` on this host through the port. Under systemd's socket unit both are handed over instead.
bind = ["127.0.0.1:8000", "unix:/run/tmpnb-redirector/http.sock"]

# Visitors of a flash crowd that may wait in the kernel until a thread is free. At some 700 placed a second and core,
# 2048 are served within the 8 seconds that TMPNB_PLACE_SECONDS gives them; more could only time out.
backlog = 2048

# nginx keeps idle connections to us for 60 seconds. Ours must last longer, or it would now and then send a visitor
# into one that we are closing.
keepalive = 75

# Workers say that they live by touching a file; on a disk that is busy they would seem dead. This is memory.
worker_tmp_dir = "/dev/shm"  # noqa: S108 - gunicorn makes its file there safely
