"""Faster starts: the jobs of a local run are forked from one process that has the libraries loaded.

Most jobs of calflow compute for less time than Python takes to import astropy, gwcs and photutils. `launcher` runs in
Snakemake's process and hands each rule script to `server`, which forks itself; the fork runs the script as Python
would. Nothing else changes: what a job reads, writes, logs and measures is the same, and where this cannot work
(another platform, a cluster, conda) Snakemake starts the scripts as it always does.
"""
