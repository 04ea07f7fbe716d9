"""What can be measured of a running installation: counters, times, the id of what is at work. Knows no other room."""
