"""What the commands do, as functions: paths in, files out, and a value that says what was done.

Each opens what is named, calls the function that its command calls, and closes it again. They speak
by return values and `geoseg.errors`, never on standard output. The package `geoseg` offers them by
name.
"""
