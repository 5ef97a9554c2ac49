"""A survey as many runs that have nothing in common: cut, written, told of as one."""
