#!/bin/sh
# Install what a SLURM for tests is made of. On Debian or Ubuntu, as root; nothing is started or configured.
set -eu
for program in munged slurmctld slurmd sbatch slurmdbd mariadbd; do
    PATH="$PATH:/usr/sbin" command -v "$program" > /dev/null || missing=1
done
[ -n "${missing:-}" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
    echo "tests with SLURM need munge, slurmctld, slurmd, slurm-client, slurmdbd and mariadb-server," >&2
    echo "and to install them root and apt-get" >&2
    exit 1
fi

# The services of the packages must not start: they would have no configuration, or another one.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
install() {
    apt-get install --yes --quiet --quiet --no-install-recommends \
        munge slurmctld slurmd slurm-client slurmdbd mariadb-server > /dev/null
}
install 2> /dev/null || { apt-get update --quiet --quiet && install; }
