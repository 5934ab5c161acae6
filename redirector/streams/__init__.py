"""The process beside gunicorn that keeps event streams open, each for as long as its launch takes."""
