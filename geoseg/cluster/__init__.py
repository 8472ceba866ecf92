"""Work shared out among processes of many machines, by dask.distributed.

`Cluster.open` reaches the workers, `Cluster.ordered` has them compute. Knows nothing of pixels: it
is given functions and values, and gives back results in the order in which they were asked for.
dask is imported when a cluster is opened, not before.
"""
