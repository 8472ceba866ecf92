"""Networks, and the one file that holds a trained one."""
