# One worker below the master, so that USR1 can bring a new one without a gap (a phased restart).
workers 1
threads 1, 1
environment 'production'
