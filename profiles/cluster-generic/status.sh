#!/bin/sh
# status.sh lsf|pbs|sge ID: print what became of a job, in the words of Snakemake: running, success or failed.
# What the system cannot tell just now counts as running, so that a busy scheduler fails no jobs.
system=$1
id=$2
case $system in
lsf)
    case $(bjobs -a -noheader -o stat "$id" 2>/dev/null) in
    DONE) echo success ;;
    EXIT | ZOMBI) echo failed ;;
    *) echo running ;;
    esac
    ;;
pbs)
    # With -x finished jobs are told too, as far as the server keeps them (job_history_enable).
    told=$(qstat -x -f "$id" 2>/dev/null)
    case $told in
    *"job_state = F"* | *"job_state = C"*)
        case $told in
        *"xit_status = 0"*) echo success ;;
        *) echo failed ;;
        esac
        ;;
    *) echo running ;;
    esac
    ;;
sge)
    if qstat -j "$id" >/dev/null 2>&1; then
        echo running
    else
        # The record of a job that has ended comes some seconds late.
        told=$(qacct -j "$id" 2>/dev/null)
        case $told in
        "") echo running ;;
        *)
            if printf '%s\n' "$told" | grep -Eq '^exit_status +0 *$' &&
                printf '%s\n' "$told" | grep -Eq '^failed +0 *$'; then
                echo success
            else
                echo failed
            fi
            ;;
        esac
    fi
    ;;
*)
    echo "status.sh: $system is not lsf, pbs or sge" >&2
    exit 2
    ;;
esac
