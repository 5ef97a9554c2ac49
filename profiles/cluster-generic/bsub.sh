#!/bin/sh
# Submit a job to LSF and print its id alone: bsub says "Job <12> is submitted to queue <normal>."
set -eu
mkdir -p .snakemake/calflow
said=$(bsub "$@")
id=$(printf '%s\n' "$said" | sed -n 's/^Job <\([0-9][0-9]*\)>.*/\1/p')
[ -n "$id" ] || { echo "bsub said: $said" >&2; exit 1; }
printf '%s\n' "$id"
